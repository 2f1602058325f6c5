package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// answer is an exchange with a pod, and what the pod answers.
type answer struct {
	r       *proxy.Outgoing
	ctx     context.Context //nolint:containedctx // of the exchange: net/http knows no other way to end it
	cancel  context.CancelCauseFunc
	body    *outgoing
	informs informs
	clock   clock

	mu  sync.Mutex // of res, for who ends the exchange meanwhile
	res *http.Response

	come    bool // something has, that was not read yet
	ended   bool
	trailer message.Fields
}

var (
	_ proxy.Answer   = (*answer)(nil)
	_ proxy.Canceler = (*answer)(nil)
)

func newAnswer(r *proxy.Outgoing) *answer {
	a := &answer{r: r, body: newOutgoing(r), informs: informs{to: r.Inform}}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	a.clock = clock{limit: r.Silence, body: a.body, out: func() { a.stop(errSilence) }}
	return a
}

// Cancel ends the exchange at once, which tells the pod to stop.
func (a *answer) Cancel() { a.stop(proxy.ErrGone) }

// stop ends the exchange. net/http looks at the context no more when it has handed out the answer
// and waits for the client's body, or for the pod to take it: both are ended too, beside the caller,
// who may hold locks.
func (a *answer) stop(cause error) {
	a.cancel(cause)
	go func() {
		_ = a.body.Close()
		a.mu.Lock()
		res := a.res
		a.mu.Unlock()
		if res != nil {
			_ = res.Body.Close()
		}
	}()
}

// begun takes the answer's head; false when the exchange was ended meanwhile.
func (a *answer) begun(res *http.Response) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.res = res
	return a.ctx.Err() == nil
}

// Head is that of the answer.
func (a *answer) Head() *message.Response { return a.r.Answer }

// Buffered is 1 when something of the body has come: how much, net/http does not say.
func (a *answer) Buffered() int {
	if a.come {
		return 1
	}
	return 0
}

// Ended tells whether the body was read to its end.
func (a *answer) Ended() bool { return a.ended }

// Whole tells whether the rest of the answer has come; before it was read net/http does not say.
func (a *answer) Whole() bool { return a.ended }

// Await flushes before, and waits for more of the body. A read of no bytes returns when there are
// some.
func (a *answer) Await(before proxy.Flusher) error {
	if a.come {
		return nil
	}
	if err := before.Flush(); err != nil {
		return &proxy.FlushError{Err: err}
	}
	_, err := a.read(nil)
	a.come = err == nil
	return err
}

// Read gives what has come of the body.
func (a *answer) Read(p []byte) (int, error) {
	a.come = false
	return a.read(p)
}

func (a *answer) read(p []byte) (int, error) {
	if a.ended {
		return 0, io.EOF
	}
	a.clock.begin()
	n, err := a.res.Body.Read(p)
	a.clock.pause()
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF: //nolint:errorlint // net/http returns it as it is
		a.ended = true
		if a.trailer, err = readTrailer(a.res.Trailer); err != nil {
			return n, err
		}
		return n, io.EOF
	case errors.Is(context.Cause(a.ctx), errSilence):
		return n, fmt.Errorf("%w: %v", proxy.ErrSilent, a.r.Silence)
	}
	return n, err
}

// Trailer is what followed the body.
func (a *answer) Trailer() message.Fields { return a.trailer }

// Tunnel is not offered: no pod is asked to change the protocol.
func (a *answer) Tunnel() proxy.Stream { return nil }

// Close ends the exchange.
func (a *answer) Close() {
	a.clock.end()
	a.cancel(proxy.ErrInterrupted)
	if a.res != nil {
		_ = a.res.Body.Close()
	}
	_ = a.body.Close()
}

// clock ends an exchange when the pod is silent for too long while it is waited for. A pod that
// waits for the client, as we do, is not.
type clock struct {
	limit time.Duration
	body  *outgoing
	out   func()
	since atomic.Int64 // UnixNano of when it was begun to wait for the pod; 0: it is not waited for
	timer atomic.Pointer[time.Timer]
}

func (c *clock) begin() {
	c.since.Store(time.Now().UnixNano())
	if c.limit > 0 && c.timer.Load() == nil {
		c.timer.Store(time.AfterFunc(c.limit, c.look))
	}
}

func (c *clock) pause() { c.since.Store(0) }

func (c *clock) look() {
	left := c.limit
	if since := c.since.Load(); since != 0 && !c.body.waits.Load() {
		since = max(since, c.body.took.Load())
		if left = c.limit - time.Since(time.Unix(0, since)); left <= 0 {
			c.out()
			return
		}
	}
	if timer := c.timer.Load(); timer != nil {
		timer.Reset(left)
	}
}

func (c *clock) end() {
	if timer := c.timer.Swap(nil); timer != nil {
		timer.Stop()
	}
}

// maxInformational bounds the 1xx answers before the real one.
const maxInformational = 32

// informs are informational answers on their way to the client, which may be slow to take them.
type informs struct {
	to      proxy.Informer
	mu      sync.Mutex
	queue   []*message.Response
	count   int
	running bool
	done    sync.WaitGroup
}

func (i *informs) add(h *message.Response) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count++; i.count > maxInformational {
		return fmt.Errorf("more than %d informational answers", maxInformational)
	}
	i.queue = append(i.queue, h)
	if !i.running {
		i.running = true
		i.done.Go(i.deliver)
	}
	return nil
}

func (i *informs) deliver() {
	for {
		i.mu.Lock()
		if len(i.queue) == 0 {
			i.running = false
			i.mu.Unlock()
			return
		}
		next := i.queue[0]
		i.queue = i.queue[1:]
		i.mu.Unlock()
		i.pass(next)
	}
}

// pass runs on a goroutine of its own, where a fault would end the process.
func (i *informs) pass(h *message.Response) {
	defer func() { _ = recover() }() // the answer follows, and meets it again where it is reported
	i.to.Inform(h)
}

// end returns when all have been passed on.
func (i *informs) end() { i.done.Wait() }
