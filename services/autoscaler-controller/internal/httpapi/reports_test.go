package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// ranFor is the history of an application that had a pod for the last seconds, and was woken once.
func ranFor(seconds int, took time.Duration) *history.History {
	h, now := &history.History{}, time.Now()
	for s := seconds; s > 0; s -= 5 {
		one := history.Sample{Pods: 1, Replicas: 1, Ready: 1, Maximum: 3, Arrivals: 2}
		if s <= 5 {
			one.Wakes, one.Failures = []history.Wake{{Took: took}}, 1
		}
		h.Add(now.Add(-time.Duration(s)*time.Second), now.Add(-time.Duration(s-5)*time.Second), one)
	}
	return h
}

func TestReport_IsWrittenAsItIsAskedFor(t *testing.T) {
	p := newParts()
	p.history = writtenHistory{key: ranFor(60, 2*time.Second)}
	h := p.handler(t)
	for query, want := range map[string]struct{ media, says string }{
		"":                                {"application/json", `"podSeconds":60`},
		"?format=json&for=1h":             {"application/json", `"wakeUps":{"ended":1,"failed":0,"late":0,"medianSeconds":1.97`},
		"?format=markdown&for=7d":         {"text/markdown; charset=utf-8", "# Nemesis, all namespaces: a week\n"},
		"?format=html&namespace=default":  {"text/html; charset=utf-8", "<title>Nemesis, namespace default: a day</title>"},
		"?format=markdown&namespace=none": {"text/markdown; charset=utf-8", "There are no applications here"},
		"?deployment=" + key.Deployment:   {"application/json", `"podSeconds":60`},
		"?deployment=x&deployment=y":      {"application/json", `"applications":0`},
	} {
		w := do(h, "GET", "/v1/report"+query, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != want.media || !strings.Contains(w.Body.String(), want.says) {
			t.Errorf("%s: %d %s, want %q: %s", query, w.Code, w.Header().Get("Content-Type"), want.says, w.Body)
		}
		if want.media == "application/json" {
			fits(t, w, "Report")
		} else if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: a browser may run what it shows: %v", query, w.Header())
		}
	}
}

func TestReport_IsOfThePeriodThatIsAskedFor(t *testing.T) {
	p := newParts()
	h := p.handler(t) // without a history
	for query, hours := range map[string]int{"": 24, "?for=1h": 1, "?for=36h": 36, "?for=168h": 168, "?for=1d": 24, "?for=7d": 168} {
		before := time.Now()
		w := do(h, "GET", "/v1/report"+query, "")
		var got autoscaler.Report
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %v %s", query, w.Code, err, w.Body)
		}
		if got.To.Before(before) || !got.From.Equal(got.To.Add(-time.Duration(hours)*time.Hour).Truncate(time.Hour)) || got.Items == nil {
			t.Errorf("%s: from %v to %v, %v", query, got.From, got.To, got.Items)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Hour)
	w := do(h, "GET", "/v1/report?for=7d&until="+yesterday.Format(time.RFC3339), "")
	var got autoscaler.Report
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || !got.To.Equal(yesterday) || !got.From.Equal(yesterday.Add(-7*24*time.Hour)) {
		t.Errorf("of the week until yesterday: %s, %v", w.Body, err)
	}
	for _, moment := range []time.Duration{time.Hour, -9 * 24 * time.Hour} {
		w := do(h, "GET", "/v1/report?until="+time.Now().Add(moment).UTC().Format(time.RFC3339), "")
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"until"`) || !strings.Contains(w.Body.String(), "the last eight days") {
			t.Errorf("until %v from now: %d %s", moment, w.Code, w.Body)
		}
	}
	for _, query := range []string{"?until=yesterday", "?deployment=", "?for=0h", "?for=8d", "?for=169h", "?for=1", "?for=1h ", "?for=-1h", "?for=1w", "?format=pdf", "?namespace=Not_A_Namespace"} {
		w := do(h, "GET", "/v1/report"+strings.ReplaceAll(query, " ", "%20"), "")
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// A replica that does not lead, or has just begun to, says so: it would tell of no applications otherwise, and of no past.
func TestReport_IsNotOfWhatOnlyTheLeaderKnows(t *testing.T) {
	p := newParts()
	p.history = aHistoryAway{}
	h := p.handler(t)
	for _, path := range []string{"/v1/report", "/v1/report?format=html", "/v1/applications/default/fib/history"} {
		w := do(h, "GET", path, "")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "the replica that leads") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// Who is sent one report on all shards has it made by the way that everybody goes.
func TestEverywhere_IsTheReportOfAllShards(t *testing.T) {
	list := desks(t)
	for i, took := range []time.Duration{time.Second, 3 * time.Second, 9 * time.Second} {
		list[i].history = writtenHistory{{Namespace: []string{"models", "b", "shop"}[i], Deployment: "app"}: ranFor(30, took)}
	}
	serves := func(change func(url.Values)) func() string {
		all := front(t, list, newParts())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			change(query)
			r.URL.RawQuery = query.Encode()
			all.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String
	}
	asIs := func(url.Values) {}
	e := &Everywhere{Address: serves(asIs), Client: httpclient.New(httpclient.Options{})}
	to := time.Now().Truncate(time.Hour)
	asked := report.Asked{From: to.Add(-24 * time.Hour), To: to}
	r, err := e.Report(t.Context(), asked)
	if err != nil || r.Applications != 3 || !r.From.Equal(asked.From) || !r.To.Equal(asked.To) {
		t.Errorf("%+v, %v", r, err)
	}
	asked.Deployments = []string{"other"}
	if r, err = e.Report(t.Context(), asked); err != nil || r.Applications != 0 {
		t.Errorf("of other Deployments: %+v, %v", r, err)
	}
	e.Address = serves(func(query url.Values) { query.Del("until") })
	if r, err = e.Report(t.Context(), asked); !fault.Is(err, fault.Unavailable) {
		t.Errorf("one that knows no until made a report of another time: %+v, %v", r, err)
	}
	list[1].history = aHistoryAway{}
	e.Address = serves(asIs)
	if r, err = e.Report(t.Context(), asked); !fault.Is(err, fault.Unavailable) {
		t.Errorf("one shard has no leader: %+v, %v", r, err)
	}
}

func TestReport_IsOfTheNamespacesThatTheCallerMaySee(t *testing.T) {
	p := guarding(mayAll("list/ default"))
	other := fleet.Key{Namespace: "other", Deployment: "x"}
	p.history = writtenHistory{key: ranFor(10, time.Second), other: ranFor(10, time.Second)}
	w := do(p.handler(t), "GET", "/v1/report", "", "Authorization", "Bearer jane")
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"other"`) || !strings.Contains(w.Body.String(), `"applications":1`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSharded_TheReportIsOfAllShards(t *testing.T) {
	list := desks(t)
	for i, took := range []time.Duration{time.Second, 3 * time.Second, 9 * time.Second} {
		k := fleet.Key{Namespace: []string{"models", "b", "shop"}[i], Deployment: "app"}
		list[i].history = writtenHistory{k: ranFor(30, took)}
	}
	h := front(t, list, newParts())
	w := do(h, "GET", "/v1/report", "")
	fits(t, w, "Report")
	var got autoscaler.Report
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	woken := got.Totals.WakeUps
	if got.Applications != 3 || got.Totals.PodSeconds != 90 || woken.Ended != 3 || *woken.MedianSeconds < 2.9 || *woken.MedianSeconds > 3.1 || *woken.P95Seconds < 8.6 {
		t.Errorf("%s", w.Body)
	}
	var names []string
	for _, i := range got.Items {
		names = append(names, i.Namespace)
		if i.Totals.WakeUps.Ended != 1 || i.Totals.WakeUps.MedianSeconds == nil {
			t.Errorf("%+v", i)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"b", "models", "shop"}) {
		t.Errorf("%v", names)
	}
	for query, want := range map[string]string{"?format=markdown": "3 applications.", "?format=html&for=2d": "<title>Nemesis, all namespaces: 2 days</title>", "?format=markdown&namespace=b": "1 application."} {
		if w := do(h, "GET", "/v1/report"+query, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	for _, query := range []string{"?format=pdf", "?for=9d"} {
		if w := do(h, "GET", "/v1/report"+query, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}
