package http2

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// rawPod is a pod that speaks frame by frame. Each connection is handed to serve.
func rawPod(t *testing.T, serve func(p *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go begin(t, conn, serve)
		}
	}()
	return l.Addr().String()
}

// begin begins a connection as a pod does.
func begin(t *testing.T, conn net.Conn, serve func(p *peer)) {
	t.Helper()
	preface := make([]byte, len(h2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != h2.ClientPreface {
		_ = conn.Close()
		return
	}
	p := newPeer(t, conn)
	if p.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 20}) == nil && p.WriteWindowUpdate(0, 1<<20) == nil {
		serve(p)
	}
	_ = conn.Close()
}

// withPipes is a sender whose connections are pipes to a pod, for virtual time.
func withPipes(t *testing.T, serve func(p *peer)) *Sender {
	t.Helper()
	return NewSender(SenderOptions{Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go begin(t, buffered(theirs), serve)
		return ours, nil
	}})
}

// bufferedConn writes as a socket does: without waiting for the reader.
type bufferedConn struct {
	net.Conn
	writes chan []byte
}

func buffered(conn net.Conn) net.Conn {
	b := bufferedConn{conn, make(chan []byte, 1000)}
	go func() {
		for p := range b.writes {
			if p == nil {
				return
			}
			_, _ = conn.Write(p)
		}
	}()
	return b
}

func (b bufferedConn) Write(p []byte) (int, error) {
	b.writes <- slices.Clone(p)
	return len(p), nil
}

func (b bufferedConn) Close() error {
	select {
	case b.writes <- nil:
	default:
	}
	return b.Conn.Close()
}

// await is the next frame of a kind; nil when the connection ends. Pings and settings are answered.
func await[F h2.Frame](p *peer) (found F, ok bool) {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			return found, false
		}
		if f, ok := frame.(F); ok {
			return f, true
		}
		if ping, ok := frame.(*h2.PingFrame); ok && !ping.IsAck() {
			_ = p.WritePing(true, ping.Data)
		}
	}
}

type informed []message.Response

func (t *informed) Inform(h *message.Response) { *t = append(*t, *h) }

// order is a request without a body.
func order(c *asker, path string) *proxy.Outgoing {
	return &proxy.Outgoing{
		Head: &message.Request{Method: "GET", Target: path, Path: path}, Path: path, Host: "a.example", Client: c,
		Silence: time.Minute, Answer: &message.Response{}, Inform: &informed{},
	}
}

// upload is one whose body is read from the client.
func uploading(c *asker, length int64) *proxy.Outgoing {
	r := order(c, "/")
	r.Head.Method, r.Streams, r.Length = "POST", true, length
	return r
}

func (a *asker) Trailer() message.Fields {
	if a.trailer == nil {
		return nil
	}
	var all message.Fields
	for _, line := range a.trailer() {
		name, value, _ := strings.Cut(line, ": ")
		all = append(all, message.Field{Name: name, Value: value})
	}
	return all
}

func newTestSender(t *testing.T) *Sender {
	t.Helper()
	s := NewSender(SenderOptions{})
	t.Cleanup(s.Close)
	return s
}

// body reads an answer as the proxy does.
func body(t *testing.T, a proxy.Answer) string {
	t.Helper()
	var all []byte
	for {
		if a.Buffered() == 0 {
			if err := a.Await(nothing{}); errors.Is(err, io.EOF) {
				return string(all)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		part := make([]byte, 3)
		n, err := a.Read(part)
		all = append(all, part[:n]...)
		if errors.Is(err, io.EOF) {
			return string(all)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func isUnsent(err error) bool {
	_, unsent := errors.AsType[*proxy.UnsentError](err)
	return unsent
}
