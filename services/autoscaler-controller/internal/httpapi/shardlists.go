package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/paging"
)

// lists are the calls that show what all shards have. Each is ordered by the keys of its items.
var lists = map[string]*merged{
	"applications": {list: listOfApplications, key: byName}, "metrics": {list: listOfMetrics, key: byName},
	"pods":      {list: listOfPods, key: func(i item) []string { return append(byName(i), i.Pod.Name) }},
	"decisions": {list: listOfDecisions, key: func(i item) []string { return keyOfDecision(i.Time, i.Namespace, i.Deployment, i.ID) }, limit: defaultLimit},
}

// merged is one of them.
type merged struct {
	list  func(choice) paging.List
	key   func(item) []string
	limit int // where none is given
}

// item is one of a list: what its key is made of, and all of it.
type item struct {
	Namespace  string    `json:"namespace"`
	Deployment string    `json:"deployment"`
	Time       time.Time `json:"time"`
	ID         string    `json:"id"`
	Pod        struct {
		Name string `json:"name"`
	} `json:"pod"`
	raw json.RawMessage
	key []string
}

func byName(i item) []string { return []string{i.Namespace, i.Deployment} }

// list shows what all shards have, or the one of the namespace that is asked for. A shard whose leader does
// not answer shows what is known of it here, as without shards.
//
// A page is made of the same page of each shard: a place in the list is one in each of them, so that the first
// ones of all are among the first ones of each.
func (s *sharded) list(w http.ResponseWriter, r *http.Request, of *merged) {
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
	all, claims, rest, err := items(answers, of.key)
	if err != nil {
		unreadable(w, r, err)
		return
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = of.limit
	}
	// What is asked for was looked at by each shard: it is as the contract has it.
	after, _ := of.list(chosen(query)).Open(query.Get("continue"))
	page := paging.NewPage[item](limit, after)
	for _, one := range all {
		if !page.Add(one.key, func() item { return one }) {
			break
		}
	}
	q := asked{List: of.list(chosen(query)), after: after}
	var behind func() int
	if rest >= 0 {
		behind = func() int { return rest + len(all) - len(page.Items) }
	}
	page.More = page.More || rest != 0
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(written(page.Items, claims, meta(q, page, behind))) // the client has gone: nothing to do
}

// chosen is what a list is chosen by, as its operation has it.
func chosen(query url.Values) choice {
	since, _ := time.Parse(time.RFC3339, query.Get("since"))
	return choice{
		namespace: query.Get("namespace"), deployment: query.Get("deployment"), labels: query.Get("labelSelector"), fields: query.Get("fieldSelector"),
		trigger: query.Get("trigger"), result: query.Get("result"), since: since,
	}
}

// items are those of all answers, in their order, and how many follow them; negative: some, nobody knows how many. Claims
// that are refused are of applications alone.
func items(answers []*kept, key func(item) []string) (all, claims []item, rest int, err error) {
	known := true
	for _, a := range answers {
		var part struct {
			Metadata autoscaler.PageMeta `json:"metadata"`
			Items    []json.RawMessage   `json:"items"`
			Refused  []json.RawMessage   `json:"refusedClaims"`
		}
		if err := json.Unmarshal(a.Bytes(), &part); err != nil {
			return nil, nil, 0, err //nolint:wrapcheck // who asks says of what
		}
		for _, raw := range slices.Concat(part.Items, part.Refused) {
			one := item{raw: raw}
			if err := json.Unmarshal(raw, &one); err != nil {
				return nil, nil, 0, err //nolint:wrapcheck // who asks says of what
			}
			one.key = key(one)
			all = append(all, one)
		}
		own := len(all) - len(part.Refused)
		all, claims = all[:own], append(claims, all[own:]...)
		if n := part.Metadata.RemainingItemCount; n != nil {
			rest += int(*n)
		} else if part.Metadata.Continue != nil {
			known = false
		}
	}
	byKey := func(a, b item) int { return slices.Compare(a.key, b.key) }
	slices.SortStableFunc(all, byKey)
	slices.SortStableFunc(claims, byKey)
	if !known {
		rest = -1
	}
	return all, claims[:min(len(claims), refusedOfAll)], rest, nil
}

func written(all, claims []item, meta *autoscaler.PageMeta) []byte {
	var b bytes.Buffer
	list := func(name string, all []item) {
		b.WriteString(name + `:[`)
		for i, one := range all {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(one.raw)
		}
		b.WriteByte(']')
	}
	list(`{"items"`, all)
	if len(claims) > 0 {
		list(`,"refusedClaims"`, claims)
	}
	if meta != nil {
		said, _ := json.Marshal(meta) // a text and a number
		b.WriteString(`,"metadata":` + string(said))
	}
	b.WriteString("}\n")
	return b.Bytes()
}
