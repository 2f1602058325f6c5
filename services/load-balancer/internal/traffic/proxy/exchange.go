package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// exchange is one request on its way.
type exchange struct {
	p     *Proxy
	c     Client
	r     *message.Request
	began time.Time
	ended time.Time
	now   time.Time // when the clock was looked at last; zero after something was waited for
	peer  Peer

	// Of the trace. ctx and span are nil when none is recorded; parent is what the client sent.
	ctx    context.Context //nolint:containedctx // the request's own, with its span
	span   trace.Span
	parent trace.SpanContext

	scheme   string // that the client used; "" while that is not known
	match    routing.Match[*dispatch.Application]
	place    routing.Place // of the application's addresses, the one that was matched
	at       string        // its prefix, without a slash at its end
	to       Destination   // where it was sent last
	visit    dispatch.Visit
	body     body
	out      Outgoing
	cuttable *cuttable        // nil: it cannot be cut off
	add      []message.Field  // beside the client's fields
	head     message.Response // of the answer
	answer   Answer

	answerAdd      []message.Field // beside the pod's fields
	status         int             // of the answer; 0 while none was begun
	sent           int64           // bytes of the answer's body
	first          time.Duration   // from the arrival to the first of them
	pod            *dispatch.Pod   // the last of them
	broken         bool            // the pod broke off
	ours           bool            // the fault is this load balancer's
	fault          error
	refused        fault.Code // what was answered in place of a pod's answer
	tap            *genai.Tap // that the answer's body passes; nil when it tells nothing
	uncounted      uncounted
	affinity       balance.Request // what the policy may go by
	session        bool            // the answer may begin a session of its pod
	further        bool            // it was matched at a further address of the application
	placed         bool            // it is counted for its application
	crowdsOut      bool            // it would leave too few places to others
	mayHaveArrived bool            // the pod may have begun to work on it
	early          bool            // the answer is an event stream that was begun before there was a pod
	call           bool            // it is made for someone: a refusal is handed back, not written
	outcome        *Outcome        // of the call
	refusal        *fault.Error    // that was
	answered       message.Fields  // of the answer that was sent, for the log
}

// run is the whole way of a request.
func (x *exchange) run() {
	err := x.limits()
	if err == nil && !x.call {
		var done bool
		if done, err = x.find(); done && err == nil {
			return
		}
	}
	if err == nil {
		err = x.gather()
	}
	if err == nil {
		x.prepare()
		err = x.reach()
	}
	switch {
	case err == nil:
		x.relay()
	case !errors.Is(err, errAnswered):
		x.refuse(err)
	}
}

// limits refuses what is too large before anything is done for it.
func (x *exchange) limits() error {
	if most, crowded := x.c.Crowded(); crowded {
		return errConnections(most)
	}
	if x.r.Method == http.MethodConnect {
		return errMethod()
	}
	if limit := x.p.o.Limits.URI; len(x.r.Target) > limit {
		return errURITooLong(len(x.r.Target), limit)
	}
	if limit := x.p.o.Limits.Body; x.r.Length > limit {
		return errTooLarge(x.r.Length, limit)
	}
	return nil
}

// reach finds a pod and brings the request to it: back to the waiting room as long as provably
// nothing of the request has reached one.
func (x *exchange) reach() error {
	x.mayBeCut()
	waits, err := x.visit.Arrive(x.match.Target, x.arrival(), x.lately())
	for {
		if err == nil && waits {
			err = x.wait()
			x.waited()
		}
		if err != nil {
			return err
		}
		x.pod = x.visit.Pod
		err = x.send()
		unsent, again := errors.AsType[*UnsentError](err)
		if !again {
			return err
		}
		x.p.o.Log.Info("pod not reached, another is tried", "application", x.visit.App.ID.String(),
			"pod", x.visit.Pod.Name, "address", x.to.Address, "error", unsent)
		x.p.o.Metrics.retries.WithLabelValues(x.visit.App.ID.Namespace, x.visit.App.ID.Deployment).Inc()
		x.pod = nil
		x.pause(unsent)
		// That nobody listens on a further port says nothing of the pod: what others ask of it goes on.
		waits, err = x.visit.Retry(unsent.Refused && !x.further, x.lately())
	}
}

// arrival is what dispatch is told of the request.
func (x *exchange) arrival() dispatch.Arrival {
	a := dispatch.Arrival{
		Trace: x.ctx, Bytes: x.footprint(), Uncounted: x.uncounted.is, Affinity: x.affinity,
		Client: x.peer.Address, Method: x.r.Method, Path: x.r.Path,
	}
	if x.span != nil {
		a.TraceID = x.span.SpanContext().TraceID()
	} else if x.parent.IsValid() {
		a.TraceID = x.parent.TraceID()
		a.Trace = trace.ContextWithRemoteSpanContext(context.Background(), x.parent)
	}
	return a
}

// footprint is what the request holds while it waits: its head, and what was gathered of its body.
func (x *exchange) footprint() int64 {
	n := len(x.r.Target) + len(x.r.Host) + 512 + len(x.body.bytes)
	for i := range x.r.Fields {
		n += len(x.r.Fields[i].Name) + len(x.r.Fields[i].Value)
	}
	return int64(n)
}

// The pauses before a request that a pod did not take, although it is there, is offered again.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// pause waits for a moment when the pod took the connection, but not the request: it may be full, and
// the next one to be asked may be the same.
func (x *exchange) pause(unsent *UnsentError) {
	if unsent.Refused && !x.further || x.visit.Tries < 2 {
		return
	}
	timer := time.NewTimer(min(firstPause<<(x.visit.Tries-2), longestPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.c.Gone():
	}
}

// send sends the request to the visit's pod and reads the head of its answer.
func (x *exchange) send() (err error) {
	if err := x.address(); err != nil {
		return err
	}
	x.out.Add, x.out.Now = x.add, x.lately()
	x.out.Left = x.visit.Left(x.out.Now)
	x.waited()
	if x.span != nil {
		return x.sendTraced(x.to)
	}
	x.answer, err = x.p.o.Sender.Send(x.to, &x.out)
	return err
}

// finish ends the exchange on every side, and says what became of it. Each step is done whatever
// becomes of those before it: what is counted must be counted off again.
func (x *exchange) finish() {
	defer x.report()
	defer x.endTrace()
	defer x.tell()
	defer x.ungather()
	defer x.endVisit()
	if x.answer != nil {
		defer x.answer.Close()
	}
	x.c.Watch(nil)
	x.cutBy(nil)
	x.c.Interrupt()
	x.waited()
	x.out.Now = x.lately()
}

// endVisit gives the pod back, and counts the request.
func (x *exchange) endVisit() {
	x.leavePlace()
	if x.out.Streams { // the end of its sending was waited for
		x.waited()
	}
	x.ended = x.lately()
	if x.visit.App == nil {
		return
	}
	x.visit.End(dispatch.Outcome{Status: x.status, Broken: x.broken, Ours: x.ours, Left: x.fault != nil && !x.broken && !x.ours}, x.ended)
	if x.uncounted.is {
		x.countUncounted()
		return
	}
	x.p.o.Metrics.ended(x.visit.App.ID, x.status, x.ended.Sub(x.began))
	if x.visit.Waited > 0 {
		x.p.o.Metrics.waited.WithLabelValues(x.visit.App.ID.Namespace, x.visit.App.ID.Deployment).Observe(x.visit.Waited.Seconds())
	}
}

// logRecords are those that were logged: an exchange has one at its very end alone.
var logRecords = sync.Pool{New: func() any { return new(accesslog.Record) }}

// tell gives the logs what became of the exchange.
func (x *exchange) tell() {
	r := logRecords.Get().(*accesslog.Record) //nolint:forcetypeassert // the pool holds nothing else
	x.fillRecord(r, x.ended)
	x.p.o.AccessLog.Add(r)
	*r = accesslog.Record{}
	logRecords.Put(r)
	x.untap()
	x.logLine(x.ended)
}

// logLine writes one line: at info when something was unusual (it waited, it failed), else at debug.
func (x *exchange) logLine(now time.Time) {
	level := slog.LevelDebug
	if (x.visit.Waited > 0 || x.status >= http.StatusInternalServerError || x.broken) && (!x.uncounted.is || x.broken) {
		level = slog.LevelInfo
	}
	ctx := x.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	if x.p.o.Log.Enabled(ctx, level) {
		x.writeLine(ctx, level, now)
	}
}

// writeLine is apart from logLine, so that its large frame is no part of each connection's stack.
func (x *exchange) writeLine(ctx context.Context, level slog.Level, now time.Time) {
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String("method", x.r.Method), slog.String("path", shortened(x.r.Path)), slog.Int("status", x.status),
		slog.Int64("bytes", x.sent), slog.Float64("ms", milliseconds(now.Sub(x.began))), slog.Int("tries", x.visit.Tries))
	if x.visit.App != nil {
		attrs = append(attrs, slog.String("application", x.visit.App.ID.String()), slog.Float64("waited_ms", milliseconds(x.visit.Waited)))
	}
	if x.pod != nil {
		attrs = append(attrs, slog.String("pod", x.pod.Name), slog.String("reason", x.visit.Reason))
	}
	if x.fault != nil {
		attrs = append(attrs, slog.String("error", x.fault.Error()))
	}
	x.p.o.Log.LogAttrs(ctx, level, "request", attrs...)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// shortened bounds what a client can put into a log line.
func shortened(path string) string {
	const limit = 512
	if len(path) > limit {
		return path[:limit] + "…"
	}
	return path
}
