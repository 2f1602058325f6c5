package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

func itoa(n int) string { return strconv.Itoa(n) }

func traced(p *plan) { p.proxy.Tracer = tracer{} }

func TestAccessLog_HasTheWholeExchange(t *testing.T) {
	address := pod(t, answering("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Served-By: a\r\nx-served-by: b\r\nContent-Length: 5\r\n\r\nhello"))
	b := newBed(t, address, traced)
	b.ask("PUT", "/shop/cart?item=1", "body", "X-Request-Id: r-1", "User-Agent: tester", "Referer: http://x/", "Content-Type: text/plain", "Accept-Language: de", "Cookie: secret",
		"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
	got := b.settled()
	want := accesslog.Record{
		Method: "PUT", Scheme: "https", Host: "shop.example", Path: "/shop/cart", Query: "item=1", Version: "1.1", RequestID: "r-1",
		UserAgent: "tester", Referrer: "http://x/", RequestType: "text/plain", RequestHeaders: []accesslog.Header{{Name: "accept-language", Values: []string{"de"}}},
		Client: "203.0.113.9", Peer: "127.0.0.1", Application: accesslog.Application(shop), Pod: "shop-1", Address: address, PodPath: "/cart", Policy: got.Policy, Tries: 1,
		Status: 200, ResponseType: "text/plain; charset=utf-8", ResponseHeaders: []accesslog.Header{{Name: "x-served-by", Values: []string{"a", "b"}}},
		RequestBytes: 4, ResponseBytes: 5, WakeUp: ids.TraceID().String(), TraceID: ids.TraceID(), SpanID: ids.SpanID(),
	}
	measured := cmpopts.IgnoreFields(accesslog.Record{}, "ArrivedAt", "Took", "Waited", "FirstByte", "Upstream", "PeerPort")
	if !cmp.Equal(want, got, measured) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(want, got, measured))
	}
	if got.Waited <= 0 || got.Upstream <= 0 || got.FirstByte < got.Waited || got.FirstByte > got.Took || got.Upstream+got.Waited > got.Took {
		t.Errorf("took %v: waited %v, on the pod %v, first byte after %v", got.Took, got.Waited, got.Upstream, got.FirstByte)
	}
	if got.PeerPort == 0 || got.Policy == "" {
		t.Errorf("from port %d to a pod because of %q", got.PeerPort, got.Policy)
	}
	b.ask("GET", "/shop/", "")
	if got := b.settled(); got.WakeUp != "" || got.Waited != 0 || got.Scheme != "http" || got.RequestHeaders != nil {
		t.Errorf("the second one: %+v", got)
	}
}

func TestAccessLog_HasWhatARefusalWas(t *testing.T) {
	b := newBed(t, "", traced, func(p *plan) { p.asleep, p.route.WakeUpTimeout = true, 50*time.Millisecond })
	for path, want := range map[string]string{"/none": "not-found", "/shop/": "wake-up-timeout"} {
		b.ask("GET", path, "")
		got := b.settled()
		if got.Refusal != want || got.ResponseType != "application/problem+json" || got.Upstream != 0 || got.FirstByte != 0 || got.Error == "" {
			t.Errorf("%s: %+v", path, got)
		}
		if waited := got.Waited > 0; waited != (got.WakeUp != "") || waited != (path == "/shop/") {
			t.Errorf("%s waited %v for the wake-up %q", path, got.Waited, got.WakeUp)
		}
	}
}

func TestAccessLog_HasWhatCouldNotBeRead(t *testing.T) {
	b := newBed(t, "")
	w := b.dial().say("GET /shop HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	if r, _ := w.whole(); r.StatusCode != http.StatusBadRequest || !r.Close {
		t.Errorf("%+v", r)
	}
	w.ends()
	if got := b.settled(); got.Status != 400 || got.Refusal != "invalid" || got.Method != http.MethodGet || got.Peer != "127.0.0.1" || got.PeerPort == 0 {
		t.Errorf("%+v", got)
	}
}

func TestAccessLog_HasWhenTheFirstTokenCame(t *testing.T) {
	rest := make(chan struct{})
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		_ = wiretest.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
		<-rest
		_, _ = io.WriteString(c, "data: [DONE]\n\n")
	}))
	answer, err := http.Post("http://"+b.address+"/shop/chat", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.ReadFull(answer.Body, make([]byte, 9))
	seen := time.Now()
	close(rest)
	_, _ = io.Copy(io.Discard, answer.Body)
	if got := b.settled(); got.FirstByte <= 0 || got.ArrivedAt.Add(got.FirstByte).After(seen) || got.Took <= got.FirstByte || got.ResponseBytes != 23 {
		t.Errorf("first byte after %v of %v; the client had it %v after the arrival", got.FirstByte, got.Took, seen.Sub(got.ArrivedAt))
	}
	http.DefaultClient.CloseIdleConnections()
}
