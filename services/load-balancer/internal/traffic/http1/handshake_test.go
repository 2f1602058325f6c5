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
	said := "[" + string(h.Read) + "]"
	if h.Limit > 0 {
		said = "too many"
	}
	if h.Peer.Address != "127.0.0.1" {
		said = "from " + h.Peer.Address
	}
	_, _ = io.WriteString(h.Net, said)
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

func TestHTTP2_IsToldThatItIsOneTooMany(t *testing.T) {
	edit := func(o *Options) { o.HTTP2, o.Gate = second, &limited{places: 1, crowd: 10} }
	d := start(t, crowded(nil), edit).serve()
	busy := d.dial().send("PRI * HTTP/2.0\r\n\r\n")
	if _, err := io.ReadFull(busy.r, make([]byte, len("[PRI"))); err != nil {
		t.Fatal(err)
	}
	c := d.dial().send("PRI * HTTP/2.0\r\n\r\n")
	got := make([]byte, len("too many"))
	if _, err := io.ReadFull(c.r, got); string(got) != "too many" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A connection that was handed over gives way at the limit while nothing goes on there.
func TestHTTP2_ThatIsIdleGivesWayAtTheLimit(t *testing.T) {
	states, ended := make(chan bool), make(chan struct{})
	d := start(t, echo, func(o *Options) {
		o.Gate = &limited{places: 1}
		o.HTTP2 = func(h Handover) {
			for idle := range states {
				h.Idle(idle)
			}
			_, _ = io.Copy(io.Discard, h.Net)
			close(ended)
		}
	}).serve()
	first := d.dial().send("PRI * HTTP/2.0\r\n\r\n")
	for _, idle := range []bool{true, false, true, true, false} {
		states <- idle
	}
	d.idles(0)
	d.dial().expectEnd() // there is no place while it is busy
	states <- true
	close(states)
	d.idles(1)
	c := d.dial().send(get("/"))
	testwait.Receive(t, "it gives way", ended)
	c.expect(200, "GET / ", false)
	first.endsSomehow()
}

// preceded is a connection on which something comes before HTTP.
type preceded struct {
	net.Conn
	early string
	err   error
}

func (p preceded) Settle() ([]byte, error) { return []byte(p.early), p.err }
func (p preceded) RemoteAddr() net.Addr    { return address("192.0.2.1:99") }

func TestSettle_WhatComesBeforeHTTPIsTakenAwayFirst(t *testing.T) {
	peers := make(chan proxy.Peer, 1)
	serve := func(c proxy.Client, r *message.Request) {
		peers <- c.Peer()
		echo(c, r)
	}
	for name, c := range map[string]struct {
		early, sent string
		err         error
		ends        bool
	}{
		"nothing came with it":    {sent: get("/")},
		"a part came with it":     {early: "GET /", sent: " HTTP/1.1\r\nHost: h\r\n\r\n"},
		"the request came too":    {early: get("/")},
		"it is none, and refused": {err: net.ErrClosed, ends: true},
	} {
		d := start(t, serve).serve()
		near, far := net.Pipe()
		d.Take(preceded{near, c.early, c.err})
		client := newClient(t, far)
		if c.ends {
			client.expectEnd()
			continue
		}
		go func() { _, _ = far.Write([]byte(c.sent)) }()
		client.expect(200, "GET / ", false)
		if peer := testwait.Receive(t, name, peers); peer.Address != "192.0.2.1" || peer.Port != 99 {
			t.Errorf("%s: %+v", name, peer)
		}
		_ = far.Close()
	}
}

// endsSomehow is the end of a connection of which something may be unread at the other side.
func (c *client) endsSomehow() {
	c.t.Helper()
	_, _ = io.ReadAll(c.r)
}
