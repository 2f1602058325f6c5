package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// Early answers go to the client beside the 100 Continue that another goroutine writes: each is whole,
// and the real answer comes last.
func TestInform_HintsAndContinueAreNeverMixedUp(t *testing.T) {
	const rounds = 100
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("a", 300) + ">\r\n\r\n"
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"+hint+hint)
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, hint+okHello)
		}
	}))
	size := 70000 // more than is gathered
	for name, head := range map[string]string{
		"expecting":     fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", size),
		"of a length":   fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
		"in chunks":     fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
		"in two chunks": fmt.Sprintf("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size),
	} {
		t.Run(name, func(t *testing.T) {
			w := b.dial()
			defer func() { _ = w.Close() }()
			for range rounds {
				w.say("POST /shop HTTP/1.1\r\nHost: a\r\n" + head)
				w.say(strings.Repeat("x", size))
				if strings.Contains(head, "chunked") {
					w.say("\r\n0\r\n\r\n")
				}
				hints, continues := 0, 0
				for {
					r, body := w.whole()
					if r.StatusCode == http.StatusOK {
						if body != "hello" {
							t.Fatalf("the answer is %q", body)
						}
						break
					}
					hints += btoi(r.StatusCode == http.StatusEarlyHints && r.Header.Get("Link") == "</"+strings.Repeat("a", 300)+">" && len(r.Header) == 1)
					continues += btoi(r.StatusCode == http.StatusContinue && len(r.Header) == 0)
				}
				if hints != 3 || continues != btoi(strings.Contains(head, "Expect")) {
					t.Fatalf("%d hints and %d continues came", hints, continues)
				}
				if r := b.settled(); r.Status != 200 || r.RequestBytes != int64(size) || r.Error != "" {
					t.Fatalf("the log has %+v", r)
				}
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestInform_HTTP10GetsNone(t *testing.T) {
	b := newBed(t, pod(t, answering("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+okHello)))
	w := b.dial().say("GET /shop HTTP/1.0\r\n\r\n")
	if r, body := w.whole(); r.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("%+v", r)
	}
	w.ends()
	b.settled()
}

// Bytes of a body are never the next request: when the answer comes before them the connection is
// closed, and says so.
func TestEarlyAnswer_TheRestOfTheBodyIsNoRequest(t *testing.T) {
	for round := range 40 {
		paths := make(chan string, 10)
		b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			paths <- r.URL.Path
			_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
			_, _ = io.Copy(io.Discard, in)
		}))
		head := "Content-Length: 200000\r\n\r\n"
		if round%2 == 1 {
			head = "Transfer-Encoding: chunked\r\n\r\n30d40\r\n"
		}
		w := b.dial().say("POST /shop HTTP/1.1\r\nHost: a\r\n" + head + strings.Repeat("x", 70000))
		if r, body := w.whole(); r.StatusCode != http.StatusUnauthorized || body != "no" || !r.Close {
			t.Fatalf("%+v %q", r, body)
		}
		_, _ = io.WriteString(w.Conn, "GET /shop/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
		w.ends()
		if r := b.settled(); r.Status != 401 || len(paths) != 1 {
			t.Errorf("%d requests reached the pod; the log has %+v", len(paths), r)
		}
		_ = w.Close()
	}
}

func TestRefusal_WithABodyThatNeverComesIsAnsweredAtOnce(t *testing.T) {
	b := newBed(t, "")
	for _, head := range []string{"Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\nhello"} {
		w := b.dial().say("POST /none HTTP/1.1\r\nHost: a\r\n" + head)
		if r, _ := w.whole(); r.StatusCode != http.StatusNotFound || !r.Close {
			t.Errorf("%q: %+v", head, r)
		}
		w.ends()
		b.settled()
		_ = w.Close()
	}
}

// Each part of an answer is with the client before the pod sends the next one, however it is framed
// and wherever it is cut.
func TestTrickle_IsPassedOnAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		parts []string // that the pod sends
		want  []string // that the client has then
	}{
		"a length":              {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", "a", "bc", "def"}, []string{"", "a", "bc", "def"}},
		"to the end":            {[]string{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na", "b"}, []string{"1\r\na\r\n", "1\r\nb\r\n"}},
		"chunks":                {[]string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "2\r\nbc", "\r\n3\r\ndef\r\n"}, []string{"", "1\r\na\r\n", "2\r\nbc\r\n", "3\r\ndef\r\n"}},
		"a chunk that trickles": {[]string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na", "b", "c"}, []string{"1\r\na\r\n", "1\r\nb\r\n", "1\r\nc\r\n"}},
		"a size that is cut":    {[]string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3", "\r\ndef\r\n"}, []string{"3\r\nabc\r\n", "3\r\ndef\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			more := make(chan struct{})
			b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
				_ = wiretest.ReadRequest(in)
				for _, part := range test.parts {
					_, _ = io.WriteString(c, part)
					<-more
				}
			}))
			w := b.dial().say("GET /shop HTTP/1.1\r\nHost: a\r\n\r\n")
			for { // the head
				line, err := w.in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if line == "\r\n" {
					break
				}
			}
			for _, want := range test.want {
				w.read(want)
				more <- struct{}{}
			}
			_ = w.Close()
			b.settled()
		})
	}
}

// What came of an answer is the client's, and it sees that the rest does not come.
func TestCut_TheClientHasWhatCameAndSeesTheCut(t *testing.T) {
	for name, test := range map[string]struct {
		answer, body string
		reset        bool
	}{
		"a head alone":      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", false},
		"some bytes":        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "he", false},
		"chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", "he", false},
		"within a chunk":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "he", false},
		"bad chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nxyz\r\n", "he", false},
		"less than a page":  {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 3000), strings.Repeat("x", 3000), false},
		"more than a page":  {"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + strings.Repeat("x", 300000), strings.Repeat("x", 300000), false},
		"a trailer":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\nX-", "he", false},
		"nothing of a head": {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
				if wiretest.ReadRequest(in) != nil {
					_, _ = io.WriteString(c, test.answer)
				}
			}))
			w := b.dial().say("POST /shop HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			r := w.answer()
			if test.answer == "" {
				if r.StatusCode != http.StatusBadGateway {
					t.Errorf("%+v", r)
				}
				b.settled()
				return
			}
			body, err := io.ReadAll(r.Body)
			if r.StatusCode != http.StatusOK || string(body) != test.body || err == nil {
				t.Errorf("%d, %d bytes, %v", r.StatusCode, len(body), err)
			}
			if got := b.settled(); got.Status != 200 || got.Error == "" || got.ResponseBytes != int64(len(test.body)) {
				t.Errorf("the log has %+v", got)
			}
		})
	}
}

func TestKept_ManyRequestsGoOverOneConnection(t *testing.T) {
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		for {
			r := wiretest.ReadRequest(in)
			if r == nil {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.URL.Path), r.URL.Path)
		}
	}))
	w := b.dial()
	for i := range 100 {
		path := "/" + strings.Repeat("x", i)
		switch i % 4 {
		case 0:
			w.say("GET /shop" + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		case 1:
			w.say("POST /shop" + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
		case 2:
			w.say("POST /shop" + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		case 3:
			w.say("PUT /shop" + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000))
		}
		if r, body := w.whole(); r.StatusCode != http.StatusOK || body != path || r.Close {
			t.Fatalf("request %d: %+v %q", i, r, body)
		}
		b.settled()
	}
}

func TestTrailers_AreFilteredAndGoBothWays(t *testing.T) {
	trailers := make(chan http.Header, 1)
	b := newBed(t, pod(t, func(c net.Conn, in *bufio.Reader) {
		r := wiretest.ReadRequest(in)
		if r == nil {
			return
		}
		trailers <- r.Trailer
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nSet-Cookie: a=1\r\n\r\n")
	}))
	w := b.dial().say("POST /shop HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n5\r\nhello\r\n0\r\nX-Check: 7\r\nAuthorization: x\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 5\r\n\r\n")
	r, body := w.whole()
	if body != "hello" || r.Trailer.Get("X-Sum") != "42" || len(r.Trailer) != 1 {
		t.Errorf("%q, trailers %v", body, r.Trailer)
	}
	if got := <-trailers; got.Get("X-Check") != "7" || len(got) != 1 {
		t.Errorf("the pod's trailers: %v", got)
	}
	b.settled()
}

// When this machine has nothing left to give, the pods are as good as before.
func TestLocalLimit_IsOurFault(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		b := newBed(t, "10.0.0.1:80", func(p *plan) {
			p.upstream.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)}
			}
			p.route.Endpoints = append(p.route.Endpoints, routing.Endpoint{Pod: "shop-2", Address: "10.0.0.2:80", Ready: true})
		})
		w := b.dial().say("GET /shop HTTP/1.1\r\nHost: a\r\n\r\n")
		if r, body := w.whole(); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(body, "no connection left") {
			t.Errorf("%v: %+v %s", errno, r, body)
		}
		if r := b.settled(); r.Tries != 1 {
			t.Errorf("%v: %d tries", errno, r.Tries)
		}
		for _, p := range b.d.Snapshots()[0].Pods {
			if !p.Usable {
				t.Errorf("%v: %s: %s", errno, p.Name, p.Why)
			}
		}
	}
}

// spoiled is an access log that panics at one path.
type spoiled struct{ recorded }

func (s spoiled) Add(r *accesslog.Record) {
	s.recorded.Add(r)
	if r.Path == "/shop/panic" {
		panic("the log")
	}
}

func TestFault_TheNextRequestIsServed(t *testing.T) {
	b := newBed(t, pod(t, answering(okHello)), func(p *plan) { p.proxy.AccessLog = spoiled{p.proxy.AccessLog.(recorded)} })
	w := b.dial()
	for range 5 {
		for _, path := range []string{"/shop/panic", "/shop"} {
			w.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if r, body := w.whole(); r.StatusCode != http.StatusOK || body != "hello" {
				t.Fatalf("%+v %q", r, body)
			}
			b.settled()
		}
	}
}
