package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/drivers"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
)

const (
	failoverLimit = 90 * time.Second
	askAgain      = 250 * time.Millisecond
	mostAsk       = 10               // pods that ask for more
	leaderSettles = 4 * time.Second  // a follower knows the leader, and everything else
	leaderChange  = 10 * time.Second // bytes are counted for this long
)

// killed is the end of a leader whose node fails.
func (b *bench) killed(ctx context.Context, r *report.Run) error {
	if b.quick && r.Applications < b.build.sizes[len(b.build.sizes)-1] {
		return nil
	}
	return b.failover(ctx, r, report.FailoverKill, b.awake[len(b.awake)*7/10:], func() { b.leader.Kill() })
}

// ended is the end of a leader that was asked to go.
func (b *bench) ended(ctx context.Context, r *report.Run) error {
	if b.quick {
		return nil
	}
	spare := b.awake[len(b.awake)*7/10:]
	return b.failover(ctx, r, report.FailoverTerm, spare[len(spare)/2:], func() {
		go func() { _ = b.leader.Stop() }() // it serves on for a while; a second Stop does nothing
	})
}

// failover starts a second controller, ends the first, and has pods ask for more of their kind until it
// is seen that somebody decided.
func (b *bench) failover(ctx context.Context, r *report.Run, metric string, spare []objects.App, end func()) error {
	next, err := b.controller(ctx)
	if err != nil {
		return err
	}
	if _, err := b.secure(ctx, next.Address); err != nil {
		return errors.Join(err, next.Stop())
	}
	b.service.Add(next.Address)
	l := b.load(ctx, b.whole())
	defer l.end()
	l.warm(ctx)
	pause(ctx, leaderSettles)
	before := b.balancers.Sum()
	gone := b.leader.Address
	app := spare[0]
	seen := b.seen.await(app, func(replicas int) bool { return replicas > b.perApp })
	defer b.seen.forget(app)
	began := time.Now()
	end()
	took, call := b.ask(ctx, l, app, seen, began)
	r.Set(metric, took)
	if metric == report.FailoverKill {
		r.Set(report.FailoverCall, call)
	}
	if math.IsNaN(took) {
		r.Note(fmt.Sprintf("%s: nobody had decided %s later", metric, failoverLimit))
	}
	pause(ctx, time.Until(began.Add(leaderChange)))
	if metric == report.FailoverKill {
		r.Set(report.LeaderBytes, float64(b.balancers.Sum().RoutesIn-before.RoutesIn)/balancers)
	}
	b.leader = next
	b.service.Remove(gone)
	return nil
}

// ask pushes and calls for starts until a decision is seen. It returns how many seconds that took, and
// how many milliseconds the longest start took, with what was tried in vain.
func (b *bench) ask(ctx context.Context, l *load, app objects.App, seen <-chan time.Time, began time.Time) (took, call float64) {
	ticks := time.NewTicker(askAgain)
	defer ticks.Stop()
	for i := 0; time.Since(began) < failoverLimit; i++ {
		for p := range min(b.perApp, mostAsk) {
			_ = l.sidecars.Push(ctx, objects.Pod{App: app, Index: p, Owned: true}, drivers.Hot) // the next one may be taken
		}
		if i < len(b.asleep)/4 {
			call = max(call, b.call(ctx, l, b.asleep[b.next%len(b.asleep)]))
			b.next++
		}
		select {
		case at := <-seen:
			return at.Sub(began).Seconds(), call
		case <-ticks.C:
		case <-ctx.Done():
			return math.NaN(), math.NaN()
		}
	}
	return math.NaN(), call
}

// call calls for a start at one address after the other, and returns how many milliseconds it took.
func (b *bench) call(ctx context.Context, l *load, a objects.App) float64 {
	began := time.Now()
	for range 20 {
		address := b.service.Address()
		if l.starter.Start(ctx, address, a) == nil {
			break
		}
		b.service.Failed(address)
		pause(ctx, askAgain/10)
	}
	return float64(time.Since(began).Microseconds()) / 1000
}
