package http2

import (
	"context"
	"io"
	"net"
	"testing"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestServer_DrainsWithGoAwayAndEndsWhatIsUnderWay(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, func(c proxy.Client, r *message.Request) {
		if r.Path == "/slow" {
			<-release
		}
		reply(c, 200, "done")
	})
	p, idle := f.client(t), f.client(t)
	idle.request(1, true, "GET", "/")
	idle.status()
	p.request(1, true, "GET", "/slow")
	p.request(3, true, "GET", "/")
	p.status()
	f.server.BeginDrain()
	p.request(5, true, "GET", "/") // its answer tells the client to go
	if got := next[*h2.GoAwayFrame](p); got.ErrCode != h2.ErrCodeNo || got.LastStreamID != 5 {
		t.Errorf("%v", got)
	}
	cut := make(chan int, 1)
	go func() { cut <- f.server.Shutdown(context.Background()) }()
	if got := next[*h2.GoAwayFrame](idle); got.ErrCode != h2.ErrCodeNo {
		t.Errorf("who is idle: %v", got)
	}
	close(release)
	if got := p.status(); got != "200" {
		t.Errorf("what was under way: %s", got)
	}
	if n := <-cut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
}

func TestServer_ADrainThatLastsTooLongCuts(t *testing.T) {
	begun := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		close(begun)
		<-c.Gone()
	})
	p := f.client(t)
	p.request(1, true, "GET", "/")
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := f.server.Shutdown(ctx); n != 1 {
		t.Errorf("%d connections were cut", n)
	}
	late := &Connection{Net: discard(t)}
	f.server.ServeConn(late) // it comes too late, and is closed
	if _, err := late.Net.Write([]byte("x")); err == nil {
		t.Error("a connection after the end is served")
	}
}

func discard(t *testing.T) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = b.Close() })
	return a
}

func TestServer_WhatWasReadAlreadyComesFirst(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 204, "") })
	ours, theirs := net.Pipe()
	go func() {
		f.server.ServeConn(&Connection{Net: ours, Read: []byte("PRI * HTTP/2.0\r\n\r\nS")})
	}()
	p := newPeer(t, theirs)
	p.must(io.WriteString(theirs, "M\r\n\r\n"))
	go func() { _ = p.WriteSettings() }()
	next[*h2.SettingsFrame](p)
}

func TestServer_SaysWhenAConnectionIsIdle(t *testing.T) {
	states := make(chan bool, 10)
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 204, "") })
	ours, theirs := net.Pipe()
	go f.server.ServeConn(&Connection{Net: ours, Idle: func(idle bool) { states <- idle }})
	p := newPeer(t, theirs)
	p.must(io.WriteString(theirs, h2.ClientPreface))
	p.try(p.WriteSettings())
	for idle := false; !idle; {
		idle = <-states
	}
	p.request(1, true, "GET", "/")
	p.status()
	if active, idle := <-states, <-states; active || !idle {
		t.Errorf("with a stream idle is %v, after it %v", active, idle)
	}
}
