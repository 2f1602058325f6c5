package proxy

import (
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Order is a request that the admin API makes for someone. The application gets nothing of that
// one's own head but the trace: what is sent is here.
type Order struct {
	Target      routing.Target
	Method      string
	ContentType string // of the body; "" without one
	Body        []byte
	Traceparent string // of who asks; "" is none
}

// Outcome is how an order ended.
type Outcome struct {
	Refusal *fault.Error // no pod answered, and nothing was written; nil: one did
	Pod     string
	Cut     bool // the answer is not whole
	Trace   trace.SpanContext
}

// CallClient is the client's side of an order: it takes the answer, and can be told to give up.
type CallClient interface {
	Client
	Canceler
}

// Call sends an order the way of every client's request: the application is woken, the request
// waits, is balanced, counted and logged. The answer goes to c, whose body is the order's.
func (p *Proxy) Call(c CallClient, o Order) (outcome Outcome) {
	app, ok := p.o.Matcher.Find(o.Target.Application)
	if !ok {
		return Outcome{Refusal: fault.New(fault.Unavailable, "the application's route was removed at this moment").After(connectionsRetry)}
	}
	if !o.writable() {
		return Outcome{Refusal: fault.New(fault.Invalid, "the request cannot be sent: its method, path, query, host or media type has a character that must not stand there")}
	}
	p.active.add(c)
	defer p.active.remove(c)
	x := p.begin(c, o.request())
	x.call, x.outcome = true, &outcome
	x.match = routing.Match[*dispatch.Application]{Target: app, Prefix: o.Target.Prefix, Path: o.Target.Path}
	x.locate(o.Target.At)
	defer x.end()
	x.run()
	return outcome
}

// report says how an order ended.
func (x *exchange) report() {
	if x.outcome == nil {
		return
	}
	*x.outcome = Outcome{Refusal: x.refusal, Trace: x.ids(), Cut: x.refusal == nil && x.fault != nil}
	if x.pod != nil {
		x.outcome.Pod = x.pod.Name
	}
}

// writable tells whether the head can be written. A client's was parsed; this one comes from settings
// and documents, and a line break in it would be a line of its own.
func (o Order) writable() bool {
	target := o.Target.Prefix + o.Target.Path
	return strings.HasPrefix(target, "/") && !hasBlank(target) && !hasBlank(o.Target.Query) && !hasBlank(o.Target.Host) &&
		message.Writable(o.Method, "") && message.Writable("Content-Type", o.ContentType) && message.Writable("Traceparent", o.Traceparent)
}

// hasBlank tells whether there is what must not stand in a target: blanks, control characters, or the
// beginning of a fragment.
func hasBlank(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' })
}

// request is the order as a client of the data port would have sent it.
func (o Order) request() *message.Request {
	r := &message.Request{
		Method: o.Method, Path: o.Target.Prefix + o.Target.Path, Query: o.Target.Query, HasQuery: o.Target.Query != "",
		Host: o.Target.Host, Version: message.HTTP11, Length: int64(len(o.Body)),
	}
	r.Target = r.Path
	if r.HasQuery {
		r.Target += "?" + r.Query
	}
	add := func(name, value string) {
		if value != "" {
			r.Fields = append(r.Fields, message.Field{Name: name, Value: value, Known: message.KnownAs(name)})
		}
	}
	add("Traceparent", o.Traceparent)
	if len(o.Body) > 0 {
		add("Content-Type", o.ContentType)
	}
	return r
}
