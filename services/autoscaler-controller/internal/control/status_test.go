package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// board is where statuses are written: only what is new is.
type board struct {
	*crowd
	stored  map[fleet.Autoscaler]string
	compare map[fleet.Autoscaler]int
	writes  []posted
	broken  func(fleet.Autoscaler) error
	results map[StatusResult]int
}

type posted struct {
	fleet.Autoscaler
	at time.Time
}

func (b *board) Status(a fleet.Autoscaler, targets []fleet.Target) (fleet.StatusChange, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.compare[a]++
	said := ""
	for _, t := range targets {
		said += fmt.Sprint(t.Name, t.State, t.Replicas, t.Ready)
	}
	if b.stored[a] == said {
		return fleet.StatusChange{}, nil
	}
	return fleet.StatusChange{Urgent: b.stored[a] != "", Write: func(ctx context.Context) error {
		b.mu.Lock()
		broken := b.broken
		b.mu.Unlock()
		if broken != nil {
			if err := broken(a); errors.Is(err, context.DeadlineExceeded) {
				<-ctx.Done()
				return ctx.Err()
			} else if err != nil {
				return err
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.stored[a] = said
		b.writes = append(b.writes, posted{a, time.Now()})
		return nil
	}}, nil
}

func (b *board) StatusDone(r StatusResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results[r]++
}

// written are the writes since the last call.
func (b *board) written() []posted {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.writes
	b.writes = nil
	return w
}

func of(k fleet.Key) fleet.Autoscaler {
	return fleet.Autoscaler{Namespace: k.Namespace, Name: k.Deployment}
}

// boarded runs a test with a leader of so many sleeping applications, whose statuses are written.
func boarded(t *testing.T, applications int, test func(ctx context.Context, b *board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &board{crowd: newCrowd(func(fleet.Key) bool { return false }), stored: map[fleet.Autoscaler]string{}, compare: map[fleet.Autoscaler]int{}, results: map[StatusResult]int{}}
		b.use(b, b)
		for i := range applications {
			b.see(named("ns", i), 0)
		}
		var running sync.WaitGroup
		running.Go(func() { b.loop.Run(ctx) })
		term, lose := context.WithCancel(ctx)
		b.lead = lose
		running.Go(func() { b.loop.Lead(term) })
		test(ctx, b)
		cancel()
		lose()
		running.Wait()
	})
}

// busiest is the most writes within a second.
func busiest(list []posted) (most int) {
	for i, w := range list {
		n := slices.IndexFunc(list[i:], func(later posted) bool { return later.at.Sub(w.at) >= time.Second })
		if n < 0 {
			n = len(list) - i
		}
		most = max(most, n)
	}
	return most
}

func TestStatus_ANewLeaderComparesAllAndWritesWhatDiffersAtAPace(t *testing.T) {
	boarded(t, 2000, func(ctx context.Context, b *board) {
		time.Sleep(2 * time.Minute)
		first := b.written()
		if len(first) != 2000 {
			t.Errorf("%d are written, want each once", len(first))
		}
		if n := busiest(first); n > 2*ordinaryBurst+1 {
			t.Errorf("%d writes within a second", n)
		}
		b.lead() // another one leads, and then this one again
		synctest.Wait()
		b.mu.Lock()
		for i := range 5 {
			b.stored[of(named("ns", i))] = "of another leader"
		}
		compared := b.compare[of(named("ns", 1999))]
		b.mu.Unlock()
		term, lose := context.WithCancel(ctx)
		defer lose()
		go b.loop.Lead(term)
		time.Sleep(time.Minute)
		if list := b.written(); len(list) != 5 {
			t.Errorf("%d are written, want the five that differ", len(list))
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := b.compare[of(named("ns", 1999))] - compared; n != 1 {
			t.Errorf("the last one was compared %d times, want once", n)
		}
	})
}

func TestStatus_WhatSleepsIsLeftAlone(t *testing.T) {
	boarded(t, 100, func(_ context.Context, b *board) {
		time.Sleep(time.Minute)
		b.written()
		b.mu.Lock()
		clear(b.compare)
		b.mu.Unlock()
		time.Sleep(24 * time.Hour)
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.compare) > 0 || len(b.writes) > 0 {
			t.Errorf("%d are compared and %d written", len(b.compare), len(b.writes))
		}
	})
}

func TestStatus_OfAWakeUpDoesNotWaitBehindARefreshOfAll(t *testing.T) {
	boarded(t, 5000, func(ctx context.Context, b *board) {
		time.Sleep(time.Second) // thousands are still to be compared and written
		for i := range 20 {
			k := named("ns", 4000+i)
			if _, err := b.loop.Start(ctx, k, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil {
				t.Error(err)
			}
		}
		began := time.Now()
		b.written()
		time.Sleep(time.Second)
		late, writes := 0, b.written()
		for i := range 20 {
			a := of(named("ns", 4000+i))
			if at := slices.IndexFunc(writes, func(p posted) bool { return p.Autoscaler == a }); at < 0 || writes[at].at.Sub(began) > 2*statusDelay {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d of 20 wake-ups are not written soon", late)
		}
	})
}

func TestStatus_WhatFailsIsTriedLessAndLessWhateverIsHeard(t *testing.T) {
	for name, err := range map[string]error{"fails": errors.New("forbidden"), "hangs": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			boarded(t, 200, func(_ context.Context, b *board) {
				tries := map[fleet.Autoscaler]int{}
				b.mu.Lock()
				b.broken = func(a fleet.Autoscaler) error {
					b.mu.Lock()
					defer b.mu.Unlock()
					if a == of(named("ns", 199)) {
						return nil
					}
					tries[a]++
					return err
				}
				b.mu.Unlock()
				for range 6000 {
					b.loop.Refresh(of(named("ns", 0)))
					time.Sleep(10 * time.Millisecond)
				}
				b.mu.Lock()
				n, waiting := tries[of(named("ns", 0))], b.results[StatusFailed]
				b.mu.Unlock()
				if n < 2 || n > 12 || waiting == 0 {
					t.Errorf("one was tried %d times within a minute, all failed %d times", n, waiting)
				}
				if waits, age := b.loop.pending.waiting(time.Now()); waits != 199 || age < 55*time.Second {
					t.Errorf("%d wait, the oldest for %v", waits, age)
				}
				b.written()
				b.see(named("ns", 199), 1)
				time.Sleep(6 * time.Second)
				if list := b.written(); len(list) == 0 || list[0].Autoscaler != of(named("ns", 199)) {
					t.Errorf("the one that can be written is not: %v", list)
				}
				b.mu.Lock()
				b.broken = nil
				b.mu.Unlock()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if waits, _ := b.loop.pending.waiting(time.Now()); waits != 0 || len(b.loop.pending.of) != 0 || b.loop.pending.failing != 0 {
					t.Errorf("%d wait, %d are kept, %d are being tried", waits, len(b.loop.pending.of), b.loop.pending.failing)
				}
			})
		})
	}
}

func TestStatus_OfWhatHasGoneIsForgotten(t *testing.T) {
	boarded(t, 2, func(_ context.Context, b *board) {
		b.mu.Lock()
		b.broken = func(fleet.Autoscaler) error { return fleet.ErrGone }
		b.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(b.loop.pending.of) != 0 {
			t.Errorf("kept %v", b.loop.pending.of)
		}
	})
}
