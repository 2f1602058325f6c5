package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
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

// desk is a controller as the contract has it, that takes down what it is told. One without an epoch
// is an older one, which refuses what it does not know.
type desk struct {
	epoch    string
	fails    int // the next so many calls, and takes nothing
	sequence int64
	knows    map[string]autoscaler.ApplicationTraffic
	taken    int64 // answers that were counted in latency
	bodies   [][]byte
	resyncs  int
	refusals int
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.bodies = append(d.bodies, body)
	w.Header().Set("Content-Type", "application/json")
	if d.fails > 0 {
		d.fails--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var report autoscaler.TrafficReport
	if err := json.Unmarshal(body, &report); err != nil {
		panic(err)
	}
	if d.epoch == "" && mentions(report) {
		d.refusals++
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"code":"invalid"}`))
		return
	}
	receipt := autoscaler.TrafficReceipt{Status: autoscaler.TrafficReceived}
	if d.epoch != "" {
		receipt.Epoch = &d.epoch
	}
	if value(report.Delta) && (value(report.Epoch) != d.epoch || report.Sequence != d.sequence+1) {
		resync := true
		receipt.Resync = &resync
		d.resyncs++
	} else {
		d.take(report)
	}
	_ = json.NewEncoder(w).Encode(receipt)
}

func (d *desk) take(report autoscaler.TrafficReport) {
	d.sequence = report.Sequence
	if !value(report.Delta) && value(report.Part) <= 1 {
		d.knows = map[string]autoscaler.ApplicationTraffic{}
	}
	for _, a := range report.Applications {
		if a.Latency != nil {
			d.taken += a.Latency.Count
		}
		a.Latency, a.FirstByte, a.Total = nil, nil, nil
		d.knows[a.Deployment] = a
	}
}

// restarts is another life: it knows nothing.
func (d *desk) restarts(epoch string) { d.epoch, d.sequence, d.knows = epoch, 0, nil }

// mentions tells whether a report has fields that came with epochs.
func mentions(r autoscaler.TrafficReport) bool {
	for _, a := range r.Applications {
		if a.Arrivals != nil || a.BusySeconds != nil || a.StreamSeconds != nil || a.TunnelSeconds != nil || a.Tunnels != nil || a.FirstByte != nil || a.Total != nil {
			return true
		}
	}
	return r.Epoch != nil || r.Delta != nil || r.Address != nil || r.ForgetAfterSeconds != nil
}

// last is the last report's body.
func (d *desk) last() (r autoscaler.TrafficReport, size int) {
	body := d.bodies[len(d.bodies)-1]
	if err := json.Unmarshal(body, &r); err != nil {
		panic(err)
	}
	return r, len(body)
}

// numbered are applications whose counts a test changes.
type numbered struct{ apps []dispatch.Traffic }

func (n *numbered) Report() (string, []dispatch.Traffic) {
	out := make([]dispatch.Traffic, len(n.apps))
	copy(out, n.apps)
	for i := range n.apps {
		n.apps[i].Times = dispatch.Times{}
	}
	return "v1", out
}

func (n *numbered) Changed() (string, []dispatch.Traffic, int) {
	version, traffic := n.Report()
	return version, traffic, len(traffic)
}

func (n *numbered) Restore(traffic []dispatch.Traffic) {
	for _, t := range traffic {
		for i := range n.apps {
			if n.apps[i].App == t.App {
				n.apps[i].Times.Whole = dispatch.Merged(n.apps[i].Times.Whole, t.Times.Whole)
			}
		}
	}
}

func (n *numbered) answer(i int) {
	n.apps[i].Requests++
	n.apps[i].Arrivals++
	n.apps[i].Times.Whole = dispatch.Merged(n.apps[i].Times.Whole, &dispatch.Sketch{Count: 1, SumMs: 5})
}

// pending is how many answers were not told yet.
func (n *numbered) pending() (count int64) {
	for _, a := range n.apps {
		if a.Times.Whole != nil {
			count += a.Times.Whole.Count
		}
	}
	return count
}

func numberedApps(n int) *numbered {
	counts := &numbered{apps: make([]dispatch.Traffic, n)}
	for i := range counts.apps {
		counts.apps[i].App = routing.Application{Namespace: "default", Deployment: fmt.Sprintf("app-%d", i)}
	}
	return counts
}

// toldTo runs a test with a client of a desk.
func toldTo(t *testing.T, d http.Handler, test func(ctx context.Context, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := httptest.NewServer(d)
		defer server.Close()
		c, err := New(Options{
			URL: server.URL, Identity: "lb", StartedAt: time.Unix(1, 0), Log: slog.New(slog.DiscardHandler),
			Tracer: noop.NewTracerProvider().Tracer(""), Registry: prometheus.NewRegistry(), ForgetAfter: 20 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		test(t.Context(), c)
	})
}

func TestReport_OfTenThousandQuietApplicationsIsAFewBytes(t *testing.T) {
	d := &desk{epoch: "k3"}
	toldTo(t, d, func(ctx context.Context, c *Client) {
		counts := numberedApps(10_000)
		for range 3 {
			if err := c.report(ctx, counts, false); err != nil {
				t.Fatal(err)
			}
		}
		if r, size := d.last(); size > 250 || len(r.Applications) != 0 || !*r.Delta || *r.Epoch != "k3" || len(d.knows) != 10_000 {
			t.Errorf("%d bytes, %d known: %+v", size, len(d.knows), r)
		}
		counts.answer(77)
		if err := c.report(ctx, counts, false); err != nil {
			t.Fatal(err)
		}
		if r, size := d.last(); size > 1000 || len(r.Applications) != 1 || r.Applications[0].Deployment != "app-77" || *r.Applications[0].Arrivals != 1 {
			t.Errorf("%d bytes: %+v", size, r)
		}
	})
}

func TestReport_ToAnOlderControllerSaysNothingThatItWouldRefuse(t *testing.T) {
	d := &desk{}
	toldTo(t, d, func(ctx context.Context, c *Client) {
		counts := numberedApps(3)
		for range 3 {
			counts.answer(1)
			if err := c.report(ctx, counts, false); err != nil {
				t.Fatal(err)
			}
		}
		if r, _ := d.last(); d.refusals != 0 || len(r.Applications) != 3 || d.taken != 3 || len(d.bodies) != 3 {
			t.Errorf("%d refused, %d taken: %+v", d.refusals, d.taken, r)
		}
	})
}

func TestReport_ToAControllerThatIsReplacedIsUnderstoodInTheSameMoment(t *testing.T) {
	for name, c := range map[string]struct{ before, after string }{
		"by an older one": {"k3", ""}, "by a newer one": {"", "k3"}, "by its next life": {"k3", "k4"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{epoch: c.before}
			toldTo(t, d, func(ctx context.Context, client *Client) {
				counts := numberedApps(3)
				for range 3 {
					counts.answer(2)
					if err := client.report(ctx, counts, false); err != nil {
						t.Fatal(err)
					}
				}
				d.restarts(c.after)
				counts.answer(2)
				if err := client.report(ctx, counts, false); err != nil {
					t.Fatal(err)
				}
				if len(d.knows) != 3 || d.knows["app-2"].Requests != 4 || d.taken != 4 {
					t.Errorf("knows %+v, has taken %d", d.knows, d.taken)
				}
			})
		})
	}
}

func TestReport_ThatIsTheLastIsWholeAlsoWhenTheControllerAsksForEverything(t *testing.T) {
	d := &desk{epoch: "k3"}
	toldTo(t, d, func(ctx context.Context, c *Client) {
		counts := numberedApps(2)
		for range 3 {
			_ = c.report(ctx, counts, false)
		}
		d.restarts("k4")
		if err := c.Leave(ctx, counts); err != nil {
			t.Fatal(err)
		}
		if r, _ := d.last(); !r.Leaving || *r.Delta || len(r.Applications) != 2 || d.resyncs != 1 {
			t.Errorf("%d resyncs, last %+v", d.resyncs, r)
		}
	})
}

// Whatever fails, restarts or is replaced: after a report that was taken the controller knows what is
// so, and each answer was told once.
func TestReport_ComesToTheSameWhateverHappens(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 7))
		d := &desk{epoch: "e0"}
		toldTo(t, d, func(ctx context.Context, c *Client) {
			apps, steps := 1+random.IntN(20), 60
			if seed == 0 { // reports in parts
				apps, steps = 2*reportedApps+1, 20
			}
			counts, answers := numberedApps(apps), int64(0)
			for step := range steps {
				switch random.IntN(8) {
				case 0:
					d.fails = random.IntN(3)
				case 1:
					d.restarts(fmt.Sprintf("e%d", step))
				case 2:
					d.restarts("")
				default:
					for range random.IntN(4) {
						counts.answer(random.IntN(len(counts.apps)))
						answers++
					}
				}
				err := c.report(ctx, counts, false)
				if got := d.taken + counts.pending(); got != answers {
					t.Fatalf("seed %d, step %d: %d answers were told or wait, of %d", seed, step, got, answers)
				}
				if err != nil {
					continue
				}
				if len(d.knows) != len(counts.apps) {
					t.Fatalf("seed %d, step %d: knows %d of %d", seed, step, len(d.knows), len(counts.apps))
				}
				for _, a := range counts.apps {
					if d.knows[a.App.Deployment].Requests != a.Requests {
						t.Fatalf("seed %d, step %d: knows %+v, is %+v", seed, step, d.knows[a.App.Deployment], a)
					}
				}
			}
		})
	}
}

func TestReport_SaysHowLongASilenceItCountsOnToWhoUnderstands(t *testing.T) {
	for epoch, want := range map[string]int32{"e": 20, "": 0} {
		d := &desk{epoch: epoch, knows: map[string]autoscaler.ApplicationTraffic{}}
		toldTo(t, d, func(ctx context.Context, c *Client) {
			for range 2 { // the first receipt says whether it does
				if err := c.report(ctx, applications(1), false); err != nil {
					t.Fatal(err)
				}
			}
			r, _ := d.last()
			got := int32(0)
			if r.ForgetAfterSeconds != nil {
				got = *r.ForgetAfterSeconds
			}
			if got != want || d.refusals != 0 {
				t.Errorf("a controller of epoch %q is told %d, want %d; it refused %d reports", epoch, got, want, d.refusals)
			}
		})
	}
}
