package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// counted are the counts of so many applications.
type counted struct {
	traffic  []dispatch.Traffic
	restored int
}

func (c *counted) Report() (string, []dispatch.Traffic) { return "v1", c.traffic }
func (c *counted) Changed() (string, []dispatch.Traffic, int) {
	return "v1", c.traffic, len(c.traffic)
}
func (c *counted) Restore(t []dispatch.Traffic) { c.restored += len(t) }

func applications(n int) *counted {
	c := &counted{traffic: make([]dispatch.Traffic, n)}
	for i := range c.traffic {
		c.traffic[i].App = routing.Application{Namespace: "default", Deployment: fmt.Sprintf("app-%d", i)}
	}
	return c
}

// reported sends one report to a controller that refuses the part with the number refuse, and
// returns what it was told.
func reported(t *testing.T, counts Counts, refuse int, leaving bool) (parts []autoscaler.TrafficReport, err error) {
	t.Helper()
	// In a bubble the clock stands still while somebody waits for the network: a machine that is too busy
	// for thousands of applications within the report's two seconds is no controller that is away.
	synctest.Test(t, func(t *testing.T) { parts, err = send(t, counts, refuse, leaving) })
	return parts, err
}

func send(t *testing.T, counts Counts, refuse int, leaving bool) (parts []autoscaler.TrafficReport, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var part autoscaler.TrafficReport
		if err := json.NewDecoder(r.Body).Decode(&part); err != nil {
			t.Error(err)
		}
		parts = append(parts, part)
		w.Header().Set("Content-Type", "application/json")
		if len(parts) == refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(`{"status":"` + string(autoscaler.TrafficReceived) + `"}`))
	}))
	defer server.Close()
	c, err := New(Options{
		URL: server.URL, Identity: "lb", StartedAt: time.Unix(1, 0), Log: slog.New(slog.DiscardHandler),
		Tracer: noop.NewTracerProvider().Tracer(""), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.report(context.Background(), counts, leaving)
	return parts, err
}

func TestReport_OfManyApplicationsComesInPartsAndOnlyTheLastEndsIt(t *testing.T) {
	counts := applications(2*reportedApps + 1)
	parts, err := reported(t, counts, 0, true)
	if err != nil || len(parts) != 3 || counts.restored != 0 {
		t.Fatalf("%d parts, %d restored: %v", len(parts), counts.restored, err)
	}
	for i, p := range parts {
		last := i == 2
		if *p.Part != int32(i+1) || *p.Continued == last || p.Leaving != last || p.Sequence != int64(i+1) {
			t.Errorf("part %d is %d, continued %v, leaving %v, sequence %d", i+1, *p.Part, *p.Continued, p.Leaving, p.Sequence)
		}
	}
}

func TestReport_OfFewApplicationsSaysNothingOfPartsToAnOlderController(t *testing.T) {
	for _, n := range []int{0, 1, reportedApps} {
		parts, err := reported(t, applications(n), 0, false)
		if err != nil || len(parts) != 1 || parts[0].Part != nil || parts[0].Continued != nil || len(parts[0].Applications) != n {
			t.Errorf("%d applications: %d parts: %v", n, len(parts), err)
		}
	}
}

func TestReport_IsCutShortByAPartThatFailsAndWhatWasNotToldIsKept(t *testing.T) {
	counts := applications(3 * reportedApps)
	parts, err := reported(t, counts, 2, true)
	if err == nil || len(parts) != 2 || counts.restored != 2*reportedApps {
		t.Errorf("%d parts, %d restored: %v", len(parts), counts.restored, err)
	}
	for _, p := range parts {
		if p.Leaving || !*p.Continued {
			t.Errorf("it ended with part %d", *p.Part)
		}
	}
}
