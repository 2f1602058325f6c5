package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// written is the history of one application.
type writtenHistory map[fleet.Key]*history.History

func (h writtenHistory) Read(k fleet.Key, of []history.Resolution, now time.Time) (out []history.Series, s history.Savings, known bool) {
	one := h[k]
	if one == nil {
		return nil, s, false
	}
	for _, r := range of {
		series, _ := one.Read(r, now)
		out = append(out, series)
	}
	return out, one.Savings(), true
}

func (h writtenHistory) Savings(k fleet.Key) (history.Savings, bool) {
	_, s, known := h.Read(k, nil, time.Time{})
	return s, known
}

func (h writtenHistory) Report(asked report.Asked, _ time.Time) report.Report {
	b := report.New(asked)
	for k, one := range h {
		if !asked.Wants(k) {
			continue
		}
		a := report.Application{Key: k}
		a.Totals, a.Since = one.Between(asked.From, asked.To)
		b.Add(a)
	}
	return b.Report()
}

func (h writtenHistory) Whole() bool { return true }

// aHistoryAway is that of a replica that does not lead.
type aHistoryAway struct{ writtenHistory }

func (aHistoryAway) Whole() bool { return false }

func TestHistory_ShowsTheRingsThatAreAskedFor(t *testing.T) {
	p := newParts()
	one := &history.History{}
	for s := 120; s > 0; s -= 5 {
		one.Add(time.Now().Add(-time.Duration(s)*time.Second), time.Now().Add(-time.Duration(s-5)*time.Second), history.Sample{Pods: 1, Replicas: 1, Ready: 1, Maximum: 3, Arrivals: 2})
	}
	p.history = writtenHistory{key: one}
	h := p.handler(t)
	for query, want := range map[string]string{"": "seconds minutes hours", "?resolution=minutes": "minutes", "?resolution=hours": "hours"} {
		w := do(h, "GET", "/v1/applications/default/fib/history"+query, "")
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		fits(t, w, "ApplicationHistory")
		var got autoscaler.ApplicationHistory
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var rings []string
		for _, r := range got.Rings {
			rings = append(rings, string(r.Resolution))
			n := len(r.Arrivals)
			total := int64(0)
			for _, v := range r.Arrivals {
				total += v
			}
			if n == 0 || len(r.Observed) != n || len(r.Waiting) != n || len(r.Replicas) != n || len(r.ReadyReplicas) != n || len(r.PodSeconds) != n || len(r.Decisions) != n || total < 46 || total > 50 {
				t.Errorf("%s: %d slots, %d requests: %+v", r.Resolution, n, total, r)
			}
		}
		if strings.Join(rings, " ") != want || got.Savings == nil || got.Savings.PodSeconds < 119 || got.Savings.SavedAgainstMaximum < 238 {
			t.Errorf("%s: %v, %+v", query, rings, got.Savings)
		}
	}
	w := do(h, "GET", "/v1/applications/default/fib", "")
	if !strings.Contains(w.Body.String(), `"savedAgainstMaximum"`) {
		t.Errorf("the application says what was saved: %s", w.Body)
	}
}

func TestHistory_OfWhatIsNotThereOrNotKept(t *testing.T) {
	h := newParts().handler(t)
	for target, status := range map[string]int{
		"/v1/applications/default/fib/history":                  http.StatusOK,
		"/v1/applications/default/other/history":                http.StatusNotFound,
		"/v1/applications/default/fib/history?resolution=years": http.StatusBadRequest,
		"/v1/applications/default/fib/histories":                http.StatusNotFound,
		"/v1/applications/Not_A_Namespace/fib/history":          http.StatusBadRequest,
	} {
		w := do(h, "GET", target, "")
		if w.Code != status {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if status == http.StatusOK && !strings.Contains(w.Body.String(), `"rings":[]`) {
			t.Errorf("%s: %s", target, w.Body)
		}
	}
}
