package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// script answers requests as a test has it.
type script func(c proxy.Client, r *message.Request)

// Serve is the test's own.
func (s script) Serve(c proxy.Client, r *message.Request) { s(c, r) }

// Malformed answers 400 and why.
func (s script) Malformed(c proxy.Client, _ *message.Request, err error) {
	reply(c, &proxy.Head{Status: 400, Reason: "Bad Request", Length: int64(len(err.Error()))}, err.Error())
}

// write puts a text into the answer's body.
func write(c proxy.Client, text string) error {
	for len(text) > 0 {
		n := copy(c.Space(), text)
		text = text[n:]
		if err := c.Commit(n); err != nil {
			return err
		}
	}
	return nil
}

// reply gives a whole answer.
func reply(c proxy.Client, h *proxy.Head, parts ...string) {
	if c.Begin(h) != nil {
		return
	}
	for _, part := range parts {
		if write(c, part) != nil || c.Flush() != nil {
			return
		}
	}
	_ = c.End(nil)
}

// ok answers 200 with a text.
func ok(c proxy.Client, text string) {
	reply(c, &proxy.Head{Status: 200, Reason: "OK", Length: int64(len(text))}, text)
}

// echo answers with what was asked for, and the body.
func echo(c proxy.Client, r *message.Request) {
	body, err := io.ReadAll(c)
	if err != nil {
		return
	}
	ok(c, r.Method+" "+r.Target+" "+string(body)+c.Trailer().Named("sum"))
}

// open is a gate without a limit.
type open struct{}

func (open) Enter() (func(), bool, bool) { return func() {}, false, true }
func (open) Limit() int                  { return 0 }
func (open) Full() bool                  { return false }

// site is a server on loopback.
type site struct {
	*Server
	t        *testing.T
	log      *record
	listener net.Listener
	served   chan error
	tls      *tls.Config // of its clients
}

// record is a log that can be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start has a server serve a script.
func start(t *testing.T, s script, edits ...func(*Options)) *site {
	t.Helper()
	hangups, err := link.NewHangups()
	if err != nil {
		t.Fatal(err)
	}
	go hangups.Run()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &site{t: t, log: &record{}, listener: l, served: make(chan error, 1)}
	o := Options{Handler: s, Gate: open{}, Hangups: hangups, Log: slog.New(slog.NewTextHandler(d.log, nil))}
	for _, edit := range edits {
		edit(&o)
	}
	d.Server = New(o)
	t.Cleanup(func() {
		_ = d.listener.Close()
		d.cut()
		if err := testwait.Receive(t, "Serve returns", d.served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		hangups.Close()
	})
	return d
}

// serve begins to take connections.
func (d *site) serve() *site {
	go func() { d.served <- d.Serve(d.listener) }()
	return d
}

// cut shuts down at once.
func (d *site) cut() int {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return d.Shutdown(ctx)
}

// encrypted has clients come over TLS.
func (d *site) encrypted(protocols ...string) *site {
	made := httptest.NewTLSServer(nil)
	defer made.Close()
	server := made.TLS.Clone()
	server.NextProtos = slices.Concat(protocols, []string{"http/1.1"})
	d.listener = tls.NewListener(d.listener, server)
	d.tls = made.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	d.tls.ServerName = "example.com"
	return d
}

// client is one side of a connection to a server.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func newClient(t *testing.T, nc net.Conn) *client {
	t.Helper()
	return &client{Conn: nc, t: t, r: bufio.NewReader(nc)}
}

// dial connects to the server, over TLS where it is so.
func (d *site) dial() *client {
	d.t.Helper()
	nc, err := net.Dial("tcp", d.listener.Addr().String())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(testwait.Deadline())
	if d.tls != nil {
		nc = tls.Client(nc, d.tls)
	}
	return newClient(d.t, nc)
}

// tcp is the connection beneath.
func (c *client) tcp() *net.TCPConn {
	if over, ok := c.Conn.(*tls.Conn); ok {
		return over.NetConn().(*net.TCPConn)
	}
	return c.Conn.(*net.TCPConn)
}

// reset ends the connection with a reset.
func (c *client) reset() {
	_ = c.tcp().SetLinger(0)
	_ = c.tcp().Close()
}

func (c *client) send(text string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
	return c
}

// get is a request without a body.
func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// read gives the next answer; its body is what came of it, and the fault is why no more did.
func (c *client) read(method string) (answer *http.Response, body string, fault error) {
	c.t.Helper()
	answer, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	all, err := io.ReadAll(answer.Body)
	return answer, string(all), err
}

// expect is a whole answer of that status and body, after which the connection goes on or not.
func (c *client) expect(status int, body string, ends bool) *http.Response {
	c.t.Helper()
	answer, got, err := c.read(http.MethodGet)
	if err != nil || answer.StatusCode != status || !strings.Contains(got, body) || answer.Close != ends {
		c.t.Fatalf("%d %q, closes %v, %v; want %d %q, closes %v", answer.StatusCode, got, answer.Close, err, status, body, ends)
	}
	return answer
}

// expectEnd is the end of the connection, with nothing before it.
func (c *client) expectEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
		c.t.Fatalf("%q and %v in place of the end", rest, err)
	}
}

// piped is a server's connection in which each write of the client's comes by itself, and which can
// stand in virtual time.
func piped(t *testing.T, s script, edits ...func(*Options)) (*Server, *client) {
	t.Helper()
	o := Options{Handler: s, Gate: open{}, Log: slog.New(slog.DiscardHandler)}
	for _, edit := range edits {
		edit(&o)
	}
	server := New(o)
	near, far := net.Pipe()
	server.Take(near)
	t.Cleanup(func() { _ = far.Close() })
	return server, newClient(t, far)
}

// endsAfter is how long after a moment the connection ends, in virtual time.
func (c *client) endsAfter(began time.Time) time.Duration {
	c.t.Helper()
	c.expectEnd()
	return time.Since(began)
}

// times makes a short text long.
func times(text string, n int) string { return strings.Repeat(text, n) }
