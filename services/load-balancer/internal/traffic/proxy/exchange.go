package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// exchange is one request on its way.
type exchange struct {
	p       *Proxy
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	ctx     context.Context //nolint:containedctx // the request's own, with its span
	span    trace.Span
	began   time.Time
	path    string             // as the client asked for it
	peer    string             // who holds the connection
	scheme  string             // that the client used; "" while that is not known
	asked   []accesslog.Header // header fields of the request that are logged

	match   routing.Match[*dispatch.Application]
	visit   dispatch.Visit
	body    clientBody
	request Request
	headers [4]string // values of headers that are added, to spare allocations
	answer  *Answer

	status   int           // of the answer; 0 while none was begun
	sent     int64         // bytes of the answer's body
	first    time.Duration // from the arrival to the first of them
	tries    int           // pods that were tried
	pod      *dispatch.Pod // the last of them
	broken   bool          // the pod broke off
	cut      bool          // the answer is not whole
	lastMark time.Time
	fault    error
	refused  fault.Code   // what was answered in place of a pod's answer
	tap      *genai.Tap   // that the answer's body passes; nil when it tells nothing
	call     bool         // it is made for someone: a refusal is handed back, not written
	refusal  *fault.Error // that was
}

// run is the whole way of a request.
func (x *exchange) run() {
	x.path = x.r.URL.EscapedPath()
	x.asked = logged(x.r.Header, x.p.request) // before the header is changed for the pod
	err := x.limits()
	if err == nil && !x.call {
		err = x.route()
	}
	if err == nil {
		x.prepare()
		err = x.reach()
	}
	if err != nil {
		x.refuse(err)
		return
	}
	x.relay()
}

// limits refuses what is too large before anything is done for it.
func (x *exchange) limits() error {
	if most, over := x.p.o.Gate.Over(x.r.Context()); over {
		return errConnections(most)
	}
	if x.r.Method == http.MethodConnect {
		return errMethod()
	}
	if limit := x.p.o.Limits.URI; len(x.r.RequestURI) > limit {
		return errURITooLong(len(x.r.RequestURI), limit)
	}
	if limit := x.p.o.Limits.Body; x.r.ContentLength > limit {
		return httpserver.TooLarge(x.r.ContentLength, limit)
	}
	return nil
}

func (x *exchange) route() (err error) {
	x.match, err = x.p.o.Matcher.Match(x.r.Host, x.path)
	return err
}

// reach finds a pod and brings the request to it: back to the waiting room as long as provably
// nothing of the request has reached one.
func (x *exchange) reach() error {
	arrival := dispatch.Arrival{Trace: x.ctx, TraceID: x.span.SpanContext().TraceID(), Bytes: x.footprint()}
	waits, err := x.visit.Arrive(x.match.Target, arrival)
	for {
		if err == nil && waits {
			err = x.wait()
		}
		if err != nil {
			return err
		}
		x.tries++
		x.pod = x.visit.Pod
		err = x.send()
		if _, unsent := errors.AsType[*UnsentError](err); !unsent {
			return err
		}
		x.p.o.Log.InfoContext(x.ctx, "pod not reached, another is tried", "application", x.visit.App.ID.String(),
			"pod", x.visit.Pod.Name, "address", x.visit.Pod.Address, "error", err)
		x.p.o.Metrics.retries.WithLabelValues(x.visit.App.ID.Namespace, x.visit.App.ID.Deployment).Inc()
		x.pod = nil
		waits, err = x.visit.Retry()
	}
}

// footprint is what the request holds while it waits: its head, and what is gathered of its body.
func (x *exchange) footprint() int64 {
	n := int64(len(x.r.RequestURI) + len(x.r.Host) + 512)
	for name, values := range x.r.Header {
		for _, value := range values {
			n += int64(len(name) + len(value))
		}
	}
	return n + x.reserved()
}

// reserved is what an announced body may hold while it is gathered.
func (x *exchange) reserved() int64 {
	if x.body.source == nil || x.request.Expect {
		return 0
	}
	return min(max(x.r.ContentLength, 0), gatherLimit)
}

// wait stays in the waiting room until there is a pod.
func (x *exchange) wait() error {
	_, span := x.p.o.Tracer.Start(x.ctx, "wait")
	defer span.End()
	if !x.request.Expect { // a client that waits for 100 Continue is not told to send yet
		x.body.gather(x.reserved(), x.visit.Grow)
	}
	err := x.visit.Wait(x.ctx)
	x.body.leaveGathering()
	return err
}

// send sends the request to the visit's pod and reads the head of its answer.
func (x *exchange) send() (err error) {
	if x.body.source != nil {
		whole, complete, err := x.body.whole(!x.request.Expect)
		if err != nil {
			return &BodyError{Err: err}
		}
		x.request.Body, x.request.Whole = &x.body, nil
		if complete && len(x.r.Trailer) == 0 {
			x.request.Body, x.request.Whole = nil, whole
		}
	}
	if !x.span.IsRecording() { // nor would a child be
		x.inject(x.ctx)
		x.answer, err = x.p.o.Sender.Do(x.ctx, x.visit.Pod.Address, &x.request)
		return err
	}
	return x.sendTraced()
}

// sendTraced sends within a span of its own, the parent of the pod's.
func (x *exchange) sendTraced() (err error) {
	ctx, span := x.p.o.Tracer.Start(x.ctx, "upstream", asClient)
	defer span.End()
	x.inject(ctx)
	span.SetAttributes(attribute.String("nemesis.pod", x.visit.Pod.Name),
		attribute.String("server.address", x.visit.Pod.Address), attribute.String("nemesis.reason", x.visit.Reason))
	x.answer, err = x.p.o.Sender.Do(x.ctx, x.visit.Pod.Address, &x.request)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", x.answer.Status))
	return nil
}

// endBody returns when nobody reads the client's body any more.
func (x *exchange) endBody() {
	x.body.interrupt()
	if x.request.Sent != nil {
		<-x.request.Sent
	}
	x.body.give()
}

// finish ends the exchange on every side, and says what became of it. It tells whether the
// connection to the client must be cut.
func (x *exchange) finish() bool {
	if x.answer != nil {
		x.answer.Body.Close()
	}
	x.endBody()
	now := time.Now()
	if x.visit.App != nil {
		x.visit.End(dispatch.Outcome{Status: x.status, Broken: x.broken})
		x.p.o.Metrics.ended(x.visit.App.ID, x.status, now.Sub(x.began))
		if x.visit.Waited > 0 {
			x.p.o.Metrics.waited.WithLabelValues(x.visit.App.ID.Namespace, x.visit.App.ID.Deployment).Observe(x.visit.Waited.Seconds())
		}
	}
	x.keep(now)
	x.unlisten()
	x.log(now)
	if x.span.IsRecording() {
		x.span.SetAttributes(attribute.String("http.request.method", x.r.Method), attribute.String("url.path", x.r.URL.Path),
			attribute.Int("http.response.status_code", x.status))
		if x.status >= http.StatusInternalServerError || x.broken {
			x.span.SetStatus(codes.Error, "")
		}
	}
	x.span.End()
	return x.cut
}

// log writes one line: at info when something was unusual (it waited, it failed), else at debug.
func (x *exchange) log(now time.Time) {
	level := slog.LevelDebug
	if x.visit.Waited > 0 || x.status >= http.StatusInternalServerError || x.broken {
		level = slog.LevelInfo
	}
	if !x.p.o.Log.Enabled(x.ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String("method", x.r.Method), slog.String("path", shortened(x.r.URL.Path)), slog.Int("status", x.status),
		slog.Int64("bytes", x.sent), slog.Float64("ms", milliseconds(now.Sub(x.began))), slog.Int("tries", x.tries))
	if x.visit.App != nil {
		attrs = append(attrs, slog.String("application", x.visit.App.ID.String()), slog.Float64("waited_ms", milliseconds(x.visit.Waited)))
	}
	if x.pod != nil {
		attrs = append(attrs, slog.String("pod", x.pod.Name), slog.String("reason", x.visit.Reason))
	}
	if x.fault != nil {
		attrs = append(attrs, slog.String("error", x.fault.Error()))
	}
	x.p.o.Log.LogAttrs(x.ctx, level, "request", attrs...)
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
