package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
)

// worker sends one request after the other on one connection, until it is over: for protocols that a
// library speaks, where a goroutine for each connection is simpler than an event loop and its cost,
// which is not the proxy's, does not matter.
type worker func(p *phase) error

// phase is where a run of workers is.
type phase struct {
	measuring, over atomic.Bool
}

// record is what one worker saw.
type record struct {
	requests  int
	latencies []time.Duration
}

func (r *record) add(p *phase, due time.Duration) {
	if p.measuring.Load() {
		r.requests++
		r.latencies = append(r.latencies, backend.Now()-due)
	}
}

// parallel runs the workers for the time of the plan. A worker that returns early has failed, and so
// has the run.
func parallel(ctx context.Context, p Plan, workers []worker) (time.Duration, error) {
	var at phase
	var all sync.WaitGroup
	faults := make(chan error, len(workers))
	for _, w := range workers {
		all.Go(func() {
			if err := w(&at); err != nil {
				faults <- err
			}
		})
	}
	fault := wait(ctx, p.Warm, faults)
	var took time.Duration
	if fault == nil {
		from := backend.Now()
		call(p.Begin)
		at.measuring.Store(true)
		fault = wait(ctx, p.For, faults)
		at.measuring.Store(false)
		took = backend.Now() - from
		call(p.End)
	}
	at.over.Store(true)
	all.Wait()
	close(faults)
	if fault == nil {
		fault = <-faults // of many that fail alike one says enough
	}
	return took, fault
}

func wait(ctx context.Context, d time.Duration, faults <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-faults:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join is the result of all workers.
func join(records []record, took time.Duration) Result {
	r := Result{Took: took}
	for _, one := range records {
		r.Requests += one.requests
		r.Latencies = append(r.Latencies, one.latencies...)
	}
	return r
}
