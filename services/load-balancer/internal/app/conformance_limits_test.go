package app_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// A head that does not come to its end holds its connection for as long as a head may take.
func TestConformance_SlowHeads(t *testing.T) {
	b := newBed(t, func(s *app.Settings) { s.HeadTimeout = 300 * time.Millisecond })
	runExchanges(t, b, []exchange{
		{name: "a part of a request line", client: []step{sends("GET /app/x HT"), seesGone()}},
		{name: "a part of a field", client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\nX-A"), seesGone()}},
		{name: "no end of the head", client: []step{sends("GET /app/x HTTP/1.1\r\nHost: h\r\n"), seesGone()}},
		{name: "behind a request", reach: []string{"GET /x"}, client: []step{sends(getX), gets(200, "ok"), sends("GET /app/x HT"), seesGone()}},
		{name: "a part of HTTP/2's preface", client: []step{sends("PRI * HT"), seesGone()}},
	})
}

// At the limit a connection that is idle gives way to a new one.
func TestConformance_IdleConnectionsAtTheLimit(t *testing.T) {
	b := newBed(t, nil)
	limits := settings(common.BalancingPolicy("round_robin"), 2, 600)
	b.controller.set(limits)
	b.balancer.awaitSettings(t, limits)
	s := b.session(t, sessionOptions{}, nil)
	ask := []step{sends(getX), gets(200, "ok")}
	first := s.connect()
	if err := first.run(ask); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		next := s.connect()
		if err := next.run(ask); err != nil {
			t.Fatal(err)
		}
		// A client has its answer a moment before its connection is idle: whoever comes in that moment is refused.
		third := s.connect()
		testwait.Until(t, "one of two idle connections gives way", func() bool {
			if third.run(ask) == nil {
				return true
			}
			_ = third.conn.Close()
			third = s.connect()
			return false
		})
		// Which of them was idle longest is http1's to test: the answer comes before the connection is idle, and here two may swap.
		gone, other := first, next
		testwait.Until(t, "it is closed", func() bool {
			if quiet, _ := gone.quietFor(10 * time.Millisecond); !quiet {
				return true
			}
			gone, other = other, gone
			return false
		})
		if err := gone.run([]step{seesEnd()}); err != nil {
			t.Errorf("the one that gave way: %v", err)
		}
		if err := other.run([]step{isKept()}); err != nil {
			t.Errorf("the other one: %v", err)
		}
		_ = other.conn.Close()
		testwait.Until(t, "its place is free", func() bool { return *b.balancer.state(t).Connections == 1 })
		first = third
	}
}

// quietFor tells whether nothing comes in a time, and no end; else err is that of looking for it.
func (w *wire) quietFor(d time.Duration) (quiet bool, err error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(d))
	_, err = w.br.Peek(1)
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	return errors.Is(err, os.ErrDeadlineExceeded), err
}

// outlasts lets the time pass for which a pod said to keep its connection: nobody may use it then.
func outlasts(d time.Duration) step {
	return step{"keeps its connection as long as it said", func(w *wire) error {
		if quiet, err := w.quietFor(d); !quiet {
			return orNone(err)
		}
		return nil
	}}
}

// What a pod says of how long it keeps a connection is heeded, and goes no further.
func TestConformance_KeepAliveHints(t *testing.T) {
	const hint, long = okFields + "Keep-Alive: timeout=1\r\n\r\nok", okFields + "Keep-Alive: timeout=600\r\n\r\nok"
	ask := func(target string) step { return sends("GET /app/" + target + " HTTP/1.1\r\nHost: h\r\n\r\n") }
	runExchanges(t, newBed(t, nil), []exchange{
		{name: "it is used at once", asleep: true, reach: []string{"GET /x", "POST /x"},
			client: []step{ask("x"), gets(200, "ok", "-Keep-Alive"), sends(postX), gets(200, "ok")},
			pod:    [][]step{{takesHead("GET /x"), sends(long), takesHead("POST /x"), takesBody("hello"), sends(podAnswer)}}},
		{name: "it is not used when its time is nearly over", reach: []string{"GET /x", "POST /x"},
			client: []step{ask("x"), gets(200, "ok", "-Keep-Alive"), awaits("over"), sends(postX), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(hint), outlasts(600 * time.Millisecond), opens("over"), seesGone()}}},
		{name: "the pod ends it in that moment", reach: []string{"GET /x", "GET /y", "GET /y"},
			client: []step{ask("x"), gets(200, "ok", "-Keep-Alive"), ask("y"), gets(200, "ok"), isKept()},
			pod:    [][]step{{takesHead("GET /x"), sends(long), takesHead("GET /y"), hangsUp()}}},
	})
}

// quietPod answers each request, and then holds no memory for its connection but the connection.
func quietPod(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
			head := make([]byte, 4096)
			n := 0
			for !strings.HasSuffix(string(head[:n]), "\r\n\r\n") {
				more, err := c.Read(head[n:])
				if n += more; err != nil {
					break
				}
			}
			_, _ = io.WriteString(c, answer)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range held {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// memory is what this process holds of heap and stacks.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// A stream or a WebSocket on which nothing moves any more holds no buffer, whatever went over it: with
// one for each direction it would be four times as much. Clients and pods are in what is measured.
func TestConformance_QuietStreamsHoldNoBuffers(t *testing.T) {
	const count, most, body = 200, 40 << 10, 100 << 10
	for name, test := range map[string]struct{ request, answer string }{
		"streams":    {getX, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + text(body)},
		"WebSockets": {webSocket, switches + text(body)},
	} {
		t.Run(name, func(t *testing.T) {
			controller, server := newFakeController(t)
			awake(controller, "app", "/app", quietPod(t, test.answer))
			b := boot(t, server.URL, func(s *app.Settings) { s.LogLevel, s.DrainTimeout, s.WebSocketNotice = "error", testwait.Limit(), 0 })
			answer := make([]byte, body)
			var open []net.Conn
			one := func() {
				c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, c)
				_ = c.SetDeadline(testwait.Deadline())
				_, _ = io.WriteString(c, test.request)
				if _, err := io.ReadFull(c, answer); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 {
				one()
			}
			before := memory()
			for range count {
				one()
			}
			if each := (memory() - before) / count; each > most {
				t.Errorf("%d bytes for each of %d, want no more than %d", each, count, most)
			} else {
				t.Logf("%d bytes for each", each)
			}
			for _, c := range open {
				_ = c.Close()
			}
		})
	}
}
