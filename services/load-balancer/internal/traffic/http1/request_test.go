package http1

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// bodies are requests with every kind of body, and what echo says of them.
var bodies = []struct{ wire, answer string }{
	{get("/none"), "GET /none "},
	{"POST /l HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "POST /l hello"},
	{"POST /z HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST /z "},
	{"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "POST /c hello"},
	{"POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSum: 42\r\n\r\n", "POST /t hello42"},
	{"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n" + times("x", 9000), "POST /b " + times("x", 9000)},
}

func TestConnection_ServesOneRequestAfterTheOther(t *testing.T) {
	c := start(t, echo).serve().dial()
	for range 3 {
		for _, b := range bodies {
			c.send(b.wire).expect(200, b.answer, false)
		}
	}
}

func TestConnection_ServesRequestsThatComeAtOnceInTheirOrder(t *testing.T) {
	c := start(t, echo).serve().dial()
	var all strings.Builder
	for _, b := range bodies {
		all.WriteString(b.wire)
	}
	c.send(all.String())
	for _, b := range bodies {
		c.expect(200, b.answer, false)
	}
}

func TestConnection_ServesRequestsThatComeInPieces(t *testing.T) {
	for _, step := range []int{1, 2, 7} {
		_, c := piped(t, echo)
		go func() {
			for _, b := range bodies[:5] {
				for at := 0; at < len(b.wire); at += step {
					_, _ = c.Write([]byte(b.wire[at:min(at+step, len(b.wire))]))
				}
			}
		}()
		for _, b := range bodies[:5] {
			c.expect(200, b.answer, false)
		}
	}
}

func TestConnection_IgnoresEmptyLinesBeforeARequestHoweverTheyCome(t *testing.T) {
	for _, pieces := range [][]string{
		{"\r\n" + get("/")}, {"\r\n", get("/")}, {"\r", "\n", get("/")}, {"\r\n\r", "\n" + get("/")}, {"\r\n\r\n\r\n", "\r", "\n", get("/")},
		{"\r", "\n\r", "\nG", get("/")[1:]},
	} {
		_, c := piped(t, echo)
		go func() {
			for range 2 { // before the first request, and before the next one
				for _, piece := range pieces {
					_, _ = c.Write([]byte(piece))
				}
			}
		}()
		for range 2 {
			c.expect(200, "GET / ", false)
		}
	}
}

func TestConnection_EndsWhenTheClientWantsIt(t *testing.T) {
	d := start(t, echo).serve()
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
	} {
		c := d.dial().send(raw)
		c.expect(200, "GET / ", true)
		c.expectEnd()
	}
	c := d.dial()
	for range 2 {
		answer := c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect(200, "GET / ", false)
		if answer.Proto != "HTTP/1.0" || answer.Header.Get("Connection") != "keep-alive" {
			t.Errorf("%s, %v", answer.Proto, answer.Header)
		}
	}
}

// What follows the last request is dropped; it does not destroy the answer.
func TestConnection_AnswersWholeThoughMoreComesThanItServes(t *testing.T) {
	c := start(t, echo).serve().dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get("/2") + times("x", 1<<20))
	c.expect(200, "GET / ", true)
	c.expectEnd()
}

func TestConnection_AnswersWhatItCannotReadAndEnds(t *testing.T) {
	d := start(t, echo, func(o *Options) { o.MaxHead = 1000 }).serve()
	for name, c := range map[string]struct{ raw, why string }{
		"no request":              {"hello\r\n\r\n", "request line"},
		"a bare line feed":        {"GET / HTTP/1.1\nHost: h\n\n", "line end"},
		"both lengths":            {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length"},
		"a version":               {"GET / HTTP/3.0\r\nHost: h\r\n\r\n", "version"},
		"HTTP/2":                  {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version"},
		"too long":                {"GET /" + times("a", 1000) + " HTTP/1.1\r\n\r\n", "larger than 1000 bytes"},
		"too long, without end":   {times("a", 1000), "larger than 1000 bytes"},
		"five empty lines":        {times("\r\n", 5) + get("/"), "request line"},
		"HTTP/1.0 is told so too": {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "Host"},
	} {
		for before := range 2 {
			client := d.dial()
			for range before {
				client.send(get("/before")).expect(200, "GET /before ", false)
			}
			client.send(c.raw + get("/never"))
			answer, body, err := client.read("GET")
			if err != nil || answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, c.why) || !answer.Close {
				t.Errorf("%s, after %d: %d %q, closes %v, %v", name, before, answer.StatusCode, body, answer.Close, err)
			}
			client.expectEnd()
		}
	}
}

func TestConnection_TakesAHeadThatIsAsLongAsItMayBe(t *testing.T) {
	c := start(t, echo, func(o *Options) { o.MaxHead = 1000 }).serve().dial()
	raw := get("/" + times("a", 1000-len(get("/"))))
	c.send(raw).expect(200, "GET /aaa", false)
	c.send(raw+raw).expect(200, "GET /aaa", false)
	c.expect(200, "GET /aaa", false)
}

func TestConnection_AMalformedRequestThatNobodyAnswersEndsIt(t *testing.T) {
	for name, begins := range map[string]bool{"without a word": false, "begun": true} {
		s := &silent{begins: begins}
		c := start(t, nil, func(o *Options) { o.Handler = s }).serve().dial()
		c.send("hello\r\n\r\n")
		if begins {
			if _, _, err := c.read("GET"); err == nil {
				t.Errorf("%s: the answer is whole", name)
			}
			continue
		}
		c.expectEnd()
	}
}

// silent leaves what it cannot read without a whole answer.
type silent struct {
	script
	begins bool
}

func (s *silent) Malformed(c proxy.Client, _ *message.Request, _ error) {
	if s.begins {
		_ = c.Begin(&proxy.Head{Status: 400, Reason: "Bad Request", Length: 10})
		_ = c.Flush()
	}
}

func TestConnection_GivesAHeadItsTimeFromItsFirstByteWhateverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := piped(t, echo, func(o *Options) { o.HeadTimeout, o.IdleTimeout = 10*time.Second, time.Hour })
		time.Sleep(59 * time.Minute) // nothing has begun
		began := time.Now()
		go func() {
			for _, err := c.Write([]byte("G")); err == nil; _, err = c.Write([]byte("x")) {
				time.Sleep(time.Second)
			}
		}()
		if after := c.endsAfter(began); after != 10*time.Second {
			t.Errorf("it ends after %v", after)
		}
		time.Sleep(time.Second) // the writer sees it
	})
}

func TestConnection_IsKeptAsLongAsItMayBeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := piped(t, echo, func(o *Options) { o.IdleTimeout = 80 * time.Second })
		for range 3 {
			time.Sleep(79 * time.Second)
			c.send(get("/")).expect(200, "GET / ", false)
		}
		if after := c.endsAfter(time.Now()); after < 80*time.Second || after > 90*time.Second {
			t.Errorf("it ends after %v", after)
		}
	})
}

// A part of the next request that came long ago, while another was served, has its time from when it
// can be read.
func TestConnection_TheTimeOfAHeadDoesNotBeginInTheExchangeBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(c proxy.Client, r *message.Request) {
			if r.Path == "/slow" {
				time.Sleep(time.Minute)
			}
			echo(c, r)
		}
		_, c := piped(t, slow, func(o *Options) { o.HeadTimeout = 10 * time.Second })
		go func() {
			_, _ = c.Write([]byte("GET /sl")) // in two parts, so that its time is set
			_, _ = c.Write([]byte("ow HTTP/1.1\r\nHost: h\r\n\r\nGET /ne"))
			time.Sleep(time.Minute + 9*time.Second)
			_, _ = c.Write([]byte("xt HTTP/1.1\r\nHost: h\r\n\r\n"))
		}()
		c.expect(200, "GET /slow ", false)
		c.expect(200, "GET /next ", false)
	})
}

func TestConnection_TheTimeOfAHeadEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := piped(t, echo, func(o *Options) { o.HeadTimeout, o.IdleTimeout = 10*time.Second, time.Hour })
		go func() { _, _ = c.Write([]byte("GET / HT")) }()
		synctest.Wait()
		go func() { _, _ = c.Write([]byte("TP/1.1\r\nHost: h\r\n\r\n")) }()
		c.expect(200, "GET / ", false)
		time.Sleep(30 * time.Minute)
		c.send(get("/2")).expect(200, "GET /2 ", false)
	})
}

func TestPeer_IsWhoHoldsTheConnection(t *testing.T) {
	for remote, want := range map[string]proxy.Peer{
		"10.1.2.3:4567":          {Address: "10.1.2.3", Port: 4567},
		"[::ffff:10.1.2.3]:4567": {Address: "10.1.2.3", Port: 4567},
		"[fe80::1%eth0]:80":      {Address: "fe80::1", Port: 80},
		"somewhere":              {Address: "somewhere"},
	} {
		got := peerOf(from{remote: remote})
		if got.Address != want.Address || got.Port != want.Port || got.TLS || got.IP.IsValid() != (want.Port != 0) {
			t.Errorf("%s: %+v", remote, got)
		}
	}
}

// from is a connection from somewhere.
type from struct {
	net.Conn
	remote string
}

func (f from) RemoteAddr() net.Addr { return address(f.remote) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
