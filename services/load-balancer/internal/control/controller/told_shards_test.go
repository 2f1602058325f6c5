package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// town is a controller with shards as the contract has it, each of which is a desk; or without, and then it
// is the first one.
type town struct {
	desks  []*desk
	lives  int
	halfs  map[*desk]bool // what came last was not the last part
	asked  int            // that everything is wanted of everybody
	bodies [][]byte
}

// newTown makes one with so many shards; 0 is an older controller.
func newTown(shards int) *town {
	o := &town{halfs: map[*desk]bool{}}
	o.relayout(shards)
	return o
}

// relayout has other shards, which know nothing.
func (o *town) relayout(shards int) {
	taken := o.taken()
	o.lives++
	o.desks = make([]*desk, max(shards, 1))
	for i := range o.desks {
		o.desks[i] = &desk{epoch: fmt.Sprintf("l%dd%d", o.lives, i)}
	}
	if shards == 0 {
		o.desks[0].epoch = ""
	}
	o.desks[0].taken = taken
}

// restarts has a shard led by another one.
func (o *town) restarts(i int) {
	o.lives++
	o.desks[i].restarts(fmt.Sprintf("l%dd%d", o.lives, i))
}

func (o *town) taken() (n int64) {
	for _, d := range o.desks {
		n += d.taken
	}
	return n
}

// knows is what all know of an application.
func (o *town) knows(app routing.Application) (autoscaler.ApplicationTraffic, bool) {
	t, ok := o.desks[shard.Of(app.Namespace, len(o.desks))].knows[app.Deployment]
	return t, ok
}

func (o *town) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	o.bodies = append(o.bodies, body)
	if len(o.desks) == 1 { // it does not know what is said to shards
		r.Body = io.NopCloser(bytes.NewReader(body))
		o.desks[0].ServeHTTP(w, r)
		return
	}
	var report autoscaler.TrafficReport
	if err := json.Unmarshal(body, &report); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	if o.desks[0].fails > 0 {
		o.desks[0].fails--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	all, epoch := true, "town"
	receipt := autoscaler.TrafficReceipt{Status: autoscaler.TrafficReceived, Epoch: &epoch}
	if said := value(report.Shards); report.Shards != nil && len(said) != len(o.desks) || report.Shards == nil && value(report.Delta) {
		o.asked++
		receipt.Resync = &all
		_ = json.NewEncoder(w).Encode(receipt)
		return
	}
	shards := make([]autoscaler.ShardReceipt, len(o.desks))
	for i, d := range o.desks {
		one := report
		if one.Delta = nil; report.Shards != nil {
			one.Epoch, one.Delta = (*report.Shards)[i].Epoch, (*report.Shards)[i].Delta
		}
		one.Applications = nil
		for _, a := range report.Applications {
			if shard.Of(a.Namespace, len(o.desks)) == i {
				one.Applications = append(one.Applications, a)
			}
		}
		shards[i].Epoch = d.epoch
		if value(one.Delta) && (value(one.Epoch) != d.epoch || one.Sequence != d.sequence+1 || value(one.Part) <= 1 && o.halfs[d]) {
			shards[i].Resync, receipt.Resync = &all, &all
			d.resyncs++
			continue
		}
		d.take(one)
		o.halfs[d] = value(report.Continued)
	}
	receipt.Shards = &shards
	_ = json.NewEncoder(w).Encode(receipt)
}

// spread are applications in namespaces of different shards, with a version of the routes.
type spread struct {
	numbered
	version string
}

func (s *spread) Report() (string, []dispatch.Traffic) {
	_, traffic := s.numbered.Report()
	return s.version, traffic
}

func (s *spread) Changed() (string, []dispatch.Traffic, int) {
	_, traffic, of := s.numbered.Changed()
	return s.version, traffic, of
}

func spreadApps(n int) *spread {
	s := &spread{numbered: *numberedApps(n)}
	for i := range s.apps {
		s.apps[i].App.Namespace = fmt.Sprint("team-", i%7)
	}
	return s
}

func (o *town) last() (r autoscaler.TrafficReport) {
	if err := json.Unmarshal(o.bodies[len(o.bodies)-1], &r); err != nil {
		panic(err)
	}
	return r
}

func TestReport_OfShardsToldAnewOnlyThoseThatAsk(t *testing.T) {
	o := newTown(3)
	toldTo(t, o, func(ctx context.Context, c *Client) {
		counts := spreadApps(21)
		counts.version = "e.1 - g.3"
		for range 3 {
			if err := c.report(ctx, counts, false); err != nil {
				t.Fatal(err)
			}
		}
		r := o.last()
		if len(r.Applications) != 0 || r.RoutesVersion != nil || len(value(r.Shards)) != 3 || !*r.Delta {
			t.Fatalf("told %+v", r)
		}
		for i, want := range []string{"e.1", "", "g.3"} {
			if s := (*r.Shards)[i]; value(s.RoutesVersion) != want || *s.Epoch != o.desks[i].epoch || !*s.Delta {
				t.Errorf("shard %d is told %+v", i, s)
			}
		}
		for i := range counts.apps {
			counts.answer(i)
		}
		o.restarts(1)
		before := len(o.bodies)
		if err := c.report(ctx, counts, false); err != nil {
			t.Fatal(err)
		}
		if len(o.bodies) != before+2 || o.taken() != 21 || counts.pending() != 0 {
			t.Errorf("%d reports; %d answers taken of 21, %d wait", len(o.bodies)-before, o.taken(), counts.pending())
		}
		again := o.last()
		for i, want := range []bool{true, false, true} {
			if s := (*again.Shards)[i]; value(s.Delta) != want {
				t.Errorf("shard %d is told anew: %v", i, !value(s.Delta))
			}
		}
		for _, a := range again.Applications {
			if shard.Of(a.Namespace, 3) != 1 {
				t.Errorf("%s is told twice", a.Namespace)
			}
		}
		if err := c.report(ctx, counts, false); err != nil || len(o.last().Applications) != 0 {
			t.Errorf("%v; then told %+v", err, o.last())
		}
	})
}

// Whoever answers now: one controller, an older one, or other shards.
func TestReport_ToOtherShardsIsUnderstoodInTheSameMoment(t *testing.T) {
	for _, c := range [][2]int{{3, 2}, {3, 1}, {1, 3}, {3, 0}, {0, 3}, {2, 64}} {
		o := newTown(c[0])
		toldTo(t, o, func(ctx context.Context, client *Client) {
			counts := spreadApps(30)
			counts.version = "e.1 f.1 g.1"
			for range 3 {
				counts.answer(2)
				if err := client.report(ctx, counts, false); err != nil {
					t.Fatal(err)
				}
			}
			o.relayout(c[1])
			counts.answer(2)
			if err := client.report(ctx, counts, false); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
			if got, ok := o.knows(counts.apps[2].App); !ok || got.Requests != 4 || o.taken() != 4 {
				t.Errorf("%v: knows %+v, has taken %d", c, got, o.taken())
			}
			if r := o.last(); c[1] == 0 && (r.Shards != nil || r.RoutesVersion != nil) {
				t.Errorf("an older controller is told %+v", r)
			}
		})
	}
}

// Whatever fails, whoever leads and however many shards there are: after a report that was taken each shard
// knows what is so, and each answer was told once.
func TestReport_OfShardsComesToTheSameWhateverHappens(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 8))
		o := newTown(3)
		toldTo(t, o, func(ctx context.Context, c *Client) {
			apps, steps := 1+random.IntN(30), 60
			if seed == 0 { // reports in parts
				apps, steps = 2*reportedApps+1, 20
			}
			counts, answers := spreadApps(apps), int64(0)
			for step := range steps {
				switch random.IntN(10) {
				case 0:
					o.desks[0].fails = random.IntN(3)
				case 1, 2:
					if len(o.desks) > 1 {
						o.restarts(random.IntN(len(o.desks)))
					}
				case 3:
					o.relayout(random.IntN(5))
				default:
					for range random.IntN(4) {
						counts.answer(random.IntN(len(counts.apps)))
						answers++
					}
				}
				err := c.report(ctx, counts, false)
				if got := o.taken() + counts.pending(); got != answers {
					t.Fatalf("seed %d, step %d: %d answers were told or wait, of %d", seed, step, got, answers)
				}
				if err != nil {
					continue
				}
				for _, a := range counts.apps {
					if got, ok := o.knows(a.App); !ok || got.Requests != a.Requests {
						t.Fatalf("seed %d, step %d: knows %+v, is %+v", seed, step, got, a)
					}
				}
			}
		})
	}
}
