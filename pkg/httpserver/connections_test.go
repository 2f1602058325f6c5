package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// bounded serves with bounds: requests for /many are those of many clients.
func bounded(t *testing.T, c *Connections) (address string) {
	t.Helper()
	return boundedWith(t, c, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
}

func boundedWith(t *testing.T, c *Connections, answer http.HandlerFunc) (address string) {
	t.Helper()
	s, err := Listen(t.Context(), Options{
		Address: "127.0.0.1:0", Log: discard(), Listen: c.Listen, ConnContext: c.Context,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/many" {
				c.Many(w, r)
			}
			answer(w, r)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := testwait.Receive(t, "the server ends", ended); err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

// ask tells whether the connection is kept after a request.
func (c *client) ask(t *testing.T, path string) (kept bool) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	return !answer.Close
}

func TestConnections_OfManyClientsOnlySomeAreKept(t *testing.T) {
	c := NewConnections(100, 2, time.Minute)
	address := bounded(t, c)
	first, second, third, other := dial(t, address), dial(t, address), dial(t, address), dial(t, address)
	for i, kept := range []bool{first.ask(t, "/many"), second.ask(t, "/many"), !third.ask(t, "/many"), other.ask(t, "/"), first.ask(t, "/many")} {
		if !kept {
			t.Errorf("connection %d of first, second, third, other, first", i)
		}
	}
	if got := c.Counts(); got.Many != 2 || got.SentOff != 1 {
		t.Errorf("%+v", got)
	}
	// One that goes makes room.
	_ = first.Close()
	testwait.Until(t, "the closed one is not counted", func() bool { return c.Counts().Many == 1 })
	if fourth := dial(t, address); !fourth.ask(t, "/many") {
		t.Error("there was room")
	}
}

func TestConnections_BeyondTheBoundAreClosedUnheard(t *testing.T) {
	c := NewConnections(1, 1, time.Minute)
	address := bounded(t, c)
	first := dial(t, address)
	first.ask(t, "/")
	second := dial(t, address)
	if _, err := second.in.ReadByte(); err == nil {
		t.Error("it was heard")
	}
	if got := c.Counts(); got.Open != 1 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
	_ = first.Close()
	testwait.Until(t, "the closed one is not counted", func() bool { return c.Counts().Open == 0 })
	if third := dial(t, address); !third.ask(t, "/") {
		t.Error("there was room")
	}
}

func TestConnections_OfManyClientsAreClosedWhenIdleAndOthersAreNot(t *testing.T) {
	c := NewConnections(10, 10, 10*time.Millisecond)
	address := bounded(t, c)
	many, other := dial(t, address), dial(t, address)
	other.ask(t, "/")
	many.ask(t, "/many")
	if _, err := many.in.ReadByte(); err == nil { // waits for the end
		t.Error("it is open")
	}
	if !other.ask(t, "/") {
		t.Error("the other was closed")
	}
}

// A connection that is kept between replicas carries pushes and, after one, what takes long.
func TestConnections_OfManyClientsAreNotIdleWhileTheyAreAnswered(t *testing.T) {
	c := NewConnections(10, 10, 20*time.Millisecond)
	begun, release := make(chan struct{}), make(chan struct{})
	address := boundedWith(t, c, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			close(begun)
			select {
			case <-r.Context().Done():
				_, _ = io.WriteString(w, "cut off")
				return
			case <-release:
			}
		}
		_, _ = io.WriteString(w, "ok")
	})
	long, idle := dial(t, address), dial(t, address)
	long.ask(t, "/many")
	if _, err := io.WriteString(long, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	testwait.Receive(t, "the long one begins", begun)
	idle.ask(t, "/many")
	if _, err := idle.in.ReadByte(); err == nil { // it was idle for as long as may be, after the other one had begun
		t.Error("it is open")
	}
	close(release)
	answer, err := http.ReadResponse(long.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "ok" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestConnections_NoneBoundNothing(t *testing.T) {
	var c *Connections
	c.Many(nil, nil)
	if got := c.Counts(); got != (Counts{}) {
		t.Errorf("%+v", got)
	}
}
