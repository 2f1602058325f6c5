package proxy

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// Starter asks the controller to start an application. A dispatch.RefusedStartError came from
// the controller itself: asking again sooner would not help.
type Starter interface {
	Start(ctx context.Context, call dispatch.StartCall) (dispatch.Started, error)
}

// How often the controller is asked.
const (
	startPeriod  = time.Second     // while requests wait and no pod is usable
	startTimeout = 3 * time.Second // of one call
	periodJitter = 0.1
)

// startBackoff is when the controller cannot be reached: up to the period.
var startBackoff = retry.Backoff{First: 50 * time.Millisecond, Most: startPeriod}

// Waker calls for starts, one loop for each application that needs one.
type Waker struct {
	starter Starter
	log     *slog.Logger
	metrics *Metrics

	mu     sync.Mutex
	ctx    context.Context //nolint:containedctx // the life of the waker; Wake has none of its own
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

var _ dispatch.Waker = (*Waker)(nil)

// NewWaker makes a waker. Close it.
func NewWaker(starter Starter, log *slog.Logger, metrics *Metrics) *Waker {
	ctx, cancel := context.WithCancel(context.Background())
	return &Waker{starter: starter, log: log, metrics: metrics, ctx: ctx, cancel: cancel}
}

// Close ends every loop and waits for them.
func (k *Waker) Close() {
	k.mu.Lock()
	k.cancel()
	k.mu.Unlock()
	k.loops.Wait()
}

// Wake begins to call for a start.
func (k *Waker) Wake(request *dispatch.StartRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() == nil {
		k.loops.Go(func() { k.loop(request) })
	}
}

func (k *Waker) loop(request *dispatch.StartRequest) {
	failures := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-request.Ended():
			return
		case <-k.ctx.Done():
			return
		}
		err := k.call(request)
		if _, refused := errors.AsType[*dispatch.RefusedStartError](err); err == nil || refused {
			failures = 0
			timer.Reset(jittered(startPeriod, periodJitter))
			continue
		}
		failures++
		timer.Reset(startBackoff.Near(failures, rand.Float64))
	}
}

func (k *Waker) call(request *dispatch.StartRequest) error {
	waiting := request.Waiting()
	ctx, cancel := context.WithTimeout(request.Trace, startTimeout)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	request.Called()
	began := time.Now()
	started, err := k.starter.Start(ctx, dispatch.StartCall{App: request.App, Waiting: waiting, ArrivedAt: request.ArrivedAt})
	attrs := []any{"application", request.App.String(), "waiting", waiting, "ms", milliseconds(time.Since(began))}
	if err != nil {
		result := "error"
		if _, ok := errors.AsType[*dispatch.RefusedStartError](err); ok {
			result = "refused"
		}
		request.Failed(err)
		k.metrics.starts.of(request.App, result).Inc()
		k.log.WarnContext(request.Trace, "start call failed", append(attrs, "error", err)...)
		return err
	}
	request.Answered(started)
	k.metrics.starts.of(request.App, "ok").Inc()
	k.log.InfoContext(request.Trace, "start called", append(attrs, "scaled", started.Scaled, "message", started.Message)...)
	return nil
}

// jittered varies d by the share, so that many balancers do not call in step.
func jittered(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*rand.Float64()-1)))
}
