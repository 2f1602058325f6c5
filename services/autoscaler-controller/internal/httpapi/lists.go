package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/paging"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// defaultLimit of decisions and of changes, as in the contract.
const defaultLimit = 100

// listsHeader is of the answer of who knows pages and selectors. A leader of before knows neither, and answers with
// everything: it is then answered by the follower that was asked.
const listsHeader = "Nemesis-Lists"

var errOlderLists = errors.New("relay: the leader knows neither pages nor selectors")

// selects tells whether a call is for a list, in pages or chosen by selectors.
func selects(r *http.Request) bool {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	dated := name == "decisions" || name == "changes" // had a limit before they had pages
	if r.Method != http.MethodGet || lists[name] == nil && !dated {
		return false
	}
	query := r.URL.Query()
	return query.Has("continue") || query.Has("labelSelector") || query.Has("fieldSelector") ||
		query.Has("limit") && !dated || query.Has("deployment") && name == "applications"
}

// saysSo has the answer say that it knows.
func saysSo(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if selects(r) && r.Header.Get(relayedHeader) != "" {
			w.Header().Set(listsHeader, "1")
		}
		next.ServeHTTP(w, r)
	})
}

// choice is what a list is chosen by, as it was asked for. The front of the shards reads it of the request,
// each list of its own parameters: both have to come to the same, for it is in the place of a page.
type choice struct {
	namespace, deployment, labels, fields string
	trigger, result                       string
	since                                 time.Time
}

// listed are the lists, each with the parts of its items' keys. Their order is that of the keys.
func listed(name string, keys int, c choice) paging.List {
	since := ""
	if !c.since.IsZero() {
		since = c.since.UTC().Format(time.RFC3339Nano)
	}
	return paging.List{Name: name, Keys: keys, Selection: []string{c.namespace, c.deployment, c.labels, c.fields, c.trigger, c.result, since}}
}

func listOfPods(c choice) paging.List         { return listed("pods", 3, c) }
func listOfMetrics(c choice) paging.List      { return listed("metrics", 2, c) }
func listOfApplications(c choice) paging.List { return listed("applications", 2, c) }
func listOfDecisions(c choice) paging.List    { return listed("decisions", 4, c) }
func listOfChanges(c choice) paging.List      { return listed("changes", 2, c) }

func keyOfDecision(at time.Time, namespace, deployment, id string) []string {
	return []string{newest(at), namespace, deployment, id}
}

// newest is a part of a key by which the newest is the first.
func newest(at time.Time) string { return fmt.Sprintf("%019d", math.MaxInt64-at.UnixNano()) }

// asked is a list that is asked for.
type asked struct {
	paging.List
	choice
	selectors
	limit int
	after []string        // where it begins; nil: at its beginning
	sees  map[string]bool // the namespaces that are shown; nil: all
}

func newAsked(list paging.List, c choice, known []string, limit *int, token *string) (asked, error) {
	s, err := newSelectors(c.labels, c.fields, known)
	if err != nil {
		return asked{}, err
	}
	after, err := list.Open(value(token, ""))
	if err != nil {
		return asked{}, err
	}
	return asked{list, c, s, value(limit, 0), after, nil}, nil
}

// shows tells whether who asks may see anything of a namespace.
func (q *asked) shows(namespace string) bool { return q.sees == nil || q.sees[namespace] }

// meta is what a page says of itself; nil: it is the whole list. rest counts what follows; nil: that is not known.
func meta[T any](q asked, p *paging.Page[T], rest func() int) *autoscaler.PageMeta {
	if !p.More && q.after == nil {
		return nil
	}
	out := &autoscaler.PageMeta{}
	if p.More {
		token := q.Token(p.Last())
		out.Continue = &token
		if rest != nil {
			n := int64(rest())
			out.RemainingItemCount = &n
		}
	}
	return out
}

// keys are the applications that can be on the page by their names alone, from the one where it begins.
func (a *api) keys(q asked) []fleet.Key {
	keys := a.Fleet.Keys()
	if len(q.after) >= 2 {
		at, _ := slices.BinarySearchFunc(keys, fleet.Key{Namespace: q.after[0], Deployment: q.after[1]}, fleet.Key.Compare)
		keys = keys[at:]
	}
	return slices.DeleteFunc(keys, func(k fleet.Key) bool {
		return q.namespace != "" && k.Namespace != q.namespace || !q.shows(k.Namespace) || q.deployment != "" && k.Deployment != q.deployment
	})
}

// views are those of the applications, looked at one by one.
func (a *api) views(q asked) iter.Seq[fleet.View] {
	return func(yield func(fleet.View) bool) {
		for _, k := range a.keys(q) {
			if v, ok := a.Fleet.View(k, time.Now()); ok && q.matchLabels(v.Observation.Deployment.Labels) && !yield(v) {
				return
			}
		}
	}
}

// applications is a page of what is shown of each application.
func applications[T any](a *api, q asked, show func(fleet.View) T) (*paging.Page[T], *autoscaler.PageMeta) {
	page := paging.NewPage[T](q.limit, q.after)
	for v := range a.views(q) {
		if !q.matchFields(func() fields.Set { return fieldsOfApplication(v) }) {
			continue
		}
		if !page.Add([]string{v.Namespace, v.Key.Deployment}, func() T { return show(v) }) {
			break
		}
	}
	if q.some() { // how many they are is known by looking at them alone
		return page, meta(q, page, nil)
	}
	return page, meta(q, page, func() int {
		rest := q
		rest.after = page.Last()
		return len(a.keys(rest)) - 1
	})
}

func fieldsOfApplication(v fleet.View) fields.Set {
	return fields.Set{
		nameField: v.Key.Deployment, namespaceField: v.Namespace, "autoscaler": v.Autoscaler, "state": string(v.State), "mode": string(modeOf(v)),
	}
}

// modeOf is the mode now, which is never left out.
func modeOf(v fleet.View) scaling.Mode { return cmp.Or(v.Mode, scaling.Active) }

func (a *api) pods(q asked) (*paging.Page[podItem], *autoscaler.PageMeta) {
	page := paging.NewPage[podItem](q.limit, q.after)
	for v := range a.views(q) {
		for _, p := range v.Pods {
			if !q.matchFields(func() fields.Set { return fieldsOfPod(v, p) }) {
				continue
			}
			if !page.Add([]string{v.Namespace, v.Key.Deployment, p.Name}, func() podItem { return shownPod(v, p) }) {
				return page, meta(q, page, nil)
			}
		}
	}
	return page, meta(q, page, nil)
}

func fieldsOfPod(v fleet.View, p fleet.PodView) fields.Set {
	return fields.Set{
		nameField: p.Name, namespaceField: v.Namespace, "deployment": v.Key.Deployment, "autoscaler": v.Autoscaler,
		"state": string(p.State), "alive": strconv.FormatBool(p.Alive()), "node": p.Node,
	}
}

func (a *api) decisions(q asked) (*paging.Page[fleet.Record], *autoscaler.PageMeta) {
	found := a.Control.Decisions(fleet.Filter{
		Key:     fleet.Key{Namespace: q.namespace, Deployment: q.deployment},
		Trigger: scaling.Trigger(q.trigger), Result: fleet.Result(q.result), Since: q.since,
	}, math.MaxInt)
	found = slices.DeleteFunc(found, func(r fleet.Record) bool {
		return !q.shows(r.Namespace) || !q.matchLabels(a.labelsOf(q, r.Key)) || !q.matchFields(func() fields.Set { return fieldsOfDecision(r) })
	})
	key := func(r fleet.Record) []string { return keyOfDecision(r.Time, r.Namespace, r.Deployment, r.ID) }
	slices.SortStableFunc(found, func(a, b fleet.Record) int { return slices.Compare(key(a), key(b)) })
	page, shown := paging.NewPage[fleet.Record](q.limit, q.after), 0
	for _, r := range found {
		if !page.Add(key(r), func() fleet.Record { return r }) {
			break
		}
		shown++
	}
	return page, meta(q, page, func() int { return len(found) - shown })
}

func fieldsOfDecision(r fleet.Record) fields.Set {
	return fields.Set{
		nameField: r.ID, namespaceField: r.Namespace, "deployment": r.Deployment, "autoscaler": r.Autoscaler,
		"trigger": string(r.Trigger), "result": string(r.Result()), "applied": strconv.FormatBool(r.Applied),
	}
}

// labelsOf are the labels of an application, if anybody chooses by them.
func (a *api) labelsOf(q asked, k fleet.Key) string {
	if q.byLabels == nil {
		return ""
	}
	v, _ := a.Fleet.View(k, time.Now())
	return v.Observation.Deployment.Labels
}
