package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Order is a request that the admin API makes for someone. The application gets nothing of that
// one's own header: what is sent is here.
type Order struct {
	Target      routing.Target
	Method      string
	ContentType string // of the body; "" without one
	Body        []byte
	Peer        string // who asked: host:port
}

// Outcome is how an order ended.
type Outcome struct {
	Refusal *fault.Error // no pod answered, and nothing was written; nil: one did
	Pod     string
	Cut     bool // the answer is not whole
	Trace   trace.SpanContext
}

// call is an order under way, for the drain.
type call struct{ cancel context.CancelFunc }

func (c *call) close() { c.cancel() }

// Call sends an order the way of every client's request: the application is woken, the request
// waits, is balanced, counted and logged. The answer goes to w, of which nothing is asked but to
// write and flush.
func (p *Proxy) Call(ctx context.Context, w http.ResponseWriter, o Order) Outcome {
	app, ok := p.o.Matcher.Find(o.Target.Application)
	if !ok {
		return Outcome{Refusal: fault.New(fault.Unavailable, "the application's route was removed at this moment").After(connectionsRetry)}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	under := &call{cancel: cancel}
	p.guests.add(under)
	defer p.guests.remove(under)

	r, err := o.request(ctx)
	if err != nil {
		return Outcome{Refusal: fault.New(fault.Invalid, "the path cannot be sent").Because(err)}
	}
	x := p.begin(w, r)
	x.call = true
	x.match = routing.Match[*dispatch.Application]{Target: app, Prefix: o.Target.Prefix, Path: o.Target.Path}
	x.run()
	outcome := Outcome{Cut: x.finish(), Refusal: x.refusal, Trace: x.span.SpanContext()}
	if x.pod != nil {
		outcome.Pod = x.pod.Name
	}
	return outcome
}

// request is the order as a client of the data port would have sent it.
func (o Order) request(ctx context.Context) (*http.Request, error) {
	uri := o.Target.Prefix + o.Target.Path
	if o.Target.Query != "" {
		uri += "?" + o.Target.Query
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: o.Method, URL: u, RequestURI: uri, Host: o.Target.Host, RemoteAddr: o.Peer, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if len(o.Body) > 0 {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(o.Body)), int64(len(o.Body))
		r.Header.Set("Content-Type", o.ContentType)
	}
	return r.WithContext(ctx), nil
}
