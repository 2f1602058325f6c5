package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
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
	for _, query := range []string{"?for=0h", "?for=8d", "?for=169h", "?for=1", "?for=1h ", "?for=-1h", "?for=1w", "?format=pdf", "?namespace=Not_A_Namespace"} {
		w := do(h, "GET", "/v1/report"+strings.ReplaceAll(query, " ", "%20"), "")
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
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
