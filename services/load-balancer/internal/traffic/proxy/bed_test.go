package proxy_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/connections"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/http1"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/upstream"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// patience bounds what a test waits for; nothing is asserted about it.
const patience = 30 * time.Second

// script is what a pod does on a connection, which is closed after.
type script func(c net.Conn, in *bufio.Reader)

// pod runs script on each connection.
func pod(tb testing.TB, do script) string {
	tb.Helper()
	return wiretest.Pod(tb, do)
}

// answering answers every request with these bytes.
func answering(answer string) script {
	return func(c net.Conn, in *bufio.Reader) {
		for wiretest.ReadRequest(in) != nil {
			_, _ = io.WriteString(c, answer)
		}
	}
}

const okHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// recorded hands on what the access log is given.
type recorded chan accesslog.Record

func (r recorded) Add(record *accesslog.Record) { r <- *record }

// waking is a waker whose application wakes at once.
type waking func()

func (w waking) Wake(*dispatch.StartRequest) { go w() }

type noProber struct{}

func (noProber) Probe(*dispatch.Pod, <-chan struct{}) {}

// tracer gives every exchange the same ids.
type tracer struct{ noop.Tracer }

var ids = trace.NewSpanContext(trace.SpanContextConfig{TraceID: [16]byte{1, 2}, SpanID: [8]byte{3, 4}})

func (tracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx = trace.ContextWithSpanContext(ctx, ids)
	return ctx, trace.SpanFromContext(ctx)
}

var shop = routing.Application{Namespace: "default", Deployment: "shop"}

// bed is the data port as it is served: the engine, the proxy and the sender, before the application
// shop, which sleeps and wakes when it is asked for.
type bed struct {
	tb      testing.TB
	address string
	d       *dispatch.Dispatcher
	proxy   *proxy.Proxy
	log     recorded
}

// plan is what a test changes of it.
type plan struct {
	proxy    proxy.Options
	upstream upstream.Options
	route    routing.Route // once it is awake
	asleep   bool          // it never wakes
}

func newBed(tb testing.TB, address string, change ...func(p *plan)) *bed {
	tb.Helper()
	b := &bed{tb: tb, log: make(recorded, 1000)}
	registry := prometheus.NewRegistry()
	p := plan{
		proxy: proxy.Options{
			AccessLog: b.log, LogRequest: []string{"accept-language", "x-none"}, LogResponse: []string{"x-served-by"},
			Limits:         proxy.Limits{Body: 1 << 20, URI: 1 << 12, StreamIdle: time.Minute, Gathered: 1 << 20},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Silence: func() time.Duration { return time.Minute },
			Log: slog.New(slog.DiscardHandler), Metrics: proxy.NewMetrics(registry),
		},
		route: routing.Route{
			Application: shop, Prefix: "/shop", StripPrefix: true, State: routing.Awake, WakeUpTimeout: time.Minute,
			Endpoints: []routing.Endpoint{{Pod: "shop-1", Address: address, Ready: true}},
		},
	}
	for _, c := range change {
		c(&p)
	}
	sleeping := p.route
	sleeping.State, sleeping.Endpoints = routing.Asleep, nil
	b.d = dispatch.New(dispatch.Options{
		RoomRequests: 10, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, Prober: noProber{}, ReportSoon: func() {},
		Waker: waking(func() {
			if !p.asleep {
				b.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{p.route}})
			}
		}),
	})
	b.d.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{sleeping}})
	sender := upstream.New(p.upstream)
	p.proxy.Matcher, p.proxy.Sender = b.d, sender
	b.proxy = proxy.New(p.proxy)
	b.serve(registry, sender)
	return b
}

// serve takes a port.
func (b *bed) serve(registry *prometheus.Registry, sender *upstream.Client) {
	b.tb.Helper()
	hangups, err := link.NewHangups()
	if err != nil {
		b.tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.tb.Fatal(err)
	}
	b.address = l.Addr().String()
	server := http1.New(http1.Options{
		Handler: b.proxy, Gate: connections.NewGate(func() int { return 1000 }, registry), Hangups: hangups, Log: slog.New(slog.DiscardHandler),
	})
	var all sync.WaitGroup
	all.Go(hangups.Run)
	all.Go(func() { _ = server.Serve(l) })
	b.tb.Cleanup(func() {
		_ = l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if cut := server.Shutdown(ctx); cut > 0 {
			b.tb.Errorf("%d connections of clients were left open", cut)
		}
		sender.Close()
		hangups.Close()
		all.Wait()
	})
}

// settled waits for the next record; nothing may be in flight when it comes.
func (b *bed) settled() accesslog.Record {
	b.tb.Helper()
	select {
	case r := <-b.log:
		for _, s := range b.d.Snapshots() {
			if s.InFlight != 0 || s.Streaming != 0 || s.Waiting != 0 || s.WaitingBytes != 0 {
				b.tb.Errorf("left behind: %d in flight, %d streaming, %d waiting with %d bytes", s.InFlight, s.Streaming, s.Waiting, s.WaitingBytes)
			}
		}
		return r
	case <-time.After(patience):
		b.tb.Fatal("an exchange has not ended")
		return accesslog.Record{}
	}
}

// wire is a client's connection.
type wire struct {
	net.Conn
	tb testing.TB
	in *bufio.Reader
}

func (b *bed) dial() *wire {
	b.tb.Helper()
	c, err := net.Dial("tcp", b.address)
	if err != nil {
		b.tb.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	b.tb.Cleanup(func() { _ = c.Close() })
	return &wire{c, b.tb, bufio.NewReader(c)}
}

// say sends bytes.
func (w *wire) say(text string) *wire {
	w.tb.Helper()
	if _, err := io.WriteString(w.Conn, text); err != nil {
		w.tb.Fatal(err)
	}
	return w
}

// read reads so much as the text has, and compares.
func (w *wire) read(text string) {
	w.tb.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(w.in, got); err != nil || string(got) != text {
		w.tb.Fatalf("heard %q, %v; want %q", got[:n], err, text)
	}
}

// answer reads the next answer's head; the body is to be read from it.
func (w *wire) answer() *http.Response {
	w.tb.Helper()
	r, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	return r
}

// whole reads the next answer to its end.
func (w *wire) whole() (r *http.Response, body string) {
	w.tb.Helper()
	r = w.answer()
	all, err := io.ReadAll(r.Body)
	if err != nil {
		w.tb.Fatalf("%q, %v", all, err)
	}
	return r, string(all)
}

// ends tells that nothing comes any more.
func (w *wire) ends() {
	w.tb.Helper()
	if rest, err := io.ReadAll(w.in); err != nil || len(rest) > 0 {
		w.tb.Errorf("at the end came %q, %v", rest, err)
	}
}

// reset ends the connection without a word.
func (w *wire) reset() {
	_ = w.Conn.(*net.TCPConn).SetLinger(0)
	_ = w.Close()
}

// ask is one request over a connection of its own.
func (b *bed) ask(method, path, body string, fields ...string) string {
	b.tb.Helper()
	head := method + " " + path + " HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n" + strings.Join(append(fields, ""), "\r\n")
	if body != "" {
		head += "Content-Length: " + itoa(len(body)) + "\r\n"
	}
	w := b.dial().say(head + "\r\n" + body)
	defer func() { _ = w.Close() }()
	_, got := w.whole()
	w.ends()
	return got
}

// do waits for a channel.
func (b *bed) do(what string, c <-chan struct{}) {
	b.tb.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		b.tb.Fatalf("in vain for %s", what)
	}
}
