package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

func TestAnswer_OfEveryShape(t *testing.T) {
	for name, test := range map[string]struct {
		method, answer, body string
		length               int64
		kept                 int
	}{
		"length":                     {"GET", okHello, "hello", 5, 1},
		"chunked":                    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", -1, 1},
		"chunked and a length":       {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", -1, 0},
		"until the end":              {"GET", "HTTP/1.1 200 OK\r\n\r\nhello", "hello", -1, 0},
		"HTTP/1.0":                   {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 0},
		"HTTP/1.0 that is kept":      {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 1},
		"to be closed":               {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 0},
		"line feeds alone":           {"GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "hello", 5, 1},
		"HEAD":                       {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", 0, 1},
		"HEAD with a body":           {"HEAD", okHello, "", 0, 0},
		"no content":                 {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 0, 1},
		"not modified":               {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", 0, 1},
		"empty":                      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 0, 1},
		"hints before":               {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + okHello, "hello", 5, 1},
		"more than announced":        {"GET", okHello + "HTTP/1.1 200 OK\r\n\r\n", "hello", 5, 0},
		"a head of many bytes":       {"GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200<<10) + "\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 1},
		"a body of many bytes":       {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000), strings.Repeat("x", 300000), 300000, 1},
		"a large chunk":              {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0;a=b\r\n" + strings.Repeat("x", 300000) + "\r\n0\r\nX: y\r\n\r\n", strings.Repeat("x", 300000), -1, 1},
		"equal lengths twice":        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 1},
		"a status without a reason":  {"GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 1},
		"a status that is not known": {"GET", "HTTP/1.1 299 Odd\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			hang := make(chan struct{})
			address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				_, _ = io.WriteString(c, test.answer)
				if test.kept > 0 {
					<-hang
				}
			})
			defer close(hang)
			c := newClient(t, Options{})
			r := get("/")
			r.Head.Method = test.method
			a := send(t, c, address, r)
			if length := a.Head().Length; length != test.length {
				t.Errorf("length %d, want %d", length, test.length)
			}
			if more := strings.HasPrefix(name, "more") || name == "HEAD with a body"; more { // all of it has come
				for len(a.(*conn).link.Buffered()) < len(test.answer)-strings.Index(test.answer, "\r\n\r\n")-4 {
					if err := a.(*conn).link.Fill(1 << 10); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := readAll(t, a); got != test.body {
				t.Errorf("body of %d bytes, want %d", len(got), len(test.body))
			}
			if len(c.idle()) != test.kept {
				t.Errorf("%d connections kept, want %d", len(c.idle()), test.kept)
			}
			if hints := of(r).hints; name == "hints before" && !slices.Equal(hints, []int{103}) {
				t.Errorf("hints = %v, want 103 alone", hints)
			}
		})
	}
}

func TestAnswer_ThatIsNoneIsRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"endless head":           "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\n",
		"endless hints":          strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100) + okHello,
		"a switch not asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
		"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"a signed length":        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
		"another coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"status 000":             "HTTP/1.1 000 What\r\nContent-Length: 0\r\n\r\n",
		"status 042":             "HTTP/1.1 042 What\r\nContent-Length: 0\r\n\r\n",
		"status 099":             "HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n",
		"status +12":             "HTTP/1.1 +12 What\r\nContent-Length: 0\r\n\r\n",
		"status 600":             "HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2":                 "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":                "SSH-2.0-OpenSSH\r\n\r\n",
		"half a head":            "HTTP/1.1 200 OK\r\nContent-",
		"a NUL":                  "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
		"nothing":                "",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{})
			for _, r := range []*proxy.Outgoing{get("/"), whole("x"), post(strings.NewReader("x"), -1)} {
				if err := fail(t, c, says(t, answer), r); !errors.Is(err, proxy.ErrBroken) || isUnsent(err) {
					t.Errorf("error = %v, want ErrBroken", err)
				}
			}
			if len(c.idle()) != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestAnswer_ThatIsCutIsAnError(t *testing.T) {
	for name, test := range map[string]struct{ answer, body string }{
		"of a length":      {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "hello"},
		"before a byte":    {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", ""},
		"within a chunk":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello", "hello"},
		"between chunks":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"},
		"before a trailer": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{})
			a := send(t, c, says(t, test.answer), get("/"))
			text, err := io.ReadAll(a)
			if string(text) != test.body || !errors.Is(err, io.ErrUnexpectedEOF) || a.Ended() {
				t.Errorf("%q, %v, want an unexpected end", text, err)
			}
			a.Close()
			if len(c.idle()) != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestAnswer_ChunksThatAreNoneAreAnError(t *testing.T) {
	a := send(t, newClient(t, Options{}), says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n"), get("/"))
	defer a.Close()
	if _, err := io.ReadAll(a); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error = %v", err)
	}
}

func TestAnswer_ThatIsNotReadToItsEndClosesTheConnection(t *testing.T) {
	closed := make(chan struct{})
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		_ = wiretest.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
		_, _ = in.ReadByte()
		close(closed)
	})
	c := newClient(t, Options{})
	a := send(t, c, address, get("/"))
	a.Close()
	<-closed
	if len(c.idle()) != 0 {
		t.Error("the connection was kept")
	}
}

func TestAwait_ReturnsWithWhatComesAndReadsNothing(t *testing.T) {
	more := make(chan struct{})
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		_ = wiretest.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
		<-more
		_, _ = io.WriteString(c, "hello")
		<-more
		_, _ = io.WriteString(c, "world")
	})
	a := send(t, newClient(t, Options{}), address, get("/"))
	defer a.Close()
	for _, want := range []string{"hello", "world"} {
		if a.Buffered() != 0 || a.Ended() {
			t.Errorf("%d bytes are there, ended %v", a.Buffered(), a.Ended())
		}
		more <- struct{}{}
		if err := a.Await(nil); err != nil || a.Buffered() == 0 {
			t.Fatalf("%v, %d bytes are there", err, a.Buffered())
		}
		part := make([]byte, 5)
		if _, err := io.ReadFull(a, part); err != nil || string(part) != want {
			t.Errorf("%q, %v", part, err)
		}
	}
	if err := a.Await(nil); !errors.Is(err, io.EOF) || !a.Ended() {
		t.Errorf("at the end: %v, %v", err, a.Ended())
	}
}

// A part of a chunk's size comes with the chunk before it: that chunk must not wait for the rest.
func TestRead_DoesNotWaitForTheRestOfAChunksSize(t *testing.T) {
	for _, cut := range []string{"5\r\nhello\r|\n5\r\nworld\r\n0\r\n\r\n", "5\r\nhello\r\n|5\r\nworld\r\n0\r\n\r\n", "5\r\nhello\r\n5|\r\nworld\r\n0\r\n\r\n", "5\r\nhello\r\n5;a=|b\r\nworld\r\n0\r\n\r\n", "5\r\nhello\r\n5\r|\nworld\r\n0\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			first, second, _ := strings.Cut(cut, "|")
			c := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
				_, _ = http.ReadRequest(in)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+first)
				time.Sleep(time.Second)
				_, _ = io.WriteString(c, second)
			}))
			defer c.Close()
			began := time.Now()
			a := send(t, c, "pod", get("/"))
			part := make([]byte, 100)
			if n, err := a.Read(part); string(part[:n]) != "hello" || err != nil || time.Since(began) != 0 {
				t.Errorf("%q: %q, %v after %v", cut, part[:n], err, time.Since(began))
			}
			for a.Buffered() > 0 {
				if n, err := a.Read(part); n > 0 || err != nil || time.Since(began) != 0 {
					t.Errorf("%q: %d bytes, %v after %v", cut, n, err, time.Since(began))
				}
			}
			if rest := readAll(t, a); rest != "world" || time.Since(began) != time.Second || len(c.idle()) != 1 {
				t.Errorf("%q: then %q after %v, %d kept", cut, rest, time.Since(began), len(c.idle()))
			}
		})
	}
}

// within tells whether a pod that may be silent for d was given up when it should: a deadline may be
// an eighth late.
func within(d, took time.Duration) bool { return took >= d && took <= d+d/8 }

func TestSilence_EndsTheExchange(t *testing.T) {
	const allowed = 10 * time.Second
	half := func(c net.Conn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		_, _ = in.ReadByte()
	}
	for name, test := range map[string]struct {
		script  func(c net.Conn, in *bufio.Reader)
		request func() *proxy.Outgoing
	}{
		"before the head": {func(_ net.Conn, in *bufio.Reader) { _, _ = http.ReadRequest(in); _, _ = in.ReadByte() }, func() *proxy.Outgoing { return get("/") }},
		"within the head": {func(c net.Conn, in *bufio.Reader) {
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(c, "HTTP/1.1 2")
			_, _ = in.ReadByte()
		}, func() *proxy.Outgoing { return get("/") }},
		"after a body in memory":   {func(_ net.Conn, in *bufio.Reader) { _ = wiretest.ReadRequest(in); _, _ = in.ReadByte() }, func() *proxy.Outgoing { return whole("hello") }},
		"after a body of a stream": {func(_ net.Conn, in *bufio.Reader) { _ = wiretest.ReadRequest(in); _, _ = in.ReadByte() }, func() *proxy.Outgoing { return post(strings.NewReader("hello"), -1) }},
		"it takes no body":         {func(_ net.Conn, in *bufio.Reader) { headLines(in); time.Sleep(time.Hour) }, func() *proxy.Outgoing { return post(bytes.NewReader(make([]byte, 1<<20)), 1<<20) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, r, began := New(piped(Options{}, test.script)), test.request(), time.Now()
				defer c.Close()
				r.Silence = allowed
				err := fail(t, c, "pod", r)
				if !errors.Is(err, proxy.ErrHeadTimeout) || !within(allowed, time.Since(began)) {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				time.Sleep(time.Hour) // until the pod has ended too
			})
		})
	}
	t.Run("within the answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, r, began := New(piped(Options{}, half)), get("/"), time.Now()
			defer c.Close()
			r.Silence = allowed
			a := send(t, c, "pod", r)
			defer a.Close()
			text := make([]byte, 5)
			if _, err := io.ReadFull(a, text); err != nil || string(text) != "hello" {
				t.Errorf("%q, %v", text, err)
			}
			if err := a.Await(nil); !errors.Is(err, proxy.ErrSilent) || !strings.Contains(err.Error(), "10s") || !within(allowed, time.Since(began)) {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
	t.Run("begins anew with each part", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, r, began := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
				_, _ = http.ReadRequest(in)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				for range 5 {
					time.Sleep(9 * time.Second)
					_, _ = io.WriteString(c, "x")
				}
			})), get("/"), time.Now()
			defer c.Close()
			r.Silence = allowed
			a := send(t, c, "pod", r)
			defer a.Close()
			for range 5 {
				if err := a.Await(nil); err != nil {
					t.Fatal(err)
				}
				_, _ = a.Read(make([]byte, 10))
			}
			if err := a.Await(nil); !errors.Is(err, io.EOF) || time.Since(began) != 45*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
}

func TestSilence_IsThatOfEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(c, okHello)
			_, _ = http.ReadRequest(in)
			_, _ = in.ReadByte()
		}))
		defer c.Close()
		for _, allowed := range []time.Duration{time.Millisecond, time.Minute, time.Second} {
			first := get("/")
			first.Silence = time.Hour
			readAll(t, send(t, c, "pod", first)) // whose deadline is still set
			r, began := get("/"), time.Now()
			r.Silence = allowed
			if err := fail(t, c, "pod", r); !errors.Is(err, proxy.ErrHeadTimeout) || !within(allowed, time.Since(began)) {
				t.Errorf("%v after %v, want ErrHeadTimeout after %v", err, time.Since(began), allowed)
			}
		}
	})
}

// A pod that takes a body, or waits for a client that is slow to send it, has no answer yet: its
// time begins when the body is there. The upload here takes many times what a pod may be silent.
func TestSilence_IsNoneWhileTheBodyIsUnderWay(t *testing.T) {
	const allowed = 10 * time.Second
	for name, answersFirst := range map[string]bool{"answers after": false, "answers before": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if answersFirst {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
					}
					_, _ = io.Copy(io.Discard, r.Body)
					time.Sleep(allowed - time.Millisecond) // which it may
					if answersFirst {
						_, _ = io.WriteString(c, "llo")
						return
					}
					_, _ = io.WriteString(c, okHello)
				}))
				defer c.Close()
				in, out := io.Pipe()
				go func() {
					for range 3 {
						time.Sleep(2 * allowed)
						_, _ = out.Write(make([]byte, 100))
					}
					_ = out.Close()
				}()
				r := post(in, -1)
				r.Silence = allowed
				if got := readAll(t, send(t, c, "pod", r)); got != "hello" {
					t.Errorf("answer = %q", got)
				}
			})
		})
	}
}

func TestTunnel_IsHandedOutWhenItWasAskedFor(t *testing.T) {
	closed := make(chan struct{})
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		head := headLines(in)
		if !slices.Contains(head, "Connection: Upgrade") || !slices.Contains(head, "Upgrade: websocket") {
			t.Errorf("asked with %q", head)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
		ping := make([]byte, 4)
		_, _ = io.ReadFull(in, ping)
		_, _ = io.WriteString(c, "pong to "+string(ping))
		_, _ = in.ReadByte()
		close(closed)
	})
	c, r := newClient(t, Options{}), get("/")
	r.Upgrade = "websocket"
	a := send(t, c, address, r)
	if h := a.Head(); h.Status != 101 || h.Upgrade != "websocket" || h.Fields.Named("sec-websocket-accept") != "x" {
		t.Errorf("head %+v", h)
	}
	s := a.Tunnel()
	if got := next(t, s, 5); got != "first" {
		t.Errorf("first came %q", got)
	}
	if _, err := s.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if got := next(t, s, 12); got != "pong to ping" {
		t.Errorf("then came %q", got)
	}
	a.Close()
	<-closed
	if len(c.idle()) > 0 {
		t.Error("a tunnel's connection was kept")
	}
}

// next reads so many bytes of a tunnel.
func next(t *testing.T, s proxy.Stream, n int) string {
	t.Helper()
	var all []byte
	for len(all) < n {
		part, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
		s.Used(len(part))
	}
	return string(all)
}

func TestTrailers_GoBothWays(t *testing.T) {
	trailer := make(chan http.Header, 1)
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		r := wiretest.ReadRequest(in)
		if r == nil {
			return
		}
		trailer <- r.Trailer
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\nContent-Length: 5\r\n\r\n")
	})
	r := post(strings.NewReader("body"), -1)
	r.Add = []message.Field{{Name: "Trailer", Value: "X-Check"}}
	of(r).trailer = message.Fields{{Name: "X-Check", Value: "7"}, {Name: "Authorization", Value: "x", Dropped: true}}
	a := send(t, newClient(t, Options{}), address, r)
	if !a.Head().Chunked || a.Head().Fields.First(message.Trailer) != "X-Sum" {
		t.Error("the trailer is not announced")
	}
	text, err := io.ReadAll(a)
	if got := a.Trailer(); string(text) != "hi" || err != nil || len(got) != 2 || got.Named("x-sum") != "42" || got[0].Dropped || !got[1].Dropped {
		t.Errorf("%q, %v; the client's trailers %+v", text, err, got)
	}
	a.Close()
	if got := <-trailer; got.Get("X-Check") != "7" || len(got) != 1 {
		t.Errorf("the pod's trailers: %v", got)
	}
}
