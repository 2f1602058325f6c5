package control

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// crowd is a cluster of many sleeping applications, of which some cannot be scaled.
type crowd struct {
	world
	bad    func(fleet.Key) bool // whose /scale hangs, or fails
	hangs  bool
	calls  map[fleet.Key]int
	scaled map[fleet.Key]time.Time // when it was scaled first
}

func (c *crowd) Scale(ctx context.Context, k fleet.Key, from fleet.Scale, to int32) (fleet.Scale, error) {
	c.mu.Lock()
	c.calls[k]++
	bad, hangs := c.bad(k), c.hangs
	c.mu.Unlock()
	if bad && hangs {
		<-ctx.Done()
		return fleet.Scale{}, ctx.Err()
	}
	if bad {
		return fleet.Scale{}, fault.New(fault.Unavailable, "the webhook refuses").After(time.Second)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.scaled[k]; !ok {
		c.scaled[k] = time.Now()
	}
	return fleet.Scale{Replicas: to, Version: from.Version + 1}, nil
}

func newCrowd(bad func(fleet.Key) bool) *crowd {
	return &crowd{bad: bad, calls: map[fleet.Key]int{}, scaled: map[fleet.Key]time.Time{}}
}

// use makes the loop.
func (c *crowd) use(r Recorder, o Observer) {
	c.loop = New(Options{
		Fleet: fleet.New("e"), Scaler: c, Marker: c, Recorder: r, Observer: o, Log: slog.New(slog.DiscardHandler),
		Epoch: "e", Missing: c.lacks, Awaited: c.before, Autoscalers: c.autoscalers,
	})
}

// autoscalers are those of all applications.
func (c *crowd) autoscalers() (list []fleet.Autoscaler) {
	for _, k := range c.loop.Fleet.Keys() {
		list = append(list, of(k))
	}
	return list
}

// among runs a test with a leader of so many sleeping applications in each of so many namespaces.
func among(t *testing.T, namespaces, each int, bad func(fleet.Key) bool, test func(ctx context.Context, c *crowd)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newCrowd(bad)
		c.use(c, c)
		for n := range namespaces {
			for i := range each {
				c.see(named(fmt.Sprint("ns-", n), i), 0)
			}
		}
		var running sync.WaitGroup
		running.Go(func() { c.loop.Run(ctx) })
		running.Go(func() { c.loop.Lead(ctx) })
		synctest.Wait()
		test(ctx, c)
		cancel()
		running.Wait()
	})
}

// see tells that an application is to have so many pods at least.
func (c *crowd) see(k fleet.Key, least int32) {
	long := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	c.loop.Observe(fleet.Observation{
		Key: k, Autoscaler: k.Deployment, Since: long,
		Spec:       scaling.Spec{MinReplicas: least, MaxReplicas: 3, IdleTime: time.Hour, WakeUpTimeout: time.Minute},
		Deployment: fleet.Deployment{Found: true, UID: k.Deployment, Version: 1, Created: long},
	})
}

func (c *crowd) tried(k fleet.Key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[k]
}

// at is when an application was scaled.
func (c *crowd) at(k fleet.Key) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scaled[k]
}

func TestApply_WhatHangsDelaysNobodyElse(t *testing.T) {
	hanging := func(k fleet.Key) bool { return k.Namespace == "ns-0" }
	among(t, 2, 100, hanging, func(_ context.Context, c *crowd) {
		c.hangs = true
		for i := range 100 {
			c.see(named("ns-0", i), 1)
		}
		time.Sleep(time.Millisecond) // all of them hang, or wait for one that does
		began := time.Now()
		for i := range 100 {
			c.see(named("ns-1", i), 1)
		}
		synctest.Wait()
		for i := range 100 {
			if at := c.at(named("ns-1", i)); !at.Equal(began) {
				t.Errorf("application %d was scaled %v later", i, at.Sub(began))
			}
		}
	})
}

func TestApply_AHangingApplicationDelaysNoStartCall(t *testing.T) {
	among(t, 1, 2000, func(k fleet.Key) bool { return k.Deployment != "app-7" }, func(ctx context.Context, c *crowd) {
		c.hangs = true
		for i := range 2000 { // more than there are places, all in the same namespace
			c.see(named("ns-0", i), 1)
		}
		time.Sleep(time.Second)
		began := time.Now()
		if got, err := c.loop.Start(ctx, named("ns-0", 7), scaling.Call{Balancer: "lb", Waiting: 1}); err != nil || got.Replicas != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestApply_EveryApplicationIsTriedInItsTurn(t *testing.T) {
	among(t, 1, 500, func(fleet.Key) bool { return true }, func(_ context.Context, c *crowd) {
		c.hangs = true
		for i := range 500 {
			c.see(named("ns-0", i), 1)
		}
		time.Sleep(500/maxNamespaceApplies*callTimeout + 2*callTimeout)
		for i := range 500 {
			if c.tried(named("ns-0", i)) == 0 {
				t.Errorf("the application %d was never tried", i)
			}
		}
	})
}

func TestBackoff_WhateverIsHeardMeanwhile(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs: ", hangs), func(t *testing.T) {
			among(t, 1, 2, func(k fleet.Key) bool { return k == named("ns-0", 0) }, func(_ context.Context, c *crowd) {
				c.hangs = hangs
				k, other := named("ns-0", 0), named("ns-0", 1)
				for i := range 6000 { // a hundred pieces of news a second
					c.see(k, 1+int32(i%2))
					time.Sleep(10 * time.Millisecond)
				}
				if s := c.loop.Stats(); s.BackingOff != 1 {
					t.Errorf("%d back off", s.BackingOff)
				}
				if n := c.tried(k); n < 5 || n > 12 {
					t.Errorf("tried %d times within a minute", n)
				}
				began := time.Now()
				c.see(other, 1)
				synctest.Wait()
				if at := c.at(other); !at.Equal(began) {
					t.Errorf("the other one was scaled %v later", at.Sub(began))
				}
			})
		})
	}
}

func TestBackoff_ManyStartCallsDoNotHammer(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs: ", hangs), func(t *testing.T) {
			among(t, 1, 1, func(fleet.Key) bool { return true }, func(ctx context.Context, c *crowd) {
				c.hangs = hangs
				k := named("ns-0", 0)
				var calls sync.WaitGroup
				for range 12_000 {
					calls.Go(func() {
						got, err := c.loop.Start(ctx, k, scaling.Call{Balancer: "lb", Waiting: 1})
						e := fault.From(err)
						if !fault.Is(err, fault.Unavailable) && !hangs || err == nil || !hangs && (e.RetryAfter <= 0 || !strings.Contains(e.Detail, "webhook")) {
							t.Errorf("answered %+v, %v", got, err)
						}
					})
					time.Sleep(5 * time.Millisecond) // for a minute
				}
				calls.Wait()
				if n := c.tried(k); n < 5 || n > 85 {
					t.Errorf("tried %d times within a minute", n)
				}
			})
		})
	}
}

func TestBackoff_AStartCallIsTriedThoughTheLoopWaits(t *testing.T) {
	among(t, 1, 1, func(fleet.Key) bool { return true }, func(ctx context.Context, c *crowd) {
		k := named("ns-0", 0)
		for i := range 600 {
			c.see(k, 1+int32(i%2))
			time.Sleep(100 * time.Millisecond)
		}
		before := c.tried(k)
		c.mu.Lock()
		c.bad = func(fleet.Key) bool { return false }
		c.mu.Unlock()
		if got, err := c.loop.Start(ctx, k, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil || !got.Scaled {
			t.Errorf("got %+v, %v after %d tries", got, err, before)
		}
	})
}
