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
	all, err := gather(answers, of.key)
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
	for _, one := range all.items {
		if !page.Add(one.key, func() item { return one }) {
			break
		}
	}
	q := asked{List: of.list(chosen(query)), after: after}
	var behind func() int
	if all.rest >= 0 {
		behind = func() int { return all.rest + len(all.items) - len(page.Items) }
	}
	page.More = page.More || all.rest != 0
	about := meta(q, page, behind)
	all.items = page.Items
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(all.written(about)) //nolint:gosec // G705: JSON of the shards; and when the client has gone there is nothing to do
}

// chosen is what a list is chosen by, as its operation has it.
func chosen(query url.Values) choice {
	since, _ := time.Parse(time.RFC3339, query.Get("since"))
	return choice{
		namespace: query.Get("namespace"), deployment: query.Get("deployment"), labels: query.Get("labelSelector"), fields: query.Get("fieldSelector"),
		trigger: query.Get("trigger"), result: query.Get("result"), since: since,
	}
}

// gathered is what all answers have.
type gathered struct {
	items, claims []item    // in their order; claims that are refused are of applications alone
	rest          int       // how many follow the items; negative: some, nobody knows how many
	since         time.Time // from when on none is missing; zero: somebody does not say
}

// gather makes all answers one.
func gather(answers []*kept, key func(item) []string) (all gathered, err error) {
	counted, dated := true, true
	for _, a := range answers {
		var part struct {
			Metadata      autoscaler.PageMeta `json:"metadata"`
			Items         []json.RawMessage   `json:"items"`
			Refused       []json.RawMessage   `json:"refusedClaims"`
			CompleteSince time.Time           `json:"completeSince"`
		}
		if err := json.Unmarshal(a.Bytes(), &part); err != nil {
			return gathered{}, err //nolint:wrapcheck // who asks says of what
		}
		own, err := readItems(part.Items, key)
		if err != nil {
			return gathered{}, err
		}
		claims, err := readItems(part.Refused, key)
		if err != nil {
			return gathered{}, err
		}
		all.items, all.claims = append(all.items, own...), append(all.claims, claims...)
		if n := part.Metadata.RemainingItemCount; n != nil {
			all.rest += int(*n)
		} else if part.Metadata.Continue != nil {
			counted = false
		}
		if dated = dated && !part.CompleteSince.IsZero(); part.CompleteSince.After(all.since) {
			all.since = part.CompleteSince
		}
	}
	byKey := func(a, b item) int { return slices.Compare(a.key, b.key) }
	slices.SortStableFunc(all.items, byKey)
	slices.SortStableFunc(all.claims, byKey)
	all.claims = all.claims[:min(len(all.claims), refusedOfAll)]
	if !counted {
		all.rest = -1
	}
	if !dated {
		all.since = time.Time{}
	}
	return all, nil
}

// readItems reads items, as far as their keys go.
func readItems(list []json.RawMessage, key func(item) []string) ([]item, error) {
	all := make([]item, len(list))
	for i, raw := range list {
		all[i].raw = raw
		if err := json.Unmarshal(raw, &all[i]); err != nil {
			return nil, err //nolint:wrapcheck // who asks says of what
		}
		all[i].key = key(all[i])
	}
	return all, nil
}

// written is the list as it is answered with.
func (all *gathered) written(meta *autoscaler.PageMeta) []byte {
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
	list(`{"items"`, all.items)
	if len(all.claims) > 0 {
		list(`,"refusedClaims"`, all.claims)
	}
	if !all.since.IsZero() {
		b.WriteString(`,"completeSince":"` + all.since.UTC().Format(time.RFC3339Nano) + `"`)
	}
	if meta != nil {
		said, _ := json.Marshal(meta) // a text and a number
		b.WriteString(`,"metadata":` + string(said))
	}
	b.WriteString("}\n")
	return b.Bytes()
}
