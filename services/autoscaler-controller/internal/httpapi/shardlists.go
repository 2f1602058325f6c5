package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// lists are the calls that show what all shards have, each with the order of its items.
var lists = map[string]func(a, b item) int{
	"applications": byName, "pods": byName, "metrics": byName, "decisions": newestFirst,
}

// item is one of a list: what it is put in order by, and all of it.
type item struct {
	Namespace  string    `json:"namespace"`
	Deployment string    `json:"deployment"`
	Time       time.Time `json:"time"`
	raw        json.RawMessage
}

func byName(a, b item) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Deployment, b.Deployment))
}

func newestFirst(a, b item) int { return b.Time.Compare(a.Time) }

// defaultLimit of decisions, as in the contract.
const defaultLimit = 100

// list shows what all shards have, or the one of the namespace that is asked for. A shard whose leader does
// not answer shows what is known of it here, as without shards.
func (s *sharded) list(w http.ResponseWriter, r *http.Request, order func(a, b item) int) {
	query := r.URL.Query()
	if namespace := query.Get("namespace"); namespace != "" {
		s.of(namespace).ServeHTTP(w, r)
		return
	}
	calls := make([]*http.Request, len(s.ports))
	for i := range calls {
		calls[i] = with(r, nil)
	}
	answers := s.ask(calls)
	if a := refused(answers); a != nil {
		a.pass(w)
		return
	}
	all, err := items(answers)
	if err != nil {
		unreadable(w, r, err)
		return
	}
	slices.SortStableFunc(all, order)
	if r.URL.Path == "/v1/decisions" {
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil {
			limit = defaultLimit
		}
		all = all[:min(len(all), limit)]
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(written(all)) // the client has gone: nothing to do
}

// items are those of all answers.
func items(answers []*kept) ([]item, error) {
	all := []item{}
	for _, a := range answers {
		var part struct {
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(a.Bytes(), &part); err != nil {
			return nil, err //nolint:wrapcheck // who asks says of what
		}
		for _, raw := range part.Items {
			one := item{raw: raw}
			if err := json.Unmarshal(raw, &one); err != nil {
				return nil, err //nolint:wrapcheck // who asks says of what
			}
			all = append(all, one)
		}
	}
	return all, nil
}

func written(all []item) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i, one := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(one.raw)
	}
	b.WriteString("]}\n")
	return b.Bytes()
}
