package connections

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// accepted is a gate with a listener, and what comes through.
type accepted struct {
	*Gate
	address string
	conns   chan net.Conn
}

func gate(t *testing.T, limit func() int) accepted {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(limit, prometheus.NewRegistry())
	l := g.Listen(inner)
	a := accepted{Gate: g, address: l.Addr().String(), conns: make(chan net.Conn)}
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			a.conns <- c
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return a
}

func (a accepted) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// come lets a client in, and tells whether it was one too many.
func (a accepted) come(t *testing.T) (net.Conn, bool) {
	t.Helper()
	a.dial(t)
	c := <-a.conns
	t.Cleanup(func() { _ = c.Close() })
	_, over := a.Over(a.Context(t.Context(), c))
	return c, over
}

func TestGate_FollowsALimitThatChangesWithoutClosingWhatIsOpen(t *testing.T) {
	var limit atomic.Int64
	limit.Store(2)
	a := gate(t, func() int { return int(limit.Load()) })
	first, over1 := a.come(t)
	_, over2 := a.come(t)
	if over1 || over2 || a.Open() != 2 {
		t.Fatalf("two of two: over %v, %v; %d open", over1, over2, a.Open())
	}
	told, over3 := a.come(t)
	if !over3 || a.Open() != 2 {
		t.Errorf("the third: over %v; %d open", over3, a.Open())
	}
	_ = told.Close()

	limit.Store(1)
	if _, err := first.Write([]byte("x")); err != nil {
		t.Errorf("a connection that was open: %v", err)
	}
	_ = first.Close()
	_ = first.Close() // counts once
	if _, over := a.come(t); !over || a.Open() != 1 {
		t.Errorf("with one open of one: over %v; %d open", over, a.Open())
	}
	limit.Store(2)
	if _, over := a.come(t); over || a.Open() != 2 {
		t.Errorf("with a limit that was raised: over %v; %d open", over, a.Open())
	}
}

func TestGate_ClosesAtOnceWhenTooManyAreTold(t *testing.T) {
	a := gate(t, func() int { return 0 })
	var last net.Conn
	for range mostTold {
		last, _ = a.come(t)
	}
	c := a.dial(t)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one too many to be told got %d bytes, %v", n, err)
	}
	_ = last.Close()
	if _, over := a.come(t); !over {
		t.Error("a place to be told was free, and not given")
	}
}

func TestOver_NoConnectionNoLimit(t *testing.T) {
	g := NewGate(func() int { return 7 }, prometheus.NewRegistry())
	if limit, over := g.Over(context.Background()); limit != 7 || over {
		t.Errorf("%d, %v", limit, over)
	}
}
