package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/drivers"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/subject"
)

const (
	loadWarm   = 6 * time.Second // every sidecar has pushed
	warmWithin = time.Minute
	// backAfter is when a woken application is put to zero again: two reports later, so that nobody waits there.
	backAfter = 2500 * time.Millisecond
	seenIn    = 10 * time.Second
	batched   = 200 // values in a batch: a node's, or some nodes'
	// mostAlone is how many pods push each by itself: 2,000 pushes a second.
	mostAlone = 10000
	// startOwn is what start calls took of the controller itself, by its own clock.
	startOwn = "nemesis_start_call_own_seconds"
)

// load is all that happens at once.
type load struct {
	*bench
	sidecars *drivers.Sidecars
	starter  *drivers.Starter
	// floor is the driver's own /scale, watched is until the watch shows it: what the API server alone takes.
	floor, watched, decided drivers.Latencies
	failed, undecided       atomic.Int64
	complaint               atomic.Pointer[string]
	pushes                  float64 // share of its core that the controller takes for them alone
	probed                  int     // of the awake applications, so many
	running                 sync.WaitGroup
	stop                    context.CancelFunc
}

// underLoad measures with pushes alone first, then with everything.
func (b *bench) underLoad(ctx context.Context, r *report.Run) error {
	if _, err := b.settle(ctx); err != nil {
		return err
	}
	before, err := b.leader.Memory(ctx)
	if err != nil {
		return err
	}
	rest, err := b.use(ctx, b.look())
	if err != nil {
		return err
	}
	l := b.load(ctx, 0)
	defer func() { l.end() }()
	l.warm(ctx)
	if err := b.pushing(ctx, r, l, rest, before.RSS, before.Live); err != nil {
		return err
	}
	if l.sidecars.TakesBatches(ctx, b.pods[0]) {
		l.end()
		if l, err = b.batching(ctx, r, rest); err != nil {
			return err
		}
	}
	rate, err := l.bearable(ctx, r)
	if err != nil {
		return err
	}
	l.begin(ctx, r.Applications, rate)
	pause(ctx, loadWarm)
	return b.loaded(ctx, r, l)
}

// whole is in which batches pods push when everything happens.
func (b *bench) whole() int {
	if b.batch == 0 && len(b.pods) > mostAlone {
		return batched
	}
	return b.batch
}

// load starts the sidecars; with a batch of 0 each pushes by itself.
func (b *bench) load(ctx context.Context, batch int) *load {
	return &load{bench: b, sidecars: drivers.StartSidecars(ctx, b.pods, b.service, batch), starter: drivers.NewStarter(b.service), stop: func() {}}
}

// warm waits until every sidecar has pushed: where that is new to the controller, it verifies a token of each.
func (l *load) warm(ctx context.Context) {
	pause(ctx, loadWarm)
	for began := time.Now(); time.Since(began) < warmWithin && ctx.Err() == nil; pause(ctx, loadWarm/10) {
		if taken, _ := l.sidecars.Sent(); taken >= int64(len(l.pods)) {
			return
		}
	}
}

// batching is what a value in a batch costs. It leaves the sidecars that the whole load is to have.
func (b *bench) batching(ctx context.Context, r *report.Run, rest float64) (*load, error) {
	l := b.load(ctx, batched)
	l.warm(ctx)
	cost, err := b.pushed(ctx, l, rest)
	if cost > 0 { // of few pods it is less than what is measured beside it
		r.Set(report.BatchCPU, cost)
	}
	if whole := b.whole(); whole != batched {
		l.end()
		l = b.load(ctx, whole)
	}
	return l, err
}

// pushed is the CPU time, in microseconds, of one value that is pushed.
func (b *bench) pushed(ctx context.Context, l *load, rest float64) (float64, error) {
	taken, _ := l.sidecars.Sent()
	began := time.Now()
	share, err := b.use(ctx, b.span())
	pushes, _ := l.sidecars.Sent()
	return (share - rest) * float64(time.Since(began).Microseconds()) / float64(pushes-taken), err
}

// pushing is what pushes cost.
func (b *bench) pushing(ctx context.Context, r *report.Run, l *load, rest, rss, live float64) error {
	cost, err := b.pushed(ctx, l, rest)
	if err != nil {
		return err
	}
	r.Set(report.PushCPU, cost)
	m, err := b.leader.Memory(ctx)
	n := float64(len(b.pods)) * 1024
	r.Set(report.PushingRSS, (m.RSS-rss)/n)
	r.Set(report.PushingHeap, (m.Live-live)/n)
	return err
}

// begin adds wake-ups, so many a second, requests and pushes that call for more pods.
func (l *load) begin(ctx context.Context, applications int, rate float64) {
	ctx, l.stop = context.WithCancel(ctx)
	l.every(ctx, time.Duration(float64(time.Second)/max(rate, 0.01)), l.wake)
	l.every(ctx, time.Second, func(context.Context, int) { l.balancers.Served(l.awake, int64(1+applications%3)) })
	l.probing(ctx, len(l.awake)*7/10) // the others are for the time after the leader's end
}

// probing has pods push values that call for more, of one application after the other until one of that number. Each is a
// decision, and so some writes to the API server: not so many at a time that it does little else.
func (l *load) probing(ctx context.Context, until int) {
	from := l.probed
	l.probed = until
	pace := (l.span() + loadWarm) / time.Duration(max(until-from, 1))
	l.every(ctx, max(pace, 100*time.Millisecond), func(ctx context.Context, i int) {
		if from+i < until {
			l.probe(ctx, l.awake[from+i])
		}
	})
}

// every does something again and again, each in its own time.
func (l *load) every(ctx context.Context, pace time.Duration, do func(ctx context.Context, i int)) {
	l.running.Go(func() {
		began := time.Now()
		for i := 0; ; i++ {
			pause(ctx, time.Until(began.Add(time.Duration(i)*pace)))
			if ctx.Err() != nil {
				return
			}
			l.running.Go(func() { do(ctx, i) })
		}
	})
}

// wake calls for the start of a sleeping application, and puts it back to zero a while later.
func (l *load) wake(ctx context.Context, i int) {
	a := l.asleep[(l.next+i)%len(l.asleep)]
	if err := l.starter.Start(ctx, l.service.Address(), a); err != nil {
		l.complain(ctx, err)
	}
	l.balancers.Served([]objects.App{a}, 0)
	pause(ctx, backAfter)
	seen := l.seen.await(a, func(replicas int) bool { return replicas == 0 })
	defer l.seen.forget(a)
	began := time.Now()
	if err := l.scale(context.WithoutCancel(ctx), a, 0); err != nil {
		l.complain(ctx, err)
		return
	}
	l.floor.Add(time.Since(began))
	select {
	case at := <-seen:
		l.watched.Add(at.Sub(began))
	case <-ctx.Done():
	}
}

// probe pushes a value that calls for one pod more, and waits until it is seen that it was asked for.
func (l *load) probe(ctx context.Context, a objects.App) {
	seen := l.seen.await(a, func(replicas int) bool { return replicas > l.perApp })
	defer l.seen.forget(a)
	began := time.Now()
	if err := l.sidecars.Push(ctx, objects.Pod{App: a, Owned: true}, drivers.Hot); err != nil {
		l.complain(ctx, err)
		return
	}
	select {
	case at := <-seen:
		l.decided.Add(at.Sub(began))
	case <-time.After(seenIn):
		l.undecided.Add(1)
	case <-ctx.Done():
	}
}

func (l *load) complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.failed.Add(1)
		text := err.Error()
		l.complaint.CompareAndSwap(nil, &text)
	}
}

// loaded measures while everything happens.
func (b *bench) loaded(ctx context.Context, r *report.Run, l *load) error {
	for _, list := range []*drivers.Latencies{&l.sidecars.Latency, &l.starter.Latency, &l.floor, &l.watched, &l.decided} {
		list.Reset()
	}
	other, err := b.others()
	if err != nil {
		return err
	}
	ownBefore, err := b.leader.Buckets(ctx, startOwn)
	if err != nil {
		return err
	}
	before := b.balancers.Sum()
	taken, refused := l.sidecars.Sent()
	began := time.Now()
	share, err := b.use(ctx, b.span())
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	otherAfter, err := b.others()
	if err != nil {
		return err
	}
	ownAfter, err := b.leader.Buckets(ctx, startOwn)
	if err != nil {
		return err
	}
	r.Set(report.OwnP50, 1000*subject.Quantile(0.5, ownBefore, ownAfter))
	r.Set(report.OwnP99, 1000*subject.Quantile(0.99, ownBefore, ownAfter))
	after := b.balancers.Sum()
	pushes, refusedAfter := l.sidecars.Sent()
	rss, err := b.leader.RSS()
	r.Set(report.LoadCPU, 100*share)
	full := 100 * l.spare(otherAfter-other, seconds)
	r.Set(report.LoadOther, full)
	if full > 90 {
		r.Note(fmt.Sprintf("under load API server, etcd and driver took %.0f%% of their cores: latencies and rates are theirs", full))
	}
	r.Set(report.LoadRSS, float64(rss)/mega)
	r.Set(report.PushRate, float64(pushes-taken)/seconds)
	r.Set(report.PushesFailed, float64(refusedAfter-refused))
	starts := float64(l.starter.Latency.Count())
	r.Set(report.Starts, starts/seconds)
	r.Set(report.WakeCPU, 1000*(share-l.pushes)*seconds/max(starts, 1))
	r.Set(report.StartsFailed, float64(l.failed.Load()))
	r.Set(report.Decisions, float64(l.decided.Count()))
	r.Set(report.LoadRoutes, float64(after.RoutesIn-before.RoutesIn)/seconds/balancers)
	r.Set(report.LoadReports, float64(after.ReportsOut-before.ReportsOut)/float64(after.Reports-before.Reports))
	for metric, list := range map[string]*drivers.Latencies{
		report.PushP50: &l.sidecars.Latency, report.StartP50: &l.starter.Latency, report.FloorP50: &l.floor, report.SeenP50: &l.watched, report.DecisionP50: &l.decided,
	} {
		r.Set(metric, list.Quantile(0.5))
	}
	for metric, list := range map[string]*drivers.Latencies{
		report.PushP99: &l.sidecars.Latency, report.StartP99: &l.starter.Latency, report.FloorP99: &l.floor, report.SeenP99: &l.watched, report.DecisionP99: &l.decided,
	} {
		r.Set(metric, list.Quantile(0.99))
	}
	r.Set(report.Undecided, float64(l.undecided.Load()))
	if text := l.complaint.Load(); text != nil {
		r.Note(fmt.Sprintf("%d calls were refused; the first: %s", l.failed.Load(), *text))
	}
	metrics, err2 := b.leader.Metrics(ctx)
	if lostLease(metrics) {
		r.Note("it lost its Lease, for the API server took longer for a write than it holds: under load it led for a part of the time, and read what the leader before kept anew")
	}
	return errors.Join(err, err2)
}

// lostLease tells whether a controller that was alone does not lead, or began to more than once.
func lostLease(metrics map[string]float64) bool {
	terms, known := metrics["nemesis_leader_terms_total"] // the last release does not count them
	return known && (terms > 1 || metrics["nemesis_leader"] == 0)
}

// end ends everything.
func (l *load) end() {
	l.stop()
	l.running.Wait()
	l.sidecars.Stop()
	l.next += l.starter.Latency.Count()
}

// others is the CPU time of all that has the other core: the API server, etcd and this program.
func (b *bench) others() (time.Duration, error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	server, err := b.server.CPU()
	return server + time.Duration(own.Utime.Nano()+own.Stime.Nano()), err
}
