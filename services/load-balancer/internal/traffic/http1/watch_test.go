package http1

import (
	"io"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// leaves are the ways in which a client goes.
var leaves = map[string]func(c *client){
	"closed":      func(c *client) { _ = c.Close() },
	"half closed": func(c *client) { _ = c.tcp().CloseWrite() },
	"reset":       func(c *client) { c.reset() },
}

// canceler is told when the client goes.
type canceler chan struct{}

func (c canceler) Cancel() { close(c) }

// waiting tells that a request has come, and then that its client has gone, in every way there is.
type waiting struct {
	came chan struct{}
	went chan struct{}
}

func newWaiting() *waiting { return &waiting{make(chan struct{}, 1), make(chan struct{}, 1)} }

func (w *waiting) serve(t *testing.T, c proxy.Client) {
	t.Helper()
	who := canceler(make(chan struct{}))
	c.Watch(who)
	w.came <- struct{}{}
	testwait.Receive(t, "the channel is closed", c.Gone())
	testwait.Receive(t, "who watches is told", who)
	if !c.HasGone() {
		t.Error("it has not gone")
	}
	late := canceler(make(chan struct{}))
	c.Watch(late)
	testwait.Receive(t, "who watches later is told at once", late)
	testwait.Receive(t, "the channel stays closed", c.Gone())
	c.Watch(nil)
	w.went <- struct{}{}
}

func TestWatch_SeesAtOnceThatTheClientHasGone(t *testing.T) {
	w := newWaiting()
	serve := func(c proxy.Client, r *message.Request) {
		if r.Path == "/first" {
			ok(c, "")
			return
		}
		if r.Path == "/body" {
			_, _ = io.ReadAll(c)
		}
		w.serve(t, c)
	}
	for port, d := range map[string]*site{"in clear": start(t, serve).serve(), "TLS": start(t, serve).encrypted().serve()} {
		for way, leave := range leaves {
			for name, raw := range map[string]string{
				"without a body": get("/"), "after a request": get("/first") + get("/"),
				"with its body":      "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
				"before its body":    "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
				"with nothing of it": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
			} {
				c := d.dial().send(raw)
				testwait.Receive(t, "the request comes", w.came)
				leave(c)
				testwait.Receive(t, port+", "+way+", "+name, w.went)
			}
		}
	}
}

func TestWatch_SeesOneThatHasGoneBeforeTheRequestIsServed(t *testing.T) {
	w := newWaiting()
	d := start(t, func(c proxy.Client, _ *message.Request) { w.serve(t, c) })
	c := d.dial().send(get("/")) // the system takes it; nobody serves it yet
	_ = c.Close()
	d.serve()
	testwait.Receive(t, "it is seen", w.went)
}

// The end comes while the body is under way, and nobody looks at the connection after that.
func TestWatch_SeesOneThatHasGoneBeforeItsBodyWasRead(t *testing.T) {
	w, sent := newWaiting(), make(chan struct{})
	d := start(t, func(c proxy.Client, _ *message.Request) {
		who := canceler(make(chan struct{}))
		c.Watch(who)
		<-sent
		testwait.Until(t, "the end is told", func() bool { return c.(*conn).client.hung.Load() })
		if c.HasGone() {
			t.Error("it has gone with its body unread")
		}
		if n, err := io.Copy(io.Discard, c); n != 20_000 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		testwait.Receive(t, "who watches is told", who)
		w.went <- struct{}{}
	}).serve()
	c := d.dial().send(post("20000") + times("x", 20_000))
	_ = c.Close()
	close(sent)
	testwait.Receive(t, "it is seen", w.went)
}

// What queues behind an exchange that waits for a pod is the rest of its body alone.
func TestWatch_SeesAtOnceThatOneHasGoneWhoWaitsWithItsBodyUnread(t *testing.T) {
	for name, test := range map[string]struct {
		raw  string
		read int // of the body, before it waits
	}{
		"the whole body":           {post("20000") + times("x", 20_000), 0},
		"a part of it was read":    {post("20000") + times("x", 20_000), 7_000},
		"a part of it never comes": {post("20000") + times("x", 10_000), 100},
		"it fits into the buffer":  {post("5") + "hello", 0},
	} {
		for way, leave := range leaves {
			came, went := make(chan struct{}), make(chan struct{})
			d := start(t, func(c proxy.Client, _ *message.Request) {
				_, _ = io.ReadFull(c, make([]byte, test.read))
				gone := c.Gone()
				close(came)
				testwait.Receive(t, name+", "+way, gone)
				if !c.HasGone() {
					t.Errorf("%s, %s: it has not gone", name, way)
				}
				close(went)
			}).serve()
			c := d.dial().send(test.raw)
			testwait.Receive(t, "the request waits", came)
			leave(c)
			testwait.Receive(t, name+", "+way, went)
		}
	}
}

func TestWatch_SeesOneThatHasGoneBeforeItWaitsWithItsBodyUnread(t *testing.T) {
	went := make(chan struct{})
	d := start(t, func(c proxy.Client, _ *message.Request) {
		testwait.Until(t, "the end is there", func() bool { return c.(*conn).client.hung.Load() })
		testwait.Receive(t, "the channel is closed at once", c.Gone())
		close(went)
	}).serve()
	_ = d.dial().send(post("20000") + times("x", 20_000)).Close()
	testwait.Receive(t, "it is seen", went)
}

// Who waits reads on when a pod is there: what is behind the body may be another request.
func TestWatch_DoesNotTakeOneForGoneWhoWaitsWithMoreThanItsBody(t *testing.T) {
	for name, raw := range map[string]string{
		"behind an unread body": post("20000") + times("x", 20_000) + get("/2"),
		"in the buffer":         post("5") + "hello" + get("/2"),
		"behind chunks":         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + get("/2"),
	} {
		d := start(t, func(c proxy.Client, r *message.Request) {
			if r.Path != "/2" {
				gone := c.Gone()
				testwait.Until(t, "the end is told", func() bool { return c.(*conn).client.hung.Load() })
				select {
				case <-gone:
					t.Errorf("%s: the channel is closed", name)
				default:
				}
				if c.HasGone() {
					t.Errorf("%s: it has gone", name)
				}
			}
			_, _ = io.Copy(io.Discard, c)
			ok(c, r.Path)
		}).serve()
		c := d.dial().send(raw)
		_ = c.tcp().CloseWrite()
		c.expect(200, "/", false)
		c.expect(200, "/2", false)
		c.expectEnd()
	}
}

// Who has sent more may want the answers to it.
func TestWatch_DoesNotTakeOneForGoneWhoseRequestsWaitToBeRead(t *testing.T) {
	for name, more := range map[string]string{
		"in the buffer":             get("/2"),
		"in the system":             "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + times("x", 20_000),
		"after a body, in a buffer": "",
	} {
		first := get("/1")
		if more == "" {
			first, more = post("5")+"hello", get("/2")
		}
		ended := make(chan struct{}, 2)
		d := start(t, func(c proxy.Client, r *message.Request) {
			who := canceler(make(chan struct{}))
			c.Watch(who)
			if r.Path != "/2" {
				if r.HasBody() {
					_, _ = io.ReadAll(c)
				}
				testwait.Until(t, "the end is told", func() bool { return c.(*conn).client.hung.Load() })
				if c.HasGone() {
					t.Errorf("%s: it has gone", name)
				}
				select {
				case <-c.Gone():
					t.Errorf("%s: the channel is closed", name)
				case <-who:
					t.Errorf("%s: who watches is told", name)
				default:
				}
			}
			c.Watch(nil)
			_, _ = io.Copy(io.Discard, c)
			ok(c, r.Path)
			ended <- struct{}{}
		}).serve()
		c := d.dial()
		go func() {
			_, _ = io.WriteString(c, first+more)
			_ = c.tcp().CloseWrite()
		}()
		c.expect(200, "/", false)
		c.expect(200, "/2", false)
		testwait.Receive(t, name, ended)
		testwait.Receive(t, name, ended)
		c.expectEnd()
	}
}

// Nobody takes the answers to what waits to be read.
func TestWatch_SeesAtOnceThatTheConnectionIsBrokenWhateverWaitsToBeRead(t *testing.T) {
	for name, raw := range map[string]string{
		"in the buffer":     get("/1") + get("/2"),
		"in the system":     get("/1") + times(get("/2"), 1000),
		"the body":          post("20000") + times("x", 20_000),
		"half the body":     post("20000") + times("x", 10_000),
		"a part of a head":  get("/1") + "GET",
		"nothing whatever":  get("/1"),
		"of another method": "HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\n" + get("/2"),
	} {
		w := newWaiting()
		d := start(t, func(c proxy.Client, _ *message.Request) { w.serve(t, c) }).serve()
		c := d.dial().send(raw)
		testwait.Receive(t, "the request comes", w.came)
		c.reset()
		testwait.Receive(t, name, w.went)
	}
}

func TestWatch_SeesAResetThatFollowsAHalfClose(t *testing.T) {
	w := newWaiting()
	d := start(t, func(c proxy.Client, _ *message.Request) { w.serve(t, c) }).serve()
	c := d.dial().send(get("/1") + get("/2"))
	testwait.Receive(t, "the request comes", w.came)
	_ = c.tcp().CloseWrite()
	testwait.Until(t, "it is told", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for conn := range d.conns {
			return conn.client.hung.Load()
		}
		return false
	})
	select {
	case <-w.went:
		t.Fatal("it has gone, though it may want the answers")
	default:
	}
	c.reset()
	testwait.Receive(t, "it has gone", w.went)
}

func TestWatch_WhatIsNamedInOneExchangeIsNotToldOfTheNext(t *testing.T) {
	w := newWaiting()
	first := canceler(make(chan struct{}))
	var before <-chan struct{}
	d := start(t, func(c proxy.Client, r *message.Request) {
		if r.Path == "/first" {
			c.Watch(first)
			before = c.Gone()
			ok(c, "")
			return
		}
		w.serve(t, c)
	}).serve()
	c := d.dial().send(get("/first"))
	c.expect(200, "", false)
	c.send(get("/"))
	testwait.Receive(t, "the request comes", w.came)
	_ = c.Close()
	testwait.Receive(t, "it is seen", w.went)
	select {
	case <-first:
		t.Error("one of the exchange before is told")
	case <-before:
		t.Error("the channel of the exchange before is closed")
	default:
	}
}

func TestWatch_WithoutOneAClientThatHasGoneIsSeenWhenItIsWrittenTo(t *testing.T) {
	ended := make(chan error, 1)
	d := start(t, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		var err error
		for err == nil {
			if err = write(c, times("x", 1000)); err == nil {
				err = c.Flush()
			}
		}
		ended <- err
	}, func(o *Options) { o.Hangups.Close(); o.Hangups = nil }).serve()
	c := d.dial().send(get("/"))
	c.reset()
	if err := testwait.Receive(t, "the write fails", ended); err == nil {
		t.Error("it does not")
	}
}
