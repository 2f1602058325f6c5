package proxy

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// Starter asks the controller to start an application. A dispatch.RefusedStartError came from
// the controller itself: asking again sooner would not help.
type Starter interface {
	Start(ctx context.Context, call dispatch.StartCall) (dispatch.Started, error)
}

// How often the controller is asked.
const (
	startPeriod   = time.Second           // while requests wait and no pod is usable
	firstBackOff  = 50 * time.Millisecond // when the controller cannot be reached; doubled up to the period
	startTimeout  = 3 * time.Second       // of one call
	periodJitter  = 0.1
	backOffJitter = 0.3
)

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
func (k *Waker) Wake(need *dispatch.Need) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() == nil {
		k.loops.Go(func() { k.loop(need) })
	}
}

func (k *Waker) loop(need *dispatch.Need) {
	backOff := firstBackOff
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-need.Ended():
			return
		case <-k.ctx.Done():
			return
		}
		err := k.call(need)
		if _, refused := errors.AsType[*dispatch.RefusedStartError](err); err == nil || refused {
			backOff = firstBackOff
			timer.Reset(jittered(startPeriod, periodJitter))
			continue
		}
		timer.Reset(jittered(backOff, backOffJitter))
		backOff = min(2*backOff, startPeriod)
	}
}

func (k *Waker) call(need *dispatch.Need) error {
	waiting := need.Waiting()
	ctx, cancel := context.WithTimeout(need.Trace, startTimeout)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	need.Called()
	began := time.Now()
	started, err := k.starter.Start(ctx, dispatch.StartCall{App: need.App, Waiting: waiting, ArrivedAt: need.ArrivedAt})
	attrs := []any{"application", need.App.String(), "waiting", waiting, "ms", milliseconds(time.Since(began))}
	if err != nil {
		result, trouble := "error", "the controller cannot be reached"
		if refused, ok := errors.AsType[*dispatch.RefusedStartError](err); ok {
			result, trouble = "refused", refused.Detail
		}
		need.Failed(trouble)
		k.metrics.starts.WithLabelValues(need.App.Namespace, need.App.Deployment, result).Inc()
		k.log.WarnContext(need.Trace, "start call failed", append(attrs, "error", err)...)
		return err
	}
	need.Answered(started.ExpectedStart)
	k.metrics.starts.WithLabelValues(need.App.Namespace, need.App.Deployment, "ok").Inc()
	k.log.InfoContext(need.Trace, "start called", append(attrs, "scaled", started.Scaled, "message", started.Message)...)
	return nil
}

// jittered varies d by the share, so that many balancers do not call in step.
func jittered(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*rand.Float64()-1)))
}
