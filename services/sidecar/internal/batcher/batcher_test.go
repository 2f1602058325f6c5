package batcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// controller takes batches, or does not.
type controller struct {
	mu      sync.Mutex
	began   time.Time
	err     error
	outcome Outcome
	at      []float64 // seconds
	batches [][]int
}

func (c *controller) SendBatch(_ context.Context, items []batch.Item[int]) (Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return Outcome{}, c.err
	}
	list := []int{}
	for _, i := range items {
		list = append(list, i.Push)
	}
	c.at, c.batches = append(c.at, time.Since(c.began).Seconds()), append(c.batches, list)
	o := c.outcome
	o.Accepted = len(items) - o.Refused
	return o, nil
}

func (c *controller) be(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *controller) want(t *testing.T, at []float64, batches [][]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(at, c.at) + cmp.Diff(batches, c.batches); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

type bubble struct {
	*testing.T
	*Batcher[int]
	c *controller
}

func run(t *testing.T, test func(b bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &controller{began: time.Now()}
		b := New(Options[int]{
			Sender: c, Log: slog.New(slog.DiscardHandler), Every: time.Second, Size: 3, Most: 6, Patience: 20 * time.Second,
			Backoff: retry.Backoff{First: time.Second, Most: 4 * time.Second}, Random: func() float64 { return 0.5 },
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); b.Run(ctx) }()
		test(bubble{t, b, c})
		stop()
		<-ended
	})
}

// put takes pushes of as many pods.
func (b bubble) put(pushes ...int) (taken bool) {
	now := time.Now()
	for _, p := range pushes {
		taken = b.Put(batch.Item[int]{Pod: batch.Pod{Namespace: "ns", Name: fmt.Sprint(p)}, At: now, Until: now.Add(20 * time.Second), Push: p}, now)
	}
	return taken
}

func TestRun_SendsWhatCameOnceASecond(t *testing.T) {
	run(t, func(b bubble) {
		time.Sleep(1500 * time.Millisecond)
		b.put(1)
		time.Sleep(200 * time.Millisecond)
		b.put(2)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.c.want(b.T, []float64{2}, [][]int{{1, 2}})
		if s := b.State(); s.Accepted != 2 || s.Taken != 2 || s.Batches != 1 || s.Waiting != 0 {
			b.Errorf("%+v", s)
		}
	})
}

func TestRun_AFullBatchGoesAtOnce(t *testing.T) {
	run(t, func(b bubble) {
		time.Sleep(1200 * time.Millisecond)
		b.put(1, 2, 3, 4)
		synctest.Wait()
		b.c.want(b.T, []float64{1.2, 1.2}, [][]int{{1, 2, 3}, {4}})
	})
}

func TestRun_WhatWaitsAtTheEndIsSent(t *testing.T) {
	c := (*controller)(nil)
	run(t, func(b bubble) { b.put(1); c = b.c })
	c.want(t, []float64{0}, [][]int{{1}})
}

func TestRun_WhileTheControllerIsAwayTheNewestOfEachPodWaits(t *testing.T) {
	run(t, func(b bubble) {
		b.c.be(errors.New("connection refused"))
		for range 10 {
			b.put(1, 2)
			time.Sleep(time.Second)
		}
		if s := b.State(); s.Waiting != 2 || s.Superseded != 18 || s.Failures < 3 || s.LastError == "" || b.Away().IsZero() {
			b.Errorf("%+v", s)
		}
		b.c.be(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := b.State(); s.Waiting != 0 || s.Accepted != 2 || s.LastError != "" || !b.Away().IsZero() {
			b.Errorf("when it is back: %+v", s)
		}
	})
}

func TestPut_PodsAreToldWhenTheControllerIsAwayForLongerThanValuesCount(t *testing.T) {
	run(t, func(b bubble) {
		b.c.be(errors.New("connection refused"))
		for second := range 40 {
			taken := b.put(1)
			// Once all that waited counts no longer the next one is let in, to be tried.
			if second <= 20 && !taken {
				b.Fatalf("refused after %d s", second)
			}
			if second > 25 && taken && b.State().Expired == 0 {
				b.Fatalf("taken after %d s", second)
			}
			time.Sleep(time.Second)
		}
		b.c.be(nil)
		time.Sleep(5 * time.Second)
		b.put(1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := b.State(); s.Accepted == 0 || !b.Away().IsZero() {
			b.Errorf("when it is back: %+v", s)
		}
		if !b.put(1) {
			b.Error("refused although it is back")
		}
	})
}

func TestRun_ABusyControllerIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	run(t, func(b bubble) {
		b.c.be(&schedule.BusyError{After: 3 * time.Second})
		b.put(1)
		time.Sleep(1100 * time.Millisecond) // tried at 1, again at 1 + 0.5 + 3
		b.c.be(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.c.want(b.T, []float64{4.5}, [][]int{{1}})
	})
}

func TestRun_WhatIsRefusedForGoodIsNotSentAgain(t *testing.T) {
	run(t, func(b bubble) {
		b.c.be(&schedule.RefusedError{Detail: "400"})
		b.put(1, 2)
		time.Sleep(1500 * time.Millisecond)
		b.c.be(nil)
		b.c.outcome = Outcome{Refused: 1}
		b.put(3, 4)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.c.want(b.T, []float64{2}, [][]int{{3, 4}})
		if s := b.State(); s.Refused != 3 || s.Waiting != 0 {
			b.Errorf("%+v", s)
		}
	})
}
