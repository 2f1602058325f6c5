package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// says reads one request and answers with these bytes.
func says(t *testing.T, answer string) string {
	t.Helper()
	return wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		if wiretest.ReadRequest(in) != nil {
			_, _ = io.WriteString(c, answer)
		}
	})
}

// piped has every connection made as a pipe in memory, so that a pod can run where time is faked.
func piped(o Options, script func(c net.Conn, in *bufio.Reader)) Options {
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer func() { _ = there.Close() }()
			script(there, bufio.NewReader(there))
		}()
		return here, nil
	}
	return o
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// asker is the client's side of an exchange.
type asker struct {
	body    io.Reader // that is sent beside the answer
	trailer message.Fields
	hints   []int
	onHint  func()

	mu        sync.Mutex
	who       proxy.Canceler
	gone      chan struct{}
	stopped   bool
	continues int
}

var _ proxy.Exchanging = (*asker)(nil)

func (a *asker) Read(p []byte) (int, error) {
	a.mu.Lock()
	stopped := a.stopped
	a.mu.Unlock()
	if stopped {
		return 0, os.ErrDeadlineExceeded
	}
	return a.body.Read(p)
}

func (a *asker) Ready() bool { return false }

func (a *asker) Patience(time.Duration, time.Time) {}
func (a *asker) Trailer() message.Fields           { return a.trailer }

func (a *asker) Continue() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.continues++
	return nil
}

// Interrupt ends reads that are under way where the body is a pipe.
func (a *asker) Interrupt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if p, ok := a.body.(*io.PipeReader); ok {
		_ = p.CloseWithError(os.ErrDeadlineExceeded)
	}
}

func (a *asker) Watch(who proxy.Canceler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.who = who
	if who != nil && a.HasGone() {
		who.Cancel()
	}
}

func (a *asker) Gone() <-chan struct{} { return a.gone }

func (a *asker) HasGone() bool {
	select {
	case <-a.gone:
		return true
	default:
		return false
	}
}

// leave has the client go.
func (a *asker) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.gone)
	if a.who != nil {
		a.who.Cancel()
	}
}

// Inform notes an informational answer.
func (a *asker) Inform(h *message.Response) {
	a.hints = append(a.hints, h.Status)
	if a.onHint != nil {
		a.onHint()
	}
}

// get is a request without a body.
func get(path string) *proxy.Outgoing {
	a := &asker{gone: make(chan struct{})}
	return &proxy.Outgoing{
		Head: &message.Request{Method: "GET", Version: message.HTTP11}, Path: path, Host: "app.example",
		Client: a, Inform: a, Silence: time.Minute, Answer: &message.Response{}, Resend: true,
	}
}

// post is one whose body is sent beside the answer.
func post(body io.Reader, length int64) *proxy.Outgoing {
	r := get("/")
	r.Head.Method, r.Resend, r.Streams, r.Length = "POST", false, true, length
	r.Client.(*asker).body = body
	return r
}

// whole is one whose body is in memory.
func whole(body string) *proxy.Outgoing {
	r := get("/")
	r.Head.Method, r.Resend, r.Whole, r.Length = "POST", false, []byte(body), int64(len(body))
	return r
}

func of(r *proxy.Outgoing) *asker { return r.Client.(*asker) }

// readAll reads the answer to its end and closes it.
func readAll(t *testing.T, a proxy.Answer) string {
	t.Helper()
	text, err := io.ReadAll(a)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	return string(text)
}

func send(t *testing.T, c *Client, address string, r *proxy.Outgoing) proxy.Answer {
	t.Helper()
	a, err := c.Send(proxy.Destination{Address: address}, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fail(t *testing.T, c *Client, address string, r *proxy.Outgoing) error {
	t.Helper()
	a, err := c.Send(proxy.Destination{Address: address}, r)
	if err == nil {
		a.Close()
		t.Fatalf("it was answered %+v", a.Head())
	}
	return err
}

// idle are the connections that the client keeps.
func (c *Client) idle() (all []*conn) {
	c.pools.Range(func(_, found any) bool {
		p := found.(*pool)
		p.mu.Lock()
		defer p.mu.Unlock()
		all = append(all, p.idle...)
		return true
	})
	return all
}

// awaitNoise waits until what the pod did has arrived here.
func awaitNoise(cn *conn) {
	for cn.link.Silent() {
		runtime.Gosched()
	}
}

const okHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// helloServer answers everything so, for as long as it is asked, and counts connections.
func helloServer(t *testing.T, connections *int) string {
	t.Helper()
	var mu sync.Mutex
	return wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		mu.Lock()
		*connections++
		mu.Unlock()
		for wiretest.ReadRequest(in) != nil {
			_, _ = io.WriteString(c, okHello)
		}
	})
}

func headLines(in *bufio.Reader) []string {
	var lines []string
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if err != nil || line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}

func isUnsent(err error) bool {
	_, ok := errors.AsType[*proxy.UnsentError](err)
	return ok
}
