// Package proxy carries a client's request from its arrival to the last byte of its answer. The
// whole way is one function, exchange.run: limits, routing, waiting room, pod, upstream, answer.
// One struct, exchange, travels it. Requests that the admin API makes for someone go the same way
// (Call), with the application named instead of found.
//
// It knows no engine: the client's side is a Client, the pod's an Answer, and what passes between
// them are heads as message has them. It decides nothing about pods (dispatch does) and opens no
// connection to them (upstream does). The start call to the controller is made here, by Waker,
// through a port.
package proxy

import (
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Matcher finds the application of a request, or one by its name.
type Matcher interface {
	Match(host, path string) (routing.Match[*dispatch.Application], error)
	Find(id routing.Application) (*dispatch.Application, bool)
}

// Limits bound what a client may send, and how long it may pause.
type Limits struct {
	Body       int64         // bytes of a request's body
	URI        int           // bytes of the request's target
	StreamIdle time.Duration // longest pause of a tunnel
	Gathered   int64         // bytes of bodies that are read before a pod is asked for, all together
}

// Options are what a proxy is made of.
type Options struct {
	Matcher        Matcher
	Sender         Sender
	AccessLog      AccessLog
	LogRequest     []string // header fields of requests that the access log is given, in lower case
	LogResponse    []string // likewise of answers
	Limits         Limits
	Places         Places               // of client connections; nil: they are not shared out
	Silence        func() time.Duration // how long a pod may neither take nor send a byte
	TrustedProxies []netip.Prefix       // whose X-Forwarded-* fields are believed
	HTTPSPort      int                  // to which requests in clear are sent; 0: they are served
	// NamesInRefusals has clients told which application and which pod it was.
	NamesInRefusals bool
	Log             *slog.Logger
	Tracer          trace.Tracer // nil: no spans are made, and trace fields pass unchanged
	TrustTraces     bool         // a client's trace is continued, else it is only linked
	Metrics         *Metrics
	Now             func() time.Time
}

// Proxy is the handler of the data port.
type Proxy struct {
	o        Options
	gathered atomic.Int64
	active   active
}

// New makes a proxy.
func New(o Options) *Proxy {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Proxy{o: o, active: active{open: map[closer]struct{}{}}}
}

// exchanges are those that ended: each is some kilobytes, and most last for a millisecond.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// Serve proxies one request. The head is the proxy's until it returns.
func (p *Proxy) Serve(c Client, r *message.Request) {
	x := p.begin(c, r)
	defer x.end()
	x.run()
}

// Malformed answers a request whose head cannot be read.
func (p *Proxy) Malformed(c Client, r *message.Request, err error) {
	x := p.begin(c, r)
	defer x.end()
	x.refuse(err)
}

func (p *Proxy) begin(c Client, r *message.Request) *exchange {
	x := exchanges.Get().(*exchange) //nolint:forcetypeassert // the pool holds nothing else
	x.p, x.c, x.r = p, c, r
	x.began = x.lately()
	x.startTrace()
	return x
}

// lately is the time, as of the last look at the clock when nothing was waited for since: a look costs
// as much as to parse a line.
func (x *exchange) lately() time.Time {
	if x.now.IsZero() {
		x.now = x.p.o.Now()
	}
	return x.now
}

// waited says that time has passed.
func (x *exchange) waited() { x.now = time.Time{} }

// end ends the exchange, however it came to that: a fault of ours ends one exchange and no more. What
// may still be held somewhere after a fault is not used again.
func (x *exchange) end() {
	fine := true
	if fault := recover(); fault != nil {
		fine = false
		x.ours, x.fault = true, errFault
		x.p.caught(fault, debug.Stack())
		x.refuseAfterFault()
	}
	defer func() {
		if fault := recover(); fault != nil {
			x.p.caught(fault, debug.Stack())
		} else if fine {
			x.recycle()
		}
	}()
	x.finish()
}

// refuseAfterFault answers a client that got no answer yet, if that can be done.
func (x *exchange) refuseAfterFault() {
	defer func() {
		if fault := recover(); fault != nil {
			x.p.caught(fault, debug.Stack())
		}
	}()
	if x.status == 0 {
		x.refuse(errFault)
	}
}

// caught counts a fault of ours, and has its stack in the log.
func (p *Proxy) caught(fault any, stack []byte) {
	p.o.Metrics.panics.Inc()
	p.o.Log.Error("a fault in the load balancer ended an exchange", "fault", fault, "stack", string(stack))
}

// recycle makes ready for the next request what this one needed memory for.
func (x *exchange) recycle() {
	clear(x.add)
	clear(x.answerAdd)
	x.head.Reset()
	add, answerAdd, fields, bytes := x.add[:0], x.answerAdd[:0], x.head.Fields, x.body.bytes[:0]
	*x = exchange{} // in place: a copy would be kilobytes of each connection's stack
	x.add, x.answerAdd, x.head.Fields = add, answerAdd, fields
	if cap(bytes) <= gatherKept {
		x.body.bytes = bytes
	}
	exchanges.Put(x)
}

// BeginDrain says that this load balancer is about to end: a WebSocket that its client has closed has
// a few seconds left from now on, whether its pod closes it or not.
func (p *Proxy) BeginDrain() { p.active.beginDrain() }

// Drain waits until every tunnel and every Call has ended; when done is closed first it closes those
// that are left, and returns how many they were. The engines know all other exchanges.
func (p *Proxy) Drain(done <-chan struct{}) int { return p.active.drain(done) }
