package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestDo_KeepsTheConnectionForTheNextRequest(t *testing.T) {
	connections := 0
	address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
		connections++
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			_, _ = io.WriteString(c, okHello)
		}
	})
	c := newClient(t, Options{})
	for range 10 {
		if got := read(t, do(t, c, address, get("/"))); got != "hello" {
			t.Fatalf("answer = %q", got)
		}
	}
	if connections != 1 {
		t.Errorf("%d connections, want 1", connections)
	}
}

func TestDo_NeverSendsTwice(t *testing.T) {
	// Pods that break off in every place where it could tempt to send again. Whatever the client
	// says of a request, the pod must have seen it once at most, and once when it was answered.
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(in *bufio.Reader) bool {
		r, err := http.ReadRequest(in)
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path]++
		return true
	}
	for name, script := range map[string]func(c net.Conn, in *bufio.Reader){
		"closes after each answer, unannounced": func(c net.Conn, in *bufio.Reader) {
			if note(in) {
				_, _ = io.WriteString(c, okHello)
			}
		},
		"closes instead of the second answer": func(c net.Conn, in *bufio.Reader) {
			if note(in) {
				_, _ = io.WriteString(c, okHello)
				note(in)
			}
		},
		"resets instead of the second answer": func(c net.Conn, in *bufio.Reader) {
			if note(in) {
				_, _ = io.WriteString(c, okHello)
				_ = c.(*net.TCPConn).SetLinger(0)
				note(in)
			}
		},
		"never answers": func(_ net.Conn, in *bufio.Reader) { note(in) },
		"half a head":   func(c net.Conn, in *bufio.Reader) { note(in); _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-") },
		"no HTTP":       func(c net.Conn, in *bufio.Reader) { note(in); _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			clear(seen)
			address := rawServer(t, script)
			c := newClient(t, Options{})
			for i := range 300 {
				r := get(fmt.Sprintf("/%d", i))
				if i%3 == 1 {
					r.Method, r.Whole = http.MethodPost, []byte("in memory")
				}
				if i%3 == 2 {
					r.Method, r.Body, r.ContentLength = http.MethodPost, strings.NewReader("streamed"), -1
				}
				a, err := c.Do(t.Context(), address, r)
				if err != nil && !errors.Is(err, proxy.ErrBroken) {
					t.Fatalf("request %d: %v", i, err)
				}
				if err == nil {
					read(t, a)
				}
				if r.Sent != nil {
					<-r.Sent
				}
				mu.Lock()
				n := seen[r.Target]
				mu.Unlock()
				if n > 1 || err == nil && n != 1 {
					t.Fatalf("request %d was seen %d times; error %v", i, n, err)
				}
			}
		})
	}
}

func TestDo_DropsIdleConnectionsThatAreNoGood(t *testing.T) {
	for name, after := range map[string]func(c net.Conn){
		"closed":      func(c net.Conn) { _ = c.Close() },
		"reset":       func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"unsolicited": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			spoil, spoiled := make(chan struct{}), make(chan struct{}, 2)
			connections := make(chan int, 8)
			address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
				connections <- 1
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				_, _ = io.WriteString(c, okHello)
				<-spoil
				after(c)
				spoiled <- struct{}{}
				_, _ = in.ReadByte()
			})
			c := newClient(t, Options{})
			read(t, do(t, c, address, get("/")))
			cn := c.pools[address].idle[0]
			close(spoil)
			<-spoiled
			for cn.alive() { // until what the pod did has arrived here
				runtime.Gosched()
			}
			read(t, do(t, c, address, get("/")))
			if len(connections) != 2 {
				t.Errorf("%d connections, want a new one", len(connections))
			}
		})
	}
}

func TestDo_PodThatTakesNoConnectionWasSentNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = newClient(t, Options{}).Do(t.Context(), l.Addr().String(), get("/"))
	if _, ok := errors.AsType[*proxy.UnsentError](err); !ok {
		t.Errorf("error = %v, want an UnsentError", err)
	}
}

func TestDo_ContextsEndClosesTheConnectionAtOnce(t *testing.T) {
	reached, closed := make(chan struct{}), make(chan struct{})
	address := rawServer(t, func(_ net.Conn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		close(reached)
		_, _ = in.ReadByte() // returns when the client closes
		close(closed)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := newClient(t, Options{}).Do(ctx, address, get("/")); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the context's", err)
	}
	<-closed
}

// silence is a time that a pod may be silent.
func silence(d time.Duration) Options { return Options{Silence: func() time.Duration { return d }} }

func TestDo_PodThatIsSilentIsLeft(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	silent := rawServer(t, func(net.Conn, *bufio.Reader) { <-hang })
	c := newClient(t, silence(20*time.Millisecond))
	if _, err := c.Do(t.Context(), silent, get("/")); !errors.Is(err, proxy.ErrHeadTimeout) {
		t.Errorf("error = %v, want ErrHeadTimeout", err)
	}
	stalled := rawServer(t, func(c net.Conn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		<-hang
	})
	a := do(t, c, stalled, get("/"))
	defer a.Body.Close()
	if text, err := io.ReadAll(a.Body); string(text) != "hello" || !errors.Is(err, proxy.ErrSilent) {
		t.Errorf("%q, %v, want ErrSilent after the first half", text, err)
	}
	deaf := rawServer(t, func(net.Conn, *bufio.Reader) { <-hang })
	if _, err := c.Do(t.Context(), deaf, post(bytes.NewReader(make([]byte, 64<<20)), 64<<20)); !errors.Is(err, proxy.ErrHeadTimeout) {
		t.Errorf("a pod that takes no body: %v, want ErrHeadTimeout", err)
	}
}

func TestDo_SilenceIsAskedForAnewForEachRequest(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	address := rawServer(t, func(net.Conn, *bufio.Reader) { <-hang })
	for _, allowed := range []time.Duration{time.Millisecond, 30 * time.Millisecond} {
		asked := 0
		c := newClient(t, Options{Silence: func() time.Duration { asked++; return allowed }})
		for range 2 {
			began := time.Now()
			if _, err := c.Do(t.Context(), address, get("/")); !errors.Is(err, proxy.ErrHeadTimeout) || time.Since(began) < allowed {
				t.Errorf("%v after %v, want ErrHeadTimeout after %v", err, time.Since(began), allowed)
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times for two requests", asked)
		}
	}
}

// A pod that takes a body, or waits for a client that is slow to send it, has no answer yet: its
// time begins when the body is there. The upload here takes many times what a pod may be silent.
func TestDo_PodIsNotSilentWhileTheBodyIsUnderWay(t *testing.T) {
	const allowed = 100 * time.Millisecond
	for name, answersFirst := range map[string]bool{"answers after": false, "answers before": true} {
		t.Run(name, func(t *testing.T) {
			address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if answersFirst {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
				}
				_, _ = io.Copy(io.Discard, r.Body)
				if answersFirst {
					_, _ = io.WriteString(c, "llo")
					return
				}
				_, _ = io.WriteString(c, okHello)
			})
			c := newClient(t, silence(allowed))
			in, out := io.Pipe()
			go func() {
				ticker := time.NewTicker(allowed * 2)
				defer ticker.Stop()
				for range 3 {
					<-ticker.C
					_, _ = out.Write(make([]byte, 100))
				}
				_ = out.Close()
			}()
			if got := read(t, do(t, c, address, post(in, -1))); got != "hello" {
				t.Errorf("answer = %q", got)
			}
		})
	}
}

func TestDo_AnswersOfEveryShape(t *testing.T) {
	for name, test := range map[string]struct {
		method, answer, body string
		length               int64
		kept                 int
	}{
		"length":              {"GET", okHello, "hello", 5, 1},
		"chunked":             {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", -1, 1},
		"until the end":       {"GET", "HTTP/1.1 200 OK\r\n\r\nhello", "hello", -1, 0},
		"HTTP/1.0":            {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 0},
		"to be closed":        {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", 5, 0},
		"HEAD":                {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", 5, 1},
		"no content":          {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 0, 1},
		"not modified":        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", 0, 1},
		"empty":               {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 0, 1},
		"hints before":        {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + okHello, "hello", 5, 1},
		"more than announced": {"GET", okHello + "HTTP/1.1 200 OK\r\n\r\n", "hello", 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			hang := make(chan struct{})
			address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
				_, _ = http.ReadRequest(in)
				_, _ = io.WriteString(c, test.answer)
				if test.kept > 0 {
					<-hang
				}
			})
			defer close(hang)
			c := newClient(t, Options{})
			r := get("/")
			var hints []int
			r.Method, r.Inform = test.method, func(status int, _ http.Header) { hints = append(hints, status) }
			a := do(t, c, address, r)
			if got := read(t, a); got != test.body || a.ContentLength != test.length {
				t.Errorf("body %q of length %d, want %q of %d", got, a.ContentLength, test.body, test.length)
			}
			if c.idle() != test.kept {
				t.Errorf("%d connections kept, want %d", c.idle(), test.kept)
			}
			if name == "hints before" && !slices.Equal(hints, []int{103}) {
				t.Errorf("hints = %v, want 103 alone", hints)
			}
		})
	}
}

func TestDo_RefusesAnswersThatAreNoAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"endless head":           "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\n",
		"endless hints":          strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100) + okHello,
		"a switch not asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
		"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"a signed length":        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
		"nothing":                "",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{})
			a, err := c.Do(t.Context(), says(t, answer), get("/"))
			if !errors.Is(err, proxy.ErrBroken) {
				t.Errorf("error = %v, want ErrBroken", err)
			}
			if a != nil {
				a.Body.Close()
			}
			if c.idle() != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestDo_ShortBodyIsAnError(t *testing.T) {
	a := do(t, newClient(t, Options{}), says(t, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"), get("/"))
	defer a.Body.Close()
	if _, err := io.ReadAll(a.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error = %v, want an unexpected end", err)
	}
}

func TestIdle_IsBoundedAndSwept(t *testing.T) {
	address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			_, _ = io.WriteString(c, okHello)
		}
	})
	c := newClient(t, Options{KeepConnections: 2, KeepAlive: 30 * time.Millisecond})
	answers := make([]*proxy.Answer, 0, 5)
	for range 5 {
		answers = append(answers, do(t, c, address, get("/")))
	}
	for _, a := range answers {
		read(t, a)
	}
	if c.idle() != 2 {
		t.Errorf("%d connections kept, want 2", c.idle())
	}
	deadline := time.Now().Add(20 * time.Second)
	for c.idle() > 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if c.idle() > 0 {
		t.Error("idle connections were never closed")
	}
}
