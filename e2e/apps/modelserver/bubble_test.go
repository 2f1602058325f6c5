package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/serving"
)

// pipes is a listener without a network: inside a synctest bubble every wait of client and server
// is then one that the bubble's clock can skip, and times can be asserted to the nanosecond.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble is a model server in a synctest bubble, and its client.
type bubble struct {
	t      *testing.T
	client *http.Client
	end    func()       // as SIGTERM does
	ran    <-chan error // what the server returned after its end
}

func testConfig() config {
	return config{model: "echo", slots: 2, queue: 1, tokensPerSecond: 10, maxTokens: 100, contextTokens: 1000, drain: time.Minute}
}

func serveInBubble(t *testing.T, c config) bubble {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	transport := &http.Transport{DialContext: listener.dial}
	ran, gone := make(chan error, 1), make(chan struct{})
	log := slog.New(slog.DiscardHandler)
	go func() {
		defer close(gone)
		h := handler(c, load(c.loadTime), "pod-1", nil, log)
		ran <- serving.Run(ctx, serving.New(h, log), listener, c.drain, log)
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		end()
		<-gone // while the bubble's clock still goes: the drain may have to look twice
	})
	return bubble{t: t, client: &http.Client{Transport: transport}, end: end, ran: ran}
}

func (b bubble) do(ctx context.Context, method, path, body string) (*http.Response, error) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, "http://model"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.client.Do(request)
}

// answer is the status, the header and the whole body.
func (b bubble) answer(method, path, body string) (int, http.Header, string) {
	b.t.Helper()
	response, err := b.do(context.Background(), method, path, body)
	if err != nil {
		b.t.Errorf("%s %s: %v", method, path, err)
		return 0, nil, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Errorf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, response.Header, string(text)
}

// metric is the value of one line of /metrics, as text.
func (b bubble) metric(series string) string {
	b.t.Helper()
	_, _, text := b.answer(http.MethodGet, "/metrics", "")
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return "missing"
}

func (b bubble) wantMetrics(want map[string]string) {
	b.t.Helper()
	for series, value := range want {
		if got := b.metric(series); got != value {
			b.t.Errorf("%s is %s, want %s", series, got, value)
		}
	}
}

// event reads the next server-sent event's data.
func event(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("no event: %v", err)
	}
	if end, err := r.ReadString('\n'); err != nil || end != "\n" {
		t.Fatalf("event ends with %q: %v", end, err)
	}
	data, found := strings.CutPrefix(strings.TrimSpace(line), "data: ")
	if !found {
		t.Fatalf("not an event: %q", line)
	}
	return data
}
