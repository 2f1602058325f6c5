package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Of three shards "models" is in the first, "b" in the second and "shop" in the third.
const three = 3

func in(t *testing.T, namespace string, want int) {
	t.Helper()
	if got := shard.Of(namespace, three); got != want {
		t.Fatalf("%s is in shard %d of %d, want %d", namespace, got, three, want)
	}
}

// desk is one shard: parts, and what it was told.
type desk struct {
	*parts
	reports []autoscaler.TrafficReport
	pushes  []string
	receipt autoscaler.TrafficReceipt
}

func (d *desk) ReportTraffic(_ context.Context, in autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	d.reports = append(d.reports, *in.Body)
	if d.err != nil {
		return nil, d.err
	}
	d.receipt.Status = autoscaler.TrafficReceived
	return autoscaler.ReportTraffic200JSONResponse(d.receipt), nil
}

func (d *desk) SubmitPodMetrics(_ context.Context, in autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	d.pushes = append(d.pushes, in.Body.Namespace+"/"+in.Body.PodName)
	return autoscaler.SubmitPodMetrics200JSONResponse{Status: autoscaler.MetricsReceived}, nil
}

// desks are three shards, each with an application in its namespace.
func desks(t *testing.T) []*desk {
	t.Helper()
	list := make([]*desk, three)
	for i, namespace := range []string{"models", "b", "shop"} {
		p := newParts()
		p.fleet.Forget(key)
		p.fleet = fleet.New(fmt.Sprintf("e%d", i))
		p.fleet.Observe(fleet.Observation{
			Key: fleet.Key{Namespace: namespace, Deployment: "app"}, Autoscaler: "app", Since: long, Spec: scaling.Spec{MaxReplicas: 1, WakeUpTimeout: time.Minute}, Address: fleet.Address{Prefix: "/" + namespace},
			Deployment: fleet.Deployment{Found: true, Replicas: 1, Created: long},
			Pods:       []fleet.Pod{{Name: "p", Address: "10.0.0.1:80", Ready: true, CreatedAt: long, ReadyAt: long}},
		}, time.Now())
		p.records[0].Time, p.records[0].Namespace, p.records[0].ID = long.Add(time.Duration((i+2)%three)*time.Second), namespace, namespace
		p.started = fleet.Started{State: fleet.Waking, Message: namespace}
		leads, epoch := true, fmt.Sprintf("e%d", i)
		list[i] = &desk{parts: p, receipt: autoscaler.TrafficReceipt{Epoch: &epoch, Leader: &leads}}
	}
	return list
}

// front is the API of a replica with these shards. elsewhere is where another layout is in force.
func front(t *testing.T, list []*desk, elsewhere *parts) http.Handler {
	t.Helper()
	each := make([]Shard, len(list))
	for i, d := range list {
		each[i] = Shard{Fleet: d.fleet, Control: d, Traffic: d, Metrics: d, Leadership: d, News: d.board, History: d.history}
	}
	h, err := NewSharded(Options{
		Objects: elsewhere, Settings: elsewhere, Leadership: elsewhere, Meter: elsewhere, Log: slog.New(slog.DiscardHandler),
		Missing: func() string { return elsewhere.missing }, Ending: elsewhere.ending, Dial: elsewhere.dial, Guard: elsewhere.guard, Claims: elsewhere.claims,
	}, each)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSharded_EachCallGoesToTheShardOfItsNamespace(t *testing.T) {
	list := desks(t)
	h := front(t, list, newParts())
	for i, namespace := range []string{"models", "b", "shop"} {
		in(t, namespace, i)
		w := do(h, "POST", "/v1/namespaces/"+namespace+"/deployments/app/start", `{"balancer":"lb","waiting":1}`)
		if w.Code != 200 || !strings.Contains(w.Body.String(), namespace) || len(list[i].calls) != 1 {
			t.Errorf("start in %s: %d %s", namespace, w.Code, w.Body)
		}
		if w := do(h, "GET", "/v1/applications/"+namespace+"/app", ""); w.Code != 200 {
			t.Errorf("application in %s: %d %s", namespace, w.Code, w.Body)
		}
		if w := do(h, "POST", "/metrics", `{"podName":"p","namespace":"`+namespace+`","metrics":{}}`); w.Code != 200 || !slices.Equal(list[i].pushes, []string{namespace + "/p"}) {
			t.Errorf("push of %s: %d %s, taken %v", namespace, w.Code, w.Body, list[i].pushes)
		}
		for _, path := range []string{"/v1/applications", "/v1/pods", "/v1/metrics"} {
			if w := do(h, "GET", path+"?namespace="+namespace, ""); w.Code != 200 || strings.Count(w.Body.String(), `"deployment":"app"`) != 1 {
				t.Errorf("%s of %s: %d %s", path, namespace, w.Code, w.Body)
			}
		}
	}
	for _, target := range []string{"/metrics", "/v1/traffic"} {
		if w := do(h, "POST", target, "{"); w.Code != 400 {
			t.Errorf("POST %s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := do(h, "GET", "/v1/nothing", ""); w.Code != 404 {
		t.Errorf("an unknown path: %d", w.Code)
	}
	if w := do(h, "PUT", settingsPath, "{}"); w.Code != 200 {
		t.Errorf("settings: %d %s", w.Code, w.Body)
	}
}

func TestSharded_ListsAreMergedInTheirOrder(t *testing.T) {
	h := front(t, desks(t), newParts())
	for path, c := range map[string]struct{ schema, want string }{
		"/v1/applications":      {"ApplicationList", "b models shop"},
		"/v1/pods":              {"PodList", "b models shop"},
		"/v1/metrics":           {"ApplicationMetricsList", "b models shop"},
		"/v1/decisions":         {"DecisionList", "models shop b"}, // the newest first
		"/v1/decisions?limit=2": {"DecisionList", "models shop"},
	} {
		w := do(h, "GET", path, "")
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		fits(t, w, c.schema)
		var list struct{ Items []struct{ Namespace string } }
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range list.Items {
			got = append(got, one.Namespace)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", path, got, c.want)
		}
	}
	if w := do(h, "GET", "/v1/decisions?limit=0x", ""); w.Code != 400 {
		t.Errorf("a limit that is none: %d %s", w.Code, w.Body)
	}
}

// All decisions are there from when they are in each shard; where one does not say, nobody knows.
func TestSharded_DecisionsAreCompleteWhereTheyAreInEach(t *testing.T) {
	list := desks(t)
	h := front(t, list, newParts())
	complete := func() string {
		w := do(h, "GET", "/v1/decisions", "")
		fits(t, w, "DecisionList")
		var all autoscaler.DecisionList
		if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || len(all.Items) != three {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if all.CompleteSince == nil {
			return ""
		}
		return all.CompleteSince.Format(time.RFC3339Nano)
	}
	if got := complete(); got != "" {
		t.Errorf("complete since %s, which nobody said", got)
	}
	for i, minute := range []int{5, 9, 7} {
		list[i].complete = time.Date(2026, 1, 2, 3, minute, 0, 1, time.UTC)
	}
	if got := complete(); got != "2026-01-02T03:09:00.000000001Z" {
		t.Errorf("complete since %s", got)
	}
	list[2].complete = time.Time{}
	if got := complete(); got != "" {
		t.Errorf("complete since %s, which one did not say", got)
	}
}

const reported = `{"balancer":"lb","startedAt":"2026-01-02T03:04:05Z","sequence":%d,"leaving":false,"later":{"x":1}%s,"applications":[%s]}`

func quietApp(namespace string) string {
	return fmt.Sprintf(`{"namespace":%q,"deployment":"app","inFlight":1,"streaming":0,"waiting":0,"waitingBytes":0,"requests":5,"failures":0,"rejected":0}`, namespace)
}

func tell(t *testing.T, h http.Handler, sequence int, more, apps string) (out autoscaler.TrafficReceipt) {
	t.Helper()
	w := do(h, "POST", "/v1/traffic", fmt.Sprintf(reported, sequence, more, apps))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	fits(t, w, "TrafficReceipt")
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSharded_AReportGoesToEveryShardWithItsOwnApplications(t *testing.T) {
	list := desks(t)
	h := front(t, list, newParts())
	first := tell(t, h, 1, "", quietApp("models")+","+quietApp("shop"))
	if !*first.Leader || first.Resync != nil || len(*first.Shards) != three {
		t.Errorf("got %+v", first)
	}
	for i, want := range []int{1, 0, 1} {
		r := list[i].reports[0]
		if len(list[i].reports) != 1 || len(r.Applications) != want || r.Sequence != 1 || r.Epoch != nil {
			t.Errorf("shard %d was told %+v", i, list[i].reports)
		}
		if s := (*first.Shards)[i]; s.Epoch != fmt.Sprintf("e%d", i) || !*s.Leader || s.Resync != nil {
			t.Errorf("shard %d says %+v", i, s)
		}
	}
	// What is said to each alone is said to it alone, and any replica can.
	delta := `,"delta":true,"epoch":"x","shards":[{"epoch":"e0","delta":true,"routesVersion":"a.1"},{"epoch":"e1","delta":false},{}]`
	if got := tell(t, front(t, list, newParts()), 2, delta, ""); *got.Epoch != *first.Epoch || got.Resync != nil {
		t.Errorf("the same leaders: %+v", got)
	}
	for i, want := range []string{"e0 true a.1", "e1 false ", " false "} {
		r := list[i].reports[1]
		if got := fmt.Sprint(value(r.Epoch, ""), value(r.Delta, false), value(r.RoutesVersion, "")); strings.ReplaceAll(want, " ", "") != strings.ReplaceAll(got, " ", "") || r.Shards != nil || len(r.Applications) != 0 {
			t.Errorf("shard %d was told %+v", i, r)
		}
	}
	// A shard with a new leader asks for everything, and no other does.
	epoch, all, leads := "e9", true, false
	list[1].receipt = autoscaler.TrafficReceipt{Epoch: &epoch, Resync: &all, Leader: &leads}
	third := tell(t, h, 3, delta, "")
	if *third.Epoch == *first.Epoch || third.Resync == nil || !*third.Resync || *third.Leader {
		t.Errorf("a new leader: %+v", third)
	}
	for i, s := range *third.Shards {
		if value(s.Resync, false) != (i == 1) || i == 1 && s.Epoch != "e9" {
			t.Errorf("shard %d says %+v", i, s)
		}
	}
}

func TestSharded_AReportThatNobodyCanDivideIsAskedForAnewAndGoesToNobody(t *testing.T) {
	list := desks(t)
	for name, more := range map[string]string{
		"a delta to no shard":          `,"delta":true,"epoch":"s123"`,
		"another number of shards":     `,"epoch":"s123","shards":[{"epoch":"a"},{"epoch":"b"}]`,
		"a delta to another number":    `,"epoch":"s123","delta":true,"shards":[{"delta":true},{},{},{}]`,
		"no shard at all, which is no": `,"epoch":"s123","shards":[]`,
	} {
		got := tell(t, front(t, list, newParts()), 7, more, quietApp("b"))
		if got.Resync == nil || !*got.Resync || *got.Epoch != "s123" || got.Shards != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for i, d := range list {
		if len(d.reports) != 0 {
			t.Errorf("shard %d was told %+v", i, d.reports)
		}
	}
	for _, bad := range []string{`,"shards":7`, `,"shards":[1,2,3]`, `,"shards":[{"epoch":7},{},{}]`, `,"delta":"x"`} {
		if w := do(front(t, list, newParts()), "POST", "/v1/traffic", fmt.Sprintf(reported, 8, bad, "")); w.Code != 400 {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
}

func TestSharded_OfAReportThatOneShardDoesNotTakeThatPartIsToldAgain(t *testing.T) {
	list := desks(t)
	h := front(t, list, newParts())
	list[1].err = context.DeadlineExceeded
	if w := do(h, "POST", "/v1/traffic", fmt.Sprintf(reported, 1, "", "")); w.Code < 500 {
		t.Errorf("one that can only be told again to all: %d %s", w.Code, w.Body)
	}
	each := `,"epoch":"x","shards":[{"epoch":"e0"},{"epoch":"e1"},{"epoch":"e2"}]`
	got := tell(t, h, 2, each, "")
	if !*got.Resync || *got.Leader {
		t.Errorf("got %+v", got)
	}
	for i, s := range *got.Shards {
		if value(s.Resync, false) != (i == 1) || (s.Epoch == "") != (i == 1) {
			t.Errorf("shard %d says %+v", i, s)
		}
	}
	list[0].err, list[2].err = context.DeadlineExceeded, context.DeadlineExceeded
	if w := do(h, "POST", "/v1/traffic", fmt.Sprintf(reported, 3, each, "")); w.Code < 500 {
		t.Errorf("one that nobody has taken: %d %s", w.Code, w.Body)
	}
}

// A load balancer that knows no shards follows a version of all routes. Whoever it reports to, each shard
// hears which of its own versions that is.
func TestSharded_WhoKnowsNoShardsIsUnderstoodToFollowTheRoutesOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := desks(t)
		first := lead(t, front(t, leader, newParts()))
		list := desks(t)
		list[0].leader = leaderAddress // of the first shard alone
		elsewhere := newParts()
		elsewhere.dial = first.dial
		h := front(t, list, elsewhere)
		all := routesOf(t, h, "?wait=0s")
		if again := routesOf(t, h, "?wait=0s"); again.Version != all.Version {
			t.Errorf("the same routes have the versions %s and %s", all.Version, again.Version)
		}
		// The replica that gave it out divides the report, as if it came to it; all its shards are its own.
		tell(t, h, 1, `,"routesVersion":"`+all.Version+`"`, quietApp("shop"))
		for i, d := range leader {
			if len(d.reports) != 1 || value(d.reports[0].RoutesVersion, "") != routesOf(t, front(t, leader, newParts()), fmt.Sprintf("?wait=0s&shard=%d", i)).Version {
				t.Errorf("shard %d was told %+v", i, d.reports)
			}
			if len(list[i].reports) != 0 {
				t.Errorf("shard %d was told here", i)
			}
		}
		tell(t, h, 2, `,"routesVersion":"s1.0"`, "") // which nobody gave out
		for i, d := range leader {
			if len(d.reports) != 2 || d.reports[1].RoutesVersion != nil {
				t.Errorf("shard %d was told %+v", i, d.reports)
			}
		}
		// Without that replica it is divided here, and nobody is known to follow anything.
		elsewhere.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("away") }
		tell(t, front(t, list, elsewhere), 3, `,"routesVersion":"`+all.Version+`"`, "")
		for i, d := range list {
			if len(d.reports) != 1 || d.reports[0].RoutesVersion != nil {
				t.Errorf("shard %d was told %+v", i, d.reports)
			}
		}
		if !slices.Contains(elsewhere.failedOf, "all") && !slices.Contains(list[0].failedOf, "all") {
			t.Error("that it was not reached is not counted")
		}
	})
}

func TestSharded_ABatchIsDividedAndItsReceiptNamesThePlacesInTheWhole(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{}
	port := func(name, receipt string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			got[name] = string(body)
			_, _ = io.WriteString(w, receipt)
		})
	}
	s := &sharded{Options: Options{Log: slog.New(slog.DiscardHandler)}, ports: []http.Handler{
		port("0", `{"accepted":1}`), port("1", `{"accepted":0,"refused":[{"index":1,"reason":"r","later":2}]}`), port("2", `{}`),
	}}
	w := do(s, "POST", "/v1/pod-metrics", `{"collector":"c","items":[{"namespace":"b","n":0},{"namespace":"models","n":1},{"namespace":"b","n":2}]}`)
	if want := `{"accepted":1,"refused":[{"index":2,"later":2,"reason":"r"}]}`; strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if want := map[string]string{
		"0": `{"collector":"c","items":[{"namespace":"models","n":1}]}`, "1": `{"collector":"c","items":[{"namespace":"b","n":0},{"namespace":"b","n":2}]}`,
	}; !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{`{"items":[]}`, `{"items":null}`, `[]`, `{`} {
		clear(got)
		if do(s, "POST", "/v1/pod-metrics", bad); got["0"] != bad || len(got) != 1 {
			t.Errorf("%s: %v; want it refused by one", bad, got)
		}
	}
}

// shortFront is like front, with the short way of pushes.
func shortFront(t *testing.T, list []*desk, elsewhere *parts, e *eager) http.Handler {
	t.Helper()
	each := make([]Shard, len(list))
	for i, d := range list {
		each[i] = Shard{Fleet: d.fleet, Control: d, Traffic: d, Metrics: d, Leadership: d, News: d.board, History: d.history}
	}
	h, err := NewSharded(Options{
		Objects: elsewhere, Settings: elsewhere, Leadership: elsewhere, Meter: elsewhere, Log: slog.New(slog.DiscardHandler),
		Missing: func() string { return "" }, Ending: elsewhere.ending, Dial: elsewhere.dial, Guard: elsewhere.guard, Pushes: e,
	}, each)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSharded_APartOfABatchGoesToTheLeaderOfItsShardByTheShortWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &eager{}
		far := lead(t, shortFront(t, desks(t), newParts(), there))
		list := desks(t)
		list[1].leader = leaderAddress
		elsewhere := newParts()
		elsewhere.dial = far.dial
		here := &eager{passes: true}
		h := shortFront(t, list, elsewhere, here)
		const batch = `{"items":[{"podName":"elsewhere"}]}`
		if w := do(h, "POST", batchPath, batch); w.Code != 200 || len(here.got) != 1 || !slices.Equal(there.got, here.got) || !strings.Contains(w.Body.String(), `"accepted":7`) {
			t.Errorf("%d %s; here %q, there %q", w.Code, w.Body, here.got, there.got)
		}
		there.err = fault.New(fault.TooMany, "no more")
		if w := do(h, "POST", batchPath, batch); w.Code != 429 || !strings.Contains(w.Body.String(), "no more") {
			t.Errorf("a part that is refused: %d %s", w.Code, w.Body)
		}
		// One that counts the shards differently is told so by whoever gets it, and takes the part itself.
		two := shortFront(t, list[:2], elsewhere, here)
		there.got = nil
		if w := do(two, "POST", batchPath, `{"items":[{"podName":"elsewhere","namespace":"b","metrics":{}}]}`); len(there.got) != 0 || !slices.Contains(list[1].failedOf, "1") && !slices.Contains(elsewhere.failedOf, "1") {
			t.Errorf("%d %s; there %q, failed %v", w.Code, w.Body, there.got, elsewhere.failedOf)
		}
	})
}

func TestVectors_AreBounded(t *testing.T) {
	var v vectors
	first := v.keep([]string{"a", "b"})
	if got := v.find(first); !slices.Equal(got, []string{"a", "b"}) || v.find("s1.0") != nil || v.keep([]string{"a", "b"}) != first {
		t.Errorf("got %v", got)
	}
	for i := range maxVectors {
		v.keep([]string{"a", fmt.Sprint(i)})
	}
	if v.find(first) != nil || len(v.known) != maxVectors || len(v.order) != maxVectors {
		t.Errorf("%d known", len(v.known))
	}
}

func routesOf(t *testing.T, h http.Handler, query string) (out autoscaler.RoutesUpdate) {
	t.Helper()
	w := do(h, "GET", "/v1/routes"+query, "")
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	fits(t, w, "RoutesUpdate")
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSharded_RoutesAreThoseOfTheShardOrOfAll(t *testing.T) {
	list := desks(t)
	h := front(t, list, newParts())
	one := routesOf(t, h, "?wait=0s&shard=1")
	if len(one.Applications) != 1 || one.Applications[0].Namespace != "b" || *one.Shard != 1 || *one.Shards != three {
		t.Errorf("one shard: %+v", one)
	}
	all := routesOf(t, h, "?wait=0s")
	if len(all.Applications) != three || !all.Complete || all.Shard != nil || *all.Shards != three {
		t.Errorf("all: %+v", all)
	}
	if again := routesOf(t, h, "?wait=0s&after="+all.Version); again.Version != all.Version || !again.Complete {
		t.Errorf("again: %+v", again)
	}
	for _, bad := range []string{"3", "-1", "x"} {
		if w := do(h, "GET", "/v1/routes?wait=0s&shard="+bad, ""); w.Code != 400 {
			t.Errorf("shard %s: %d %s", bad, w.Code, w.Body)
		}
	}
}

func TestSharded_APollOfAllRoutesEndsWithAChangeOfAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := desks(t)
		h := front(t, list, newParts())
		all := routesOf(t, h, "?wait=0s")
		began := time.Now()
		if quiet := routesOf(t, h, "?wait=20s&after="+all.Version); time.Since(began) != 20*time.Second || quiet.Version != all.Version || quiet.Complete || len(quiet.Applications) != 0 {
			t.Errorf("nothing changed: %+v after %v", quiet, time.Since(began))
		}
		answered := make(chan autoscaler.RoutesUpdate, 1)
		go func() { answered <- routesOf(t, h, "?wait=20s&after="+all.Version) }()
		synctest.Wait()
		list[1].fleet.Forget(fleet.Key{Namespace: "b", Deployment: "app"})
		if now := <-answered; !now.Complete || len(now.Applications) != 2 || now.Version == all.Version {
			t.Errorf("a change: %+v", now)
		}
		for _, d := range list {
			if len(d.polls)%2 != 0 {
				t.Error("a poll is left")
			}
		}
	})
}

func TestMergedRoutes_LeaveALoadBalancerOutOnlyWhenEveryShardDoes(t *testing.T) {
	named := func(names ...string) shardRoutes {
		list := []autoscaler.LiveBalancer{}
		for _, n := range names {
			list = append(list, autoscaler.LiveBalancer{Name: n, StartedAt: long})
		}
		return shardRoutes{Balancers: &list}
	}
	for _, c := range []struct {
		parts []shardRoutes
		want  string
	}{
		{[]shardRoutes{named("b", "a"), named("c", "a")}, "a b c"},
		{[]shardRoutes{named("a"), named()}, ""},
		{[]shardRoutes{named("a"), {}}, ""},
	} {
		var got []string
		for _, b := range *mergedRoutes(c.parts).Balancers {
			got = append(got, b.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v, want %q", got, c.want)
		}
	}
	old, newer := autoscaler.SettingsVersion(3), autoscaler.SettingsVersion(4)
	merged := mergedRoutes([]shardRoutes{
		{Settings: json.RawMessage(`"old"`), SettingsVersion: &old}, {Settings: json.RawMessage(`"newer"`), SettingsVersion: &newer}, {},
	})
	if string(merged.Settings) != `"newer"` || *merged.SettingsVersion != newer {
		t.Errorf("settings: %s", merged.Settings)
	}
}

func TestSharded_AFollowerAsksTheLeaderOfTheShardForTheShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := desks(t)
		far := lead(t, front(t, leader, newParts()))
		list := desks(t)
		list[1].leader = leaderAddress // of the others this one is
		elsewhere := newParts()
		elsewhere.dial = far.dial
		h := front(t, list, elsewhere)
		for i, namespace := range []string{"models", "b", "shop"} {
			w := do(h, "POST", "/v1/namespaces/"+namespace+"/deployments/app/start", `{"balancer":"lb","waiting":1}`)
			far := i == 1
			if w.Code != 200 || (len(leader[i].calls) == 1) != far || (len(list[i].calls) == 1) == far {
				t.Errorf("%s: %d; %d here, %d there", namespace, w.Code, len(list[i].calls), len(leader[i].calls))
			}
		}
		if all := routesOf(t, h, "?wait=0s"); len(all.Applications) != three {
			t.Errorf("routes: %+v", all)
		}
		// One that counts the shards differently gets nothing that it would misunderstand.
		two := front(t, list[:2], elsewhere)
		if w := do(two, "POST", "/v1/namespaces/models/deployments/app/start", `{"balancer":"lb","waiting":1}`); w.Code != 200 || len(leader[1].calls) != 1 || !slices.Equal(elsewhere.failedOf, []string{"1"}) {
			t.Errorf("%d; %d there, %d failed", w.Code, len(leader[1].calls), elsewhere.failed)
		}
	})
}

func TestSharded_WhileAnotherLayoutIsInForceEveryCallGoesThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := desks(t)
		elsewhere := lead(t, front(t, theirs, newParts()))
		ours := desks(t)[:2]
		h := front(t, ours, elsewhere)
		if w := do(h, "POST", "/v1/traffic", fmt.Sprintf(reported, 1, "", quietApp("b"))); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		for i, d := range theirs {
			if len(d.reports) != 1 {
				t.Errorf("their shard %d has %d reports", i, len(d.reports))
			}
		}
		if w := do(h, "POST", "/v1/namespaces/b/deployments/app/start", `{"balancer":"lb","waiting":1}`); w.Code != 200 || len(theirs[1].calls) != 1 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if len(ours[0].reports)+len(ours[1].reports)+len(ours[0].calls)+len(ours[1].calls) != 0 {
			t.Error("something was taken here")
		}
	})
}

func TestWhole_AnOlderRelayIsGivenNoStream(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/v1/routes?stream=true&wait=1s", http.NoBody)
	r.Header.Set(relayedHeader, "1")
	if got := whole(r); got.Header.Get(relayedHeader) != "" || got.URL.RawQuery != "wait=1s" {
		t.Errorf("got %v", got.URL)
	}
	r.Header.Set(relayedHeader, relaysStreams)
	if got := whole(r); got.Header.Get(relayedHeader) != "" || got.URL.Query().Get("stream") != "true" {
		t.Errorf("got %v", got.URL)
	}
}
