package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// A decision that finds its application gone takes nothing from the one that is there a moment later.
func TestForget_OneThatIsMadeAgainIsNotForgottenByADecisionOnTheOneBefore(t *testing.T) {
	among(t, 1, 64, func(fleet.Key) bool { return false }, func(_ context.Context, c *crowd) {
		var running sync.WaitGroup
		for i := range 64 {
			running.Go(func() {
				k := named("ns-0", i)
				for range 200 {
					c.loop.heard(k)
					c.loop.Forget(k)
					c.see(k, 0)
				}
			})
		}
		running.Wait()
		synctest.Wait()
		if n := len(c.loop.Fleet.Keys()); n != 64 {
			t.Errorf("%d of 64 applications are left", n)
		}
	})
}

// left is what a loop keeps of applications and CustomAutoscalers.
func left(l *Loop) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.mu.Lock()
	defer l.pending.mu.Unlock()
	applying, waiting := l.applies.count()
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	return fmt.Sprintf("applications %d, memories %d, journals %d, statuses %d, places %d, waiting %d, orphans %d, backing off %d",
		len(l.Fleet.Keys()), len(l.apps), len(l.journal.own), len(l.pending.of), applying, waiting, len(l.orphans), l.backingOff.Load())
}

const nothingLeft = "applications 0, memories 0, journals 0, statuses 0, places 0, waiting 0, orphans 0, backing off 0"

// Of a thousand applications that came, had traffic, were started, looked at, and went, nothing is left,
// whoever asked for them last.
func TestForget_LeavesNothing(t *testing.T) {
	for _, leads := range []bool{true, false} {
		t.Run(fmt.Sprint("leads: ", leads), func(t *testing.T) {
			boarded(t, 0, func(ctx context.Context, b *board) {
				synctest.Wait()
				if !leads {
					b.lead()
					synctest.Wait()
				}
				var running sync.WaitGroup
				for n := range 10 {
					running.Go(func() {
						for i := range 100 {
							b.comeAndGo(ctx, t, named(fmt.Sprint("ns-", n), i))
						}
					})
				}
				running.Wait()
				time.Sleep(time.Hour) // whatever was planned is over
				if got := left(b.loop); got != nothingLeft {
					t.Error(got)
				}
			})
		})
	}
}

// comeAndGo is the life of an application, whose end some do not notice at once.
func (b *board) comeAndGo(ctx context.Context, t *testing.T, k fleet.Key) {
	t.Helper()
	b.see(k, 0)
	late := func() {
		if _, err := b.loop.Start(ctx, k, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil && errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		b.loop.heard(k)
		b.loop.Insight(k)
	}
	late()
	var running sync.WaitGroup
	running.Go(late)
	b.loop.Forget(k)
	running.Wait()
	late()
	b.loop.Refresh(of(k))
}
