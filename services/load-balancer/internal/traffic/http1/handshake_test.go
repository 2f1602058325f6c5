package http1

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestTLS_ServesAsInClearAndSaysSo(t *testing.T) {
	peers := make(chan proxy.Peer, 100)
	serve := func(c proxy.Client, r *message.Request) {
		peers <- c.Peer()
		echo(c, r)
	}
	for name, d := range map[string]*site{"in clear": start(t, serve).serve(), "TLS": start(t, serve).encrypted().serve()} {
		c := d.dial()
		for len(peers) > 0 {
			<-peers
		}
		for _, b := range bodies {
			c.send(b.wire).expect(200, b.answer, false)
			peer := testwait.Receive(t, name, peers)
			local := c.LocalAddr().(*net.TCPAddr)
			if peer.TLS != (name == "TLS") || peer.Address != "127.0.0.1" || int(peer.Port) != local.Port || !peer.IP.IsLoopback() {
				t.Errorf("%s: %+v", name, peer)
			}
		}
		c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").expect(200, "GET / ", true)
		c.expectEnd()
	}
}

func TestTLS_WhatIsNoHandshakeEndsTheConnection(t *testing.T) {
	d := start(t, echo).encrypted().serve()
	nc, err := net.Dial("tcp", d.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(testwait.Deadline())
	_, _ = io.WriteString(nc, get("/"))
	_, _ = io.ReadAll(nc) // an alert, or what Go says to clients in clear
	testwait.Until(t, "it is let go", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.conns) == 0
	})
}

func TestTLS_AHandshakeHasTheTimeOfAHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Handler: script(echo), Gate: open{}, HeadTimeout: 10 * time.Second})
		near, far := net.Pipe()
		began := time.Now()
		s.Take(tls.Server(near, &tls.Config{}))
		if _, err := io.ReadAll(far); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// second is a stand-in for HTTP/2's server: it says what was read before, and everything again.
func second(h Handover) {
	defer func() { _ = h.Net.Close() }()
	_, _ = io.WriteString(h.Net, "["+string(h.Read)+"]")
	_, _ = io.Copy(h.Net, h.Net)
}

func TestHTTP2_GetsTheConnectionThatBeginsWithItsPreface(t *testing.T) {
	d := start(t, echo, func(o *Options) { o.HTTP2 = second }).serve()
	c := d.dial().send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	want := "[PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n]"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got[:17]) != want[:17] {
		t.Fatalf("%q, %v", got, err)
	}
	c.send("more")
	_ = c.tcp().CloseWrite()
	if rest, err := io.ReadAll(c.r); err != nil || string(rest[len(rest)-4:]) != "more" {
		t.Errorf("%q, %v", rest, err)
	}
	// Behind another request it is none.
	c = d.dial().send(get("/") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	c.expect(200, "GET / ", false)
	c.expect(400, "version", true)
	c.expectEnd()
	// And HTTP/1.1 is served beside it.
	d.dial().send(get("/")).expect(200, "GET / ", false)
}

func TestHTTP2_GetsTheConnectionThatChoosesItInTLS(t *testing.T) {
	d := start(t, echo, func(o *Options) { o.HTTP2 = second }).encrypted("h2").serve()
	config := d.tls.Clone()
	config.NextProtos = []string{"h2"}
	plain := d.tls
	d.tls = config
	c := d.dial().send("hello")
	got := make([]byte, len("[]hello"))
	if _, err := io.ReadFull(c.r, got); string(got) != "[]hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	d.tls = plain
	d.dial().send(get("/")).expect(200, "GET / ", false)
}
