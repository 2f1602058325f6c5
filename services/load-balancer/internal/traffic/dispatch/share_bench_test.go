package dispatch

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// nobody is the way to no other load balancer.
type nobody struct{}

func (nobody) Nudge(routing.Application, slots.Member) {}

// BenchmarkLimit is a request's stay with an application, without a limit and with one that this load
// balancer keeps alone, or lends.
func BenchmarkLimit(b *testing.B) {
	for _, c := range []struct {
		name   string
		limit  int
		shares bool
	}{{"no limit, alone", 0, false}, {"no limit, with others", 0, true}, {"a limit, alone", 100, false}, {"a limit, lent from here", 100, true}} {
		b.Run(c.name, func(b *testing.B) {
			now := time.Unix(1000, 0)
			w := newWorld(func(o *Options) {
				o.Now = func() time.Time { return now }
				if c.shares {
					o.Self, o.Peers = slots.Member{ID: slots.ID{Name: "a", Started: 1}, Address: "a:1"}, nobody{}
				}
			})
			w.Reported(now)
			update := routing.Update{Version: "e.1", Complete: true, Asked: now.Add(1), Routes: []routing.Route{{
				Application: fib, Prefix: "/fib", Algorithm: "RoundRobin", State: routing.Awake, WakeUpTimeout: time.Hour, Concurrency: c.limit,
				Endpoints: []routing.Endpoint{pod("x", nil), pod("y", nil), pod("z", nil)},
			}}}
			if c.shares {
				update.Balancers = []routing.Balancer{{Name: "a", StartedAt: time.Unix(0, 1), Address: "a:1"}}
			}
			w.Apply(update)
			app := w.app()
			b.ReportAllocs()
			var v Visit
			for b.Loop() {
				v = Visit{}
				if waits, err := v.Arrive(app, Arrival{}, now); waits || err != nil {
					b.Fatal(waits, err)
				}
				v.Answered(200, now)
				v.End(Outcome{Status: 200}, now)
			}
		})
	}
}
