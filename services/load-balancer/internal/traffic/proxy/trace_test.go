package proxy

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// exporting has spans kept by the exporter.
func exporting(trust bool) (*tracetest.InMemoryExporter, func(*Options, *routing.Route)) {
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	return exporter, func(o *Options, _ *routing.Route) { o.Tracer, o.TrustTraces = provider.Tracer("test"), trust }
}

// named finds a span.
func named(t *testing.T, exporter *tracetest.InMemoryExporter, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range exporter.GetSpans() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %q among %d", name, len(exporter.GetSpans()))
	return tracetest.SpanStub{}
}

func attributeOf(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// manyMembers is a baggage with more members than the format allows to read.
func manyMembers() string {
	members := make([]string, 100)
	for i := range members {
		members[i] = "k" + strings.Repeat("x", i) + "=v"
	}
	return strings.Join(members, ",")
}

func TestTrace_WithoutAnExporterTheFieldsPassUnchanged(t *testing.T) {
	for name, head := range map[string][]string{
		"none":            nil,
		"sampled":         {"traceparent: " + traceparent, "tracestate: a=1,b=2", "tracestate: c=3", "baggage: " + manyMembers(), "baggage: k=v"},
		"spelled oddly":   {"TraceParent: " + traceparent},
		"not sampled":     {"traceparent: " + strings.TrimSuffix(traceparent, "1") + "0"},
		"a later version": {"traceparent: cc-" + traceID + "-00f067aa0ba902b7-01-what-comes"},
		"nonsense":        {"traceparent: nonsense", "tracestate: =", "baggage: ,,"},
		"two":             {"traceparent: " + traceparent, "traceparent: " + strings.Replace(traceparent, "4bf9", "5bf9", 1)},
	} {
		var got []string
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
			got = append(passed(r.Head.Fields), passed(r.Add)...)
			return hello(to, r)
		}))
		record := u.ask(newClient(), strings.Join(append([]string{"GET /shop HTTP/1.1\nHost: example.com"}, head...), "\n"))
		equal(t, name, got, append(slices.Clip(head), own...))
		known := name == "sampled" || name == "spelled oddly" || name == "not sampled" || name == "a later version"
		if record.TraceID != ([16]byte{}) != known {
			t.Errorf("%s: the log has the trace %x", name, record.TraceID)
		}
	}
}

func TestTrace_WithAnExporterItIsContinuedOrLinked(t *testing.T) {
	for _, trust := range []bool{true, false} {
		exporter, change := exporting(trust)
		var fields []string
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
			fields = append(passed(r.Head.Fields), passed(r.Add)...)
			return hello(to, r)
		}), change)
		baggage := "baggage: " + manyMembers()
		record := u.ask(newClient(), "GET /shop/1?q HTTP/1.1\nHost: example.com\ntraceparent: "+traceparent+"\ntracestate: a=1\n"+baggage)
		server, client := named(t, exporter, "proxy"), named(t, exporter, "upstream")
		id := server.SpanContext.TraceID().String()
		if continued := id == traceID; continued != trust {
			t.Errorf("trust %v: the trace is %s", trust, id)
		}
		want := append([]string{baggage}, own...)
		want = append(want, "traceparent: 00-"+id+"-"+client.SpanContext.SpanID().String()+"-01")
		if trust {
			want = append(want, "tracestate: a=1")
			if server.Parent.SpanID().String() != "00f067aa0ba902b7" || len(server.Links) != 0 {
				t.Errorf("the parent is %s, links %v", server.Parent.SpanID(), server.Links)
			}
		} else if len(server.Links) != 1 || server.Links[0].SpanContext.TraceID().String() != traceID || server.Parent.IsValid() {
			t.Errorf("the parent is %v, links %v", server.Parent, server.Links)
		}
		slices.Sort(fields)
		slices.Sort(want)
		equal(t, "fields", fields, want)
		if client.Parent.SpanID() != server.SpanContext.SpanID() || record.TraceID != server.SpanContext.TraceID() || record.SpanID != server.SpanContext.SpanID() {
			t.Errorf("%v, %v; the log has %x %x", client.Parent, server.SpanContext, record.TraceID, record.SpanID)
		}
		if attributeOf(server, "http.request.method") != "GET" || attributeOf(server, "url.path") != "/shop/1" || attributeOf(server, "http.response.status_code") != "200" ||
			!strings.HasPrefix(attributeOf(client, "nemesis.pod"), "shop-") || attributeOf(client, "server.address") != record.Address ||
			attributeOf(client, "nemesis.reason") == "" || attributeOf(client, "http.response.status_code") != "200" {
			t.Errorf("attributes %v, %v", server.Attributes, client.Attributes)
		}
	}
}

func TestTrace_WithAnExporterOneIsBegun(t *testing.T) {
	for name, lines := range map[string]string{"none": "", "nonsense": "\ntraceparent: nonsense", "two": "\ntraceparent: " + traceparent + "\ntraceparent: " + traceparent} {
		exporter, change := exporting(true)
		var fields string
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
			fields = strings.Join(append(passed(r.Head.Fields), passed(r.Add)...), "\n")
			return hello(to, r)
		}), change)
		record := u.ask(newClient(), "GET /shop HTTP/1.1\nHost: a"+lines)
		if server := named(t, exporter, "proxy"); server.Parent.IsValid() || len(server.Links) > 0 || record.TraceID != server.SpanContext.TraceID() {
			t.Errorf("%s: %+v", name, server)
		}
		if strings.Count(fields, "traceparent: ") != 1 || strings.Contains(fields, traceID) {
			t.Errorf("%s: sent %s", name, fields)
		}
	}
}

func TestTrace_EachTryHasASpanAndFailuresAreErrors(t *testing.T) {
	exporter, change := exporting(true)
	tries := 0
	parents := map[string]bool{}
	u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		tries++
		for _, f := range passed(r.Add) {
			if strings.HasPrefix(f, "traceparent") {
				parents[f] = true
			}
		}
		if tries == 1 {
			return nil, &UnsentError{Err: ErrBroken, Refused: true}
		}
		return nil, ErrBroken
	}), change)
	u.ask(newClient(), "GET /shop HTTP/1.1\nHost: a")
	spans := exporter.GetSpans()
	if len(spans) != 3 || len(parents) != 2 || spans[0].Status.Code != codes.Error || spans[1].Status.Code != codes.Error || named(t, exporter, "proxy").Status.Code != codes.Error {
		t.Errorf("%d spans, %d parents: %+v", len(spans), len(parents), spans)
	}
}

func TestTrace_WaitingHasASpanAndAPodThatBreaksOffIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exporter, change := exporting(true)
		u := newUnit(t, saying("HTTP/1.1 200 OK\nContent-Length: 9", part{text: "hello", err: ErrBroken}), change, func(_ *Options, r *routing.Route) { r.State, r.Endpoints = routing.Asleep, nil })
		time.AfterFunc(time.Second, func() {
			woken := u.route
			woken.State, woken.Endpoints = routing.Awake, []routing.Endpoint{{Pod: "shop-1", Address: "10.0.0.1:80", Ready: true}}
			u.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{woken}})
		})
		record := u.ask(newClient(), "GET /shop HTTP/1.1\nHost: a")
		wait, server := named(t, exporter, "wait"), named(t, exporter, "proxy")
		if took := wait.EndTime.Sub(wait.StartTime); took != time.Second || wait.Parent.SpanID() != server.SpanContext.SpanID() || server.Status.Code != codes.Error {
			t.Errorf("waited %v; %+v", took, server)
		}
		if record.WakeUp != server.SpanContext.TraceID().String() {
			t.Errorf("the wake-up is %s", record.WakeUp)
		}
	})
}
