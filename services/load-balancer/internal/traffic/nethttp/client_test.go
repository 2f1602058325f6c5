package nethttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/upstream"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

type (
	noProber struct{}
	noWaker  struct{}
	noLog    struct{}
)

func (noProber) Probe(*dispatch.Pod, <-chan struct{}) {}
func (noWaker) Wake(*dispatch.StartRequest)           {}
func (noLog) Add(*accesslog.Record)                   {}

var shop = routing.Application{Namespace: "default", Deployment: "shop"}

// callerOf sends orders to a pod that answers as the script does; nil is none.
func callerOf(t *testing.T, script func(c net.Conn, in *bufio.Reader)) Caller {
	t.Helper()
	route := routing.Route{Application: shop, Prefix: "/shop", StripPrefix: true, State: routing.Asleep, WakeUpTimeout: time.Minute}
	if script != nil {
		route.State, route.Endpoints = routing.Awake, []routing.Endpoint{{Pod: "shop-1", Address: wiretest.Pod(t, script), Ready: true}}
	}
	d := dispatch.New(dispatch.Options{
		RoomRequests: 9, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, Prober: noProber{}, Waker: noWaker{}, ReportSoon: func() {},
	})
	d.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{route}})
	sender := upstream.New(upstream.Options{})
	t.Cleanup(sender.Close)
	return Caller{Proxy: proxy.New(proxy.Options{
		Matcher: d, Sender: sender, AccessLog: noLog{}, Limits: proxy.Limits{Body: 1 << 20, URI: 1 << 10, StreamIdle: time.Minute, Gathered: 1 << 20},
		Silence: func() time.Duration { return time.Minute }, Log: slog.New(slog.DiscardHandler), Metrics: proxy.NewMetrics(prometheus.NewRegistry()),
	})}
}

// serve has a server pass every request on, and returns where it is and how each ended.
func serve(t *testing.T, caller Caller) (url string, outcomes chan proxy.Outcome) {
	t.Helper()
	outcomes = make(chan proxy.Outcome, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Served-By", "admin")
		w.Header().Set("Cache-Control", "no-store")
		outcome := caller.Call(r.Context(), w, r.RemoteAddr, proxy.Order{
			Target: routing.Target{Application: shop, Host: "shop.example", Prefix: "/shop", Path: r.URL.Path, Query: r.URL.RawQuery},
			Method: r.Method, ContentType: r.Header.Get("Content-Type"), Body: body,
		})
		outcomes <- outcome
		if outcome.Refusal == nil && outcome.Cut {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, outcomes
}

// answering reads one request after another, and answers each with these bytes.
func answering(answer string) func(c net.Conn, in *bufio.Reader) {
	return func(c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, answer)
		}
	}
}

func TestCaller_AnswersOfEveryShapeArrive(t *testing.T) {
	for name, test := range map[string]struct {
		answer, body string
		length       int64
		check        func(r *http.Response) bool
	}{
		"with a length": {"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, func(r *http.Response) bool {
			return r.StatusCode == http.StatusCreated && r.Header.Get("Content-Type") == "text/plain" && len(r.Header["Set-Cookie"]) == 2
		}},
		"in chunks with trailers": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-More: 1\r\n\r\n", "hello", -1, func(r *http.Response) bool {
			return r.Trailer.Get("X-Sum") == "42" && r.Trailer.Get("X-More") == "1"
		}},
		"no type is guessed":           {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "<html>", 6, func(r *http.Response) bool { return len(r.Header["Content-Type"]) == 0 }},
		"what the server says is left": {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 0, func(r *http.Response) bool { return r.Header.Get("X-Served-By") == "admin" }},
		"what the pod says goes before": {"HTTP/1.1 200 OK\r\ncache-control: max-age=1\r\nContent-Length: 0\r\n\r\n", "", 0, func(r *http.Response) bool {
			return len(r.Header["Cache-Control"]) == 1 && r.Header.Get("Cache-Control") == "max-age=1"
		}},
		"no content": {"HTTP/1.1 204 No Content\r\n\r\n", "", 0, func(r *http.Response) bool { return r.StatusCode == http.StatusNoContent }},
		"not modified": {"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", "", 0, func(r *http.Response) bool {
			return r.StatusCode == http.StatusNotModified && r.Header.Get("ETag") == "x"
		}},
		"large": {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), strings.Repeat("x", 100000), 100000, func(*http.Response) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			url, outcomes := serve(t, callerOf(t, answering(test.answer)))
			r, err := http.Post(url+"/a", "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			if string(body) != test.body || err != nil || r.ContentLength != test.length || !test.check(r) {
				t.Errorf("%d %v of %d: %d bytes, %v, trailers %v", r.StatusCode, r.Header, r.ContentLength, len(body), err, r.Trailer)
			}
			if outcome := <-outcomes; outcome.Refusal != nil || outcome.Cut || outcome.Pod != "shop-1" {
				t.Errorf("%+v", outcome)
			}
		})
	}
}

func TestCaller_InformationalAnswersPassAndLeaveTheHeaderAlone(t *testing.T) {
	url, outcomes := serve(t, callerOf(t, answering("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nCache-Control: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")))
	var hint textproto.MIMEHeader
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error { hint = header; return nil },
	}), http.MethodGet, url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if hint.Get("Link") != "</a>" || hint.Get("X-Served-By") != "" {
		t.Errorf("the hint is %v", hint)
	}
	if answer.Header.Get("Link") != "" || answer.Header.Get("X-Served-By") != "admin" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the answer is %v", answer.Header)
	}
	<-outcomes
}

func TestCaller_PassesOnAtOnce(t *testing.T) {
	more := make(chan struct{})
	url, _ := serve(t, callerOf(t, func(c net.Conn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for _, part := range []string{"one", "two"} {
			<-more
			_, _ = io.WriteString(c, part)
		}
	}))
	r, err := http.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for _, want := range []string{"one", "two"} {
		more <- struct{}{}
		part := make([]byte, 3)
		if _, err := io.ReadFull(r.Body, part); err != nil || string(part) != want {
			t.Errorf("%q, %v", part, err)
		}
	}
}

func TestCaller_AnAnswerThatIsCutIsSeenToBe(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"} {
		url, outcomes := serve(t, callerOf(t, func(c net.Conn, in *bufio.Reader) {
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(c, answer)
		}))
		r, err := http.Get(url + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if string(body) != "hello" || err == nil {
			t.Errorf("%q, %v", body, err)
		}
		if outcome := <-outcomes; !outcome.Cut || outcome.Refusal != nil {
			t.Errorf("%+v", outcome)
		}
	}
}

func TestCaller_ARefusalWritesNothing(t *testing.T) {
	url, outcomes := serve(t, callerOf(t, func(_ net.Conn, in *bufio.Reader) { _, _ = http.ReadRequest(in) }))
	r, err := http.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if outcome := <-outcomes; outcome.Refusal == nil || r.StatusCode != http.StatusOK || r.ContentLength != 0 {
		t.Errorf("%+v, %d of %d bytes", outcome, r.StatusCode, r.ContentLength)
	}
}

// A client of the admin port that goes has the pod's connection closed.
func TestCaller_AClientThatGoesEndsTheOrder(t *testing.T) {
	reached, closed := make(chan struct{}), make(chan struct{})
	caller := callerOf(t, func(_ net.Conn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		close(reached)
		_, _ = in.ReadByte()
		close(closed)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	w := httptest.NewRecorder()
	outcome := caller.Call(ctx, w, "192.0.2.1:1234", proxy.Order{Target: routing.Target{Application: shop, Prefix: "/shop", Path: "/"}, Method: "GET"})
	<-closed
	if outcome.Refusal != nil || !outcome.Cut || w.Body.Len() > 0 {
		t.Errorf("%+v, written %q", outcome, w.Body)
	}
}

func TestCaller_AClientThatGoesLeavesTheWaitingRoom(t *testing.T) {
	caller := callerOf(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if outcome := caller.Call(ctx, httptest.NewRecorder(), "192.0.2.1:1234", proxy.Order{Target: routing.Target{Application: shop, Prefix: "/shop", Path: "/"}, Method: "GET"}); !outcome.Cut || outcome.Pod != "" {
		t.Errorf("%+v", outcome)
	}
}

func TestPeer_IsWhoAsked(t *testing.T) {
	for remote, want := range map[string]proxy.Peer{
		"192.0.2.1:1234":          {IP: netip.MustParseAddr("192.0.2.1"), Address: "192.0.2.1", Port: 1234},
		"[2001:db8::1]:1":         {IP: netip.MustParseAddr("2001:db8::1"), Address: "2001:db8::1", Port: 1},
		"[fe80::1%eth0]:1":        {IP: netip.MustParseAddr("fe80::1"), Address: "fe80::1", Port: 1},
		"[::ffff:192.0.2.1]:1234": {IP: netip.MustParseAddr("192.0.2.1"), Address: "192.0.2.1", Port: 1234},
		"@":                       {},
	} {
		c := newClient(t.Context(), httptest.NewRecorder(), remote, strings.NewReader(""))
		if got := c.Peer(); got != want {
			t.Errorf("%s: %+v", remote, got)
		}
		c.cancel()
	}
}

// cancels counts.
type cancels struct{ n chan struct{} }

func (c cancels) Cancel() { c.n <- struct{}{} }

func TestWatch_TellsOnlyWhoIsNamed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(ctx, httptest.NewRecorder(), "", strings.NewReader(""))
	before, now, after := cancels{make(chan struct{}, 9)}, cancels{make(chan struct{}, 9)}, cancels{make(chan struct{}, 9)}
	c.Watch(before)
	c.Watch(now)
	if c.HasGone() {
		t.Error("it has gone already")
	}
	cancel()
	<-now.n
	<-c.Gone()
	c.Watch(after)
	<-after.n
	c.Watch(nil)
	if !c.HasGone() || len(before.n) > 0 {
		t.Errorf("gone %v; the one before was told %d times", c.HasGone(), len(before.n))
	}
}

func TestWatch_NobodyIsToldWhoIsNamedNoMore(t *testing.T) {
	for range 200 {
		c := newClient(t.Context(), httptest.NewRecorder(), "", strings.NewReader(""))
		watcher := cancels{make(chan struct{}, 9)}
		c.Watch(watcher)
		go c.Cancel() // in this very moment
		c.Watch(nil)
		n := len(watcher.n)
		<-c.Gone()
		c.mu.Lock() // whoever is told is told with it
		if len(watcher.n) != n {
			t.Error("told after it was taken back")
		}
		c.mu.Unlock()
	}
}

// refusing is a ResponseWriter that takes nothing.
type refusing struct{ http.ResponseWriter }

func (refusing) Write([]byte) (int, error) { return 0, errors.New("closed") }
func (refusing) FlushError() error         { return errors.New("closed") }

func TestClient_SaysThatNothingWasTaken(t *testing.T) {
	c := newClient(t.Context(), refusing{httptest.NewRecorder()}, "", strings.NewReader(""))
	defer c.cancel()
	_ = c.Space()
	if c.Commit(1) == nil || c.Flush() == nil || c.Commit(0) != nil {
		t.Error("a write that failed was called good")
	}
	if _, err := c.Tunnel(); err == nil {
		t.Error("a tunnel was offered")
	}
	if _, crowded := c.Crowded(); crowded {
		t.Error("the admin port is crowded")
	}
}

func TestClient_WithoutAFlusherIsWrittenToAllTheSame(t *testing.T) {
	c := newClient(t.Context(), struct{ http.ResponseWriter }{httptest.NewRecorder()}, "", strings.NewReader("body"))
	defer c.cancel()
	if err := c.Flush(); err != nil {
		t.Error(err)
	}
	if body, err := io.ReadAll(c); string(body) != "body" || err != nil || c.Trailer() != nil || c.Continue() != nil {
		t.Errorf("%q, %v", body, err)
	}
	if err := c.Inform(&message.Response{Status: 103}); err != nil {
		t.Error(err)
	}
}
