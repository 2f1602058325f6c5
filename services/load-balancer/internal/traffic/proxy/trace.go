package proxy

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// The options of spans, made once: each would be an allocation for each request.
var asServer, asClient = trace.WithSpanKind(trace.SpanKindServer), trace.WithSpanKind(trace.SpanKindClient)

// startTrace begins a span when spans are exported. Without an exporter the fields pass unchanged,
// and the log has the ids that the client sent. Baggage always passes unchanged, unread.
func (x *exchange) startTrace() {
	if x.r.Fields.Has(message.Traceparent) {
		x.parent = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier{fields: x.r.Fields}))
	}
	if x.p.o.Tracer == nil {
		return
	}
	ctx := context.Background()
	switch {
	case !x.parent.IsValid():
		x.ctx, x.span = x.p.o.Tracer.Start(ctx, "proxy", asServer)
	case x.p.o.TrustTraces:
		x.ctx, x.span = x.p.o.Tracer.Start(trace.ContextWithRemoteSpanContext(ctx, x.parent), "proxy", asServer)
	default:
		x.ctx, x.span = x.p.o.Tracer.Start(ctx, "proxy", asServer, trace.WithLinks(trace.Link{SpanContext: x.parent}))
	}
}

// ids are those of the exchange's own span, else of the client's.
func (x *exchange) ids() trace.SpanContext {
	if x.span != nil {
		return x.span.SpanContext()
	}
	return x.parent
}

// sendTraced sends within a span of its own, the parent of the pod's.
func (x *exchange) sendTraced(to Destination) (err error) {
	ctx, span := x.p.o.Tracer.Start(x.ctx, "upstream", asClient)
	defer span.End()
	x.r.Fields.Drop(message.Traceparent)
	x.r.Fields.Drop(message.Tracestate)
	own := len(x.add)
	propagation.TraceContext{}.Inject(ctx, carrier{add: &x.add})
	x.out.Add = x.add
	if span.IsRecording() {
		span.SetAttributes(attribute.String("nemesis.pod", x.visit.Pod.Name),
			attribute.String("server.address", to.Address), attribute.String("nemesis.reason", x.visit.Reason))
	}
	x.answer, err = x.p.o.Sender.Send(to, &x.out)
	x.add = x.add[:own] // another try has a span of its own
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", x.answer.Head().Status))
	return nil
}

func (x *exchange) endTrace() {
	if x.span == nil {
		return
	}
	if x.span.IsRecording() {
		x.span.SetAttributes(attribute.String("http.request.method", x.r.Method), attribute.String("url.path", x.r.Path),
			attribute.Int("http.response.status_code", x.status))
		if x.status >= http.StatusInternalServerError || x.broken {
			x.span.SetStatus(codes.Error, "")
		}
	}
	x.span.End(trace.WithTimestamp(time.Now()))
}

// carrier lets OpenTelemetry read fields, and add to others.
type carrier struct {
	fields message.Fields
	add    *[]message.Field
}

var _ propagation.TextMapCarrier = carrier{}

// Get is the value of a field. Two traceparents are none: nobody can say which one is meant.
func (c carrier) Get(key string) string {
	k := message.KnownAs(key)
	found := ""
	for i := range c.fields {
		if c.fields[i].Known != k {
			continue
		}
		if found != "" {
			if k == message.Traceparent {
				return ""
			}
			found += ","
		}
		found += c.fields[i].Value
	}
	return found
}

// Set adds a field.
func (c carrier) Set(key, value string) {
	*c.add = append(*c.add, message.Field{Name: key, Value: value})
}

// Keys is not asked for by the propagator that is used here.
func (c carrier) Keys() []string { return nil }
