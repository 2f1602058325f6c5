package httpapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// schemas are those of the lists.
var schemas = map[string]string{
	"/v1/applications": "ApplicationList", "/v1/pods": "PodList", "/v1/metrics": "ApplicationMetricsList", "/v1/decisions": "DecisionList",
}

// populated has applications in namespaces, with up to three pods each and a decision or two on each. Of every
// second the Deployment has the label team=vision, and of every third the mode is Observe.
func populated(p *parts, of func(namespace string) bool) *parts {
	p.fleet, p.records = fleet.New("e"), nil
	for i := range 24 {
		k := fleet.Key{Namespace: fmt.Sprint("ns-", i%4), Deployment: fmt.Sprintf("app-%02d", i)}
		if !of(k.Namespace) {
			continue
		}
		o := fleet.Observation{
			Key: k, Autoscaler: fmt.Sprint("ca-", i%2), Since: long, Spec: scaling.Spec{MaxReplicas: 3, Mode: scaling.Active}, Address: fleet.Address{Prefix: "/" + k.Deployment},
			Deployment: fleet.Deployment{Found: true, Replicas: int32(i % 4), Created: long, Labels: "app=" + k.Deployment},
		}
		if i%2 == 0 {
			o.Deployment.Labels += ",team=vision"
		}
		if i%3 == 0 {
			o.Spec.Mode = scaling.Observe
		}
		for j := range i % 4 {
			o.Pods = append(o.Pods, fleet.Pod{Name: fmt.Sprint(k.Deployment, "-", j), Node: fmt.Sprint("node-", j), Address: "10.0.0.1:80", Started: true, Ready: j == 0, EndpointReady: j == 0, CreatedAt: long, ReadyAt: long})
		}
		p.fleet.Observe(o, time.Now())
		for j := range 1 + i%2 {
			r := fleet.Record{ID: fmt.Sprintf("e-%d-%d", i, j), Key: k, Autoscaler: o.Autoscaler, Time: long.Add(time.Duration(i%7) * time.Nanosecond), Applied: j == 0, Decision: scaling.Decision{To: 1, Trigger: scaling.StartCall}}
			if j > 0 {
				r.Trigger, r.Error = scaling.Idle, "refused"
			}
			p.records = append(p.records, r)
		}
	}
	return p
}

// fronts are a controller without shards, and one with three, who know the same.
func fronts(t *testing.T) map[string]http.Handler {
	t.Helper()
	list := make([]*desk, three)
	for i := range list {
		list[i] = &desk{parts: populated(newParts(), func(namespace string) bool { return shard.Of(namespace, three) == i })}
	}
	return map[string]http.Handler{
		"one": populated(newParts(), func(string) bool { return true }).handler(t), "shards": front(t, list, newParts()),
	}
}

type listing struct {
	Items    []json.RawMessage
	Metadata *struct {
		Continue           string
		RemainingItemCount *int
	}
}

func list(t *testing.T, h http.Handler, path string, query url.Values) (out listing) {
	t.Helper()
	w := do(h, "GET", path+"?"+query.Encode(), "")
	if w.Code != 200 {
		t.Fatalf("%s?%s: %d %s", path, query.Encode(), w.Code, w.Body)
	}
	fits(t, w, schemas[path])
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// names are what tells items apart; ages and the like change from call to call.
func names(t *testing.T, items []json.RawMessage) (out []string) {
	t.Helper()
	for _, raw := range items {
		var one struct {
			Namespace, Deployment, ID string
			Pod                       struct{ Name string }
		}
		if err := json.Unmarshal(raw, &one); err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Join([]string{one.Namespace, one.Deployment, one.ID + one.Pod.Name}, "/"))
	}
	return out
}

// walk reads all pages of a size.
func walk(t *testing.T, h http.Handler, path string, query url.Values, limit int, counted bool) []string {
	t.Helper()
	whole := list(t, h, path, query)
	if path == "/v1/decisions" { // which have a limit where none is given
		query.Set("limit", "1000")
		whole = list(t, h, path, query)
	}
	if whole.Metadata != nil {
		t.Fatalf("%s: the whole list has %+v", path, whole.Metadata)
	}
	query.Set("limit", fmt.Sprint(limit))
	var got []string
	for range 100 {
		page := list(t, h, path, query)
		got = append(got, names(t, page.Items)...)
		if len(page.Items) > limit {
			t.Fatalf("%s: a page of %d has %d", path, limit, len(page.Items))
		}
		if page.Metadata == nil || page.Metadata.Continue == "" {
			query.Del("limit")
			query.Del("continue")
			if diff := cmp.Diff(names(t, whole.Items), got); diff != "" {
				t.Fatalf("%s?%s in pages of %d (-whole +pages):\n%s", path, query.Encode(), limit, diff)
			}
			return got
		}
		rest := page.Metadata.RemainingItemCount
		// Merged lists may know by chance.
		if counted && rest == nil || rest != nil && *rest != len(whole.Items)-len(got) {
			t.Fatalf("%s?%s in pages of %d: after %d of %d %+v follow", path, query.Encode(), limit, len(got), len(whole.Items), rest)
		}
		query.Set("continue", page.Metadata.Continue)
	}
	t.Fatalf("%s: it has no end", path)
	return nil
}

func TestLists_PagesOfAnySizeAreTheWholeList(t *testing.T) {
	walked := map[string][]string{}
	for name, h := range fronts(t) {
		for path := range schemas {
			for _, limit := range []int{1, 2, 3, 5, 8, 24, 35, 36, 1000} {
				got := walk(t, h, path, url.Values{}, limit, path != "/v1/pods")
				if want := map[string]int{"/v1/pods": 36, "/v1/decisions": 36}[path]; len(got) != max(want, 24) {
					t.Fatalf("%s: %d items", path, len(got))
				}
				if before := walked[path]; before != nil && !slices.Equal(before, got) {
					t.Errorf("%s of %s is another list than without shards: %v, %v", path, name, got, before)
				}
				walked[path] = got
			}
		}
	}
}

func TestLists_AreChosenByFieldsLabelsAndNames(t *testing.T) {
	for name, h := range fronts(t) {
		for _, c := range []struct {
			path, query string
			want        int
		}{
			{"/v1/applications", "namespace=ns-1", 6},
			{"/v1/applications", "deployment=app-05", 1},
			{"/v1/applications", "namespace=ns-2&deployment=app-05", 0},
			{"/v1/applications", "labelSelector=team%3Dvision", 12},
			{"/v1/applications", "labelSelector=!team", 12},
			{"/v1/applications", "labelSelector=app+in+(app-01,app-02),team%3Dvision", 1},
			{"/v1/applications", "fieldSelector=state%3DAsleep", 6},
			{"/v1/applications", "fieldSelector=state!%3DAsleep,mode%3DObserve", 6},
			{"/v1/applications", "fieldSelector=metadata.name%3Dapp-07", 1},
			{"/v1/applications", "fieldSelector=metadata.namespace%3Dns-3,autoscaler%3Dca-1", 6},
			{"/v1/applications", "labelSelector=team%3Dvision&fieldSelector=mode%3D%3DActive&namespace=ns-0", 4},
			{"/v1/metrics", "fieldSelector=mode%3DActive", 16},
			{"/v1/metrics", "labelSelector=team%3Dvision&deployment=app-02", 1},
			{"/v1/pods", "fieldSelector=alive%3Dtrue", 18},
			{"/v1/pods", "fieldSelector=state%3DReady,node%3Dnode-0", 18},
			{"/v1/pods", "fieldSelector=metadata.name%3Dapp-03-1", 1},
			{"/v1/pods", "fieldSelector=deployment%3Dapp-03,metadata.namespace%3Dns-3", 3},
			{"/v1/pods", "labelSelector=team%3Dvision&fieldSelector=autoscaler%3Dca-0", 12},
			{"/v1/decisions", "fieldSelector=result%3Dfailed,trigger%3DIdle", 12},
			{"/v1/decisions", "fieldSelector=applied%3Dtrue&namespace=ns-2", 6},
			{"/v1/decisions", "fieldSelector=metadata.name%3De-3-1", 1},
			{"/v1/decisions", "trigger=Idle&labelSelector=team%3Dvision", 0},
			{"/v1/decisions", "trigger=StartCall&labelSelector=team%3Dvision&since=2020-01-02T03:04:05Z", 12},
		} {
			query, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			counted := c.path != "/v1/pods" && (c.path == "/v1/decisions" || !query.Has("labelSelector") && !query.Has("fieldSelector"))
			for _, limit := range []int{1, 4, 100} {
				if got := walk(t, h, c.path, query, limit, counted); len(got) != c.want {
					t.Errorf("%s: %s?%s: %v, want %d", name, c.path, c.query, got, c.want)
				}
			}
		}
	}
}

// What stays while pages are read stands in them once, whatever comes and goes.
func TestLists_WhatComesAndGoesHidesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	p := populated(newParts(), func(string) bool { return true })
	h := p.handler(t)
	stays := names(t, list(t, h, "/v1/applications", url.Values{}).Items)
	for range 20 {
		query, seen := url.Values{"limit": {"3"}}, map[string]int{}
		for {
			page := list(t, h, "/v1/applications", query)
			for _, name := range names(t, page.Items) {
				seen[name]++
			}
			if page.Metadata == nil || page.Metadata.Continue == "" {
				break
			}
			query.Set("continue", page.Metadata.Continue)
			k := fleet.Key{Namespace: fmt.Sprint("ns-", random.IntN(4)), Deployment: fmt.Sprintf("app-%02d-new", random.IntN(24))}
			if random.IntN(2) == 0 {
				p.fleet.Forget(k)
			} else {
				p.fleet.Observe(fleet.Observation{Key: k, Autoscaler: "x", Spec: scaling.Spec{MaxReplicas: 1}}, time.Now())
			}
		}
		for name, n := range seen {
			if n != 1 {
				t.Fatalf("%s stands there %d times", name, n)
			}
		}
		for _, name := range stays {
			if seen[name] != 1 {
				t.Fatalf("%s is missing", name)
			}
		}
	}
}

func TestLists_RefuseWhatTheyDoNotKnow(t *testing.T) {
	for name, h := range fronts(t) {
		foreign := list(t, h, "/v1/pods", url.Values{"limit": {"1"}}).Metadata.Continue
		narrow := list(t, h, "/v1/applications", url.Values{"limit": {"1"}, "namespace": {"ns-1"}}).Metadata.Continue
		for _, c := range []struct {
			path, query string
			status      int
			field, says string
		}{
			{"/v1/applications", "fieldSelector=spec.idleTime%3D90", 400, "fieldSelector", "one of the fields metadata.name, metadata.namespace, autoscaler, state, mode"},
			{"/v1/pods", "fieldSelector=state%3DReady,phase%3DRunning", 400, "fieldSelector", "one of the fields metadata.name, metadata.namespace, deployment"},
			{"/v1/metrics", "fieldSelector=cpu%3D1", 400, "fieldSelector", "one of the fields"},
			{"/v1/decisions", "fieldSelector=state%3DAwake", 400, "fieldSelector", "trigger, result, applied"},
			{"/v1/decisions", "fieldSelector=state", 400, "fieldSelector", "FIELD=VALUE"},
			{"/v1/pods", "labelSelector=a%3Db%3Dc", 400, "labelSelector", "a selector as Kubernetes has it"},
			{"/v1/pods", "labelSelector=%3D", 400, "labelSelector", "a selector"},
			{"/v1/pods", "limit=1001", 400, "limit", "from 0 to 1000"},
			{"/v1/pods", "limit=-1", 400, "limit", "from 0 to 1000"},
			{"/v1/pods", "limit=x", 400, "limit", ""},
			{"/v1/decisions", "limit=0", 400, "limit", "from 1 to 1000"},
			{"/v1/pods", "continue=%21", 400, "continue", "must match"},
			{"/v1/pods", "continue=abc", 400, "continue", "as it was"},
			{"/v1/pods", "continue=" + strings.Repeat("a", 2049), 400, "continue", "from 1 to 2048"},
			{"/v1/pods", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NX0", 400, "continue", "as it was"}, // Kubernetes' own
			{"/v1/pods", "continue=MnBvZHM", 410, "continue", "just now"},
			{"/v1/applications", "limit=1&continue=" + foreign, 400, "continue", "the list of pods"},
			{"/v1/applications", "limit=1&continue=" + narrow, 400, "continue", "the same selection"},
			{"/v1/applications", "limit=1&namespace=ns-2&continue=" + narrow, 400, "continue", "the same selection"},
		} {
			w := do(h, "GET", c.path+"?"+c.query, "")
			fits(t, w, "Problem")
			var said struct {
				Errors []struct{ Field, Allowed string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || len(said.Errors) != 1 || said.Errors[0].Field != c.field || !strings.Contains(said.Errors[0].Allowed, c.says) {
				t.Errorf("%s: %s?%.80s: %d %s", name, c.path, c.query, w.Code, w.Body)
			}
		}
		// The size of a page may change on the way, and one may ask for all the rest.
		one := list(t, h, "/v1/applications", url.Values{"limit": {"1"}})
		if rest := list(t, h, "/v1/applications", url.Values{"continue": {one.Metadata.Continue}}); len(rest.Items) != 23 || rest.Metadata == nil || rest.Metadata.Continue != "" {
			t.Errorf("%s: the rest is %d, %+v", name, len(rest.Items), rest.Metadata)
		}
	}
}

func FuzzLabelSet(f *testing.F) {
	f.Add("app", "fib", "team", "vision")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		want := labels.Set{}
		for _, kv := range [][2]string{{a, b}, {c, d}} {
			if !strings.ContainsAny(kv[0]+kv[1], ",=") {
				want[kv[0]] = kv[1]
			}
		}
		var text []string
		for name, value := range want {
			text = append(text, name+"="+value)
		}
		if diff := cmp.Diff(want, labelSet(strings.Join(text, ","))); diff != "" {
			t.Error(diff)
		}
	})
}
