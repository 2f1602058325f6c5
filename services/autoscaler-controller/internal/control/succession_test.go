package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestLead_NothingGoesDownUntilAllAreHeardWhomTheLeaderBeforeHeard(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.lead() // another one leads now
		synctest.Wait()
		w.mu.Lock()
		w.awaited = []string{"lb", "other"}
		w.mu.Unlock()
		go w.loop.Lead(ctx)
		go w.heartbeat(ctx, nil) // "lb" has been quiet for years, and agrees to everything
		time.Sleep(50 * time.Second)
		w.expect(t, "one of two was heard")
		if last, _ := w.loop.Insight(key); last == nil || !strings.Contains(last.Summary, "nothing was heard yet from other") {
			t.Errorf("the reason is %+v", last)
		}
		v, _ := w.loop.Fleet.View(key, time.Now())
		if v.State != fleet.Awake {
			t.Errorf("it is %s: the load balancers were asked to stop sending", v.State)
		}
		// The other one reports: a stream, and then quiet.
		report := func(sequence int64, streaming int32) {
			u, _ := w.loop.Fleet.Routes("")
			w.loop.Report(fleet.Report{
				Balancer: "other", StartedAt: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Sequence: sequence, RoutesVersion: u.Version,
				Applications: []fleet.Traffic{{Key: key, InFlight: streaming, Streaming: streaming}},
			})
		}
		for second := range int64(40) {
			report(second+1, 1)
			time.Sleep(time.Second)
		}
		w.expect(t, "the other one streams")
		for second := range int64(40) {
			report(second+100, 0)
			time.Sleep(time.Second)
		}
		w.expect(t, "both are quiet", 0)
	})
}

func TestLead_WhoIsNeverHeardHoldsForAMinute(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.lead()
		synctest.Wait()
		w.mu.Lock()
		w.awaited = []string{"dead"}
		w.mu.Unlock()
		go w.loop.Lead(ctx)
		go w.heartbeat(ctx, nil)
		time.Sleep(fleet.ForgetFor - time.Second)
		w.expect(t, "before it is forgotten")
		time.Sleep(32 * time.Second) // the idle time, for it may have had traffic
		w.expect(t, "after", 0)
	})
}
