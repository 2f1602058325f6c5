package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func post(length string) string {
	return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + length + "\r\n\r\n"
}

// A body that its handler leaves unread is never the next request, whatever the handler says.
func TestBody_ThatIsLeftUnreadIsDroppedAndTheConnectionEnds(t *testing.T) {
	paths := make(chan string, 10)
	d := start(t, func(c proxy.Client, r *message.Request) {
		paths <- r.Path
		if r.Path == "/half" {
			_, _ = io.ReadFull(c, make([]byte, 5))
		}
		ok(c, "early")
	}).serve()
	next := get("/never")
	for name, raw := range map[string]string{
		"a length":           "POST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 47\r\n\r\n" + next + "more and more" + next,
		"read to the middle": "POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 47\r\n\r\n12345" + next + "more and more",
		"chunks":             "POST /whole HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + next,
		"what never came":    "POST /whole HTTP/1.1\r\nHost: h\r\nContent-Length: 47\r\n\r\n",
	} {
		c := d.dial().send(raw)
		c.expect(200, "early", true)
		_, _ = c.Write([]byte(next)) // and what comes later
		c.expectEnd()
		if path := testwait.Receive(t, name, paths); path == "/never" {
			t.Errorf("%s: the body is served", name)
		}
	}
	if len(paths) != 0 {
		t.Errorf("%s is served besides", <-paths)
	}
}

// A client that looks only when it has sent everything gets the answer nevertheless.
func TestBody_AnEarlyAnswerArrivesThoughTheClientStillSends(t *testing.T) {
	d := start(t, func(c proxy.Client, _ *message.Request) {
		reply(c, &proxy.Head{Status: 413, Reason: "Too Large", Length: 100_000}, times("x", 100_000))
	}).serve()
	tls := start(t, func(c proxy.Client, _ *message.Request) { ok(c, "early") }).encrypted().serve()
	const size = 8 << 20
	c := d.dial().send(post("8388608"))
	c.send(times("y", size))
	if _, body, err := c.read("POST"); len(body) != 100_000 || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	c.expectEnd()
	c = tls.dial().send(post("8388608"))
	c.send(times("y", size))
	c.expect(200, "early", true)
	c.expectEnd()
}

// broken asks for a body and says how that ended.
func broken(faults chan<- error) script {
	return func(c proxy.Client, _ *message.Request) {
		_, err := io.ReadAll(c)
		faults <- err
	}
}

func TestBody_ThatIsCutOrFaultyIsNotWhole(t *testing.T) {
	faults := make(chan error, 1)
	d := start(t, broken(faults)).serve()
	for raw, want := range map[string]string{
		post("10") + "hello": "unexpected EOF",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel":       "unexpected EOF",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello":       "chunk: ",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA\r\n\r\n": "field line: ",
	} {
		c := d.dial().send(raw)
		_ = c.tcp().CloseWrite()
		if err := testwait.Receive(t, "the body ends", faults); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", raw, err, want)
		}
		c.expectEnd()
	}
}

func TestPatience_BoundsHowLongARead_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waited := make(chan time.Duration, 1)
		_, c := piped(t, func(c proxy.Client, _ *message.Request) {
			began := time.Now()
			c.Patience(8*time.Second, began)
			_, err := io.ReadAll(c)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			waited <- time.Since(began)
		}, func(o *Options) { o.IdleTimeout = time.Hour })
		c.send(post("10") + "hello")
		if d := <-waited; d < 8*time.Second || d > 9*time.Second {
			t.Errorf("it waits for %v", d)
		}
		c.expectEnd()
	})
}

func TestPatience_SaysNothingOfTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := piped(t, func(c proxy.Client, r *message.Request) {
			c.Patience(time.Second, time.Now()) // there is no body
			echo(c, r)
			c.Patience(time.Second, time.Now()) // it was read
		}, func(o *Options) { o.IdleTimeout = time.Hour })
		for range 2 {
			c.send(get("/")).expect(200, "GET / ", false)
			time.Sleep(30 * time.Minute)
			c.send(post("5")+"hello").expect(200, "hello", false)
			time.Sleep(30 * time.Minute)
		}
	})
}

func TestInterrupt_EndsAReadThatWaitsAndTheConnection(t *testing.T) {
	reading := make(chan struct{})
	d := start(t, func(c proxy.Client, _ *message.Request) {
		p := make([]byte, 5)
		_, _ = io.ReadFull(c, p)
		go func() {
			<-reading
			c.Interrupt()
		}()
		close(reading)
		if _, err := c.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		c.Interrupt()
		ok(c, "given up")
	}).serve()
	c := d.dial().send(post("10") + "hello")
	c.expect(200, "given up", true)
	c.expectEnd()
}

func TestInterrupt_AfterTheBodyDisturbsNothing(t *testing.T) {
	c := start(t, func(c proxy.Client, r *message.Request) {
		echo(c, r)
		c.Interrupt()
	}).serve().dial()
	for range 3 {
		c.send(post("5")+"hello").expect(200, "hello", false)
		c.send(get("/")).expect(200, "GET", false)
	}
}

func TestContinue_IsToldToWhoAsksBeforeTheAnswerAlone(t *testing.T) {
	d := start(t, func(c proxy.Client, r *message.Request) {
		_ = c.Continue()
		echo(c, r)
		_ = c.Continue()
	}).serve()
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		interim bool
	}{
		"asked":            {"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", true},
		"not asked":        {post("5"), false},
		"HTTP/1.0":         {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", false},
		"without any body": {"GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", false},
	} {
		client := d.dial().send(c.request)
		if c.interim {
			got := make([]byte, len(interim))
			if _, err := io.ReadFull(client.r, got); string(got) != interim || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if !strings.HasPrefix(c.request, "GET") {
			client.send("hello")
		}
		if answer, body, err := client.read("POST"); answer.StatusCode != http.StatusOK || err != nil {
			t.Errorf("%s: %d %q, %v", name, answer.StatusCode, body, err)
		}
		if client.r.Buffered() > 0 {
			t.Errorf("%s: something follows the answer", name)
		}
	}
}

func TestContinue_AnAnswerInItsPlaceEndsTheConnection(t *testing.T) {
	d := start(t, func(c proxy.Client, _ *message.Request) { ok(c, "no") }).serve()
	c := d.dial().send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 47\r\n\r\n")
	c.expect(200, "no", true)
	_, _ = c.Write([]byte(get("/never")))
	c.expectEnd()
}

func TestUnread_SaysWhatIsKnownOfTheClientsBytes(t *testing.T) {
	var u unread
	is := func(when string, ended, nothing bool) {
		t.Helper()
		if u.ended() != ended || u.nothing() != nothing {
			t.Errorf("%s: ended %v, nothing %v", when, u.ended(), u.nothing())
		}
	}
	u.begin(false, 0)
	is("no body", true, true)
	if u.interrupt() {
		t.Error("there is nothing to interrupt")
	}
	is("and interrupted", true, true)
	u.begin(false, 5)
	is("no body, and the next request", true, false)
	u.begin(true, 0)
	is("a body that has not come", false, true)
	u.reads()
	is("while it is read", false, false)
	u.has(true, 3)
	is("with some of it buffered", false, false)
	u.reads()
	u.has(false, 0)
	is("at its end", true, true)
	u.begin(true, 0)
	u.reads()
	if !u.interrupt() {
		t.Error("it is not interrupted")
	}
	u.has(false, 0)
	is("interrupted in its last read", false, true)
	u.begin(false, 0)
	is("in the next exchange", true, true)
}
