package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

func TestSend_KeepsTheConnectionForTheNextRequest(t *testing.T) {
	connections := 0
	address := helloServer(t, &connections)
	c := newClient(t, Options{})
	for i := range 20 {
		r := get("/")
		if i%2 == 1 {
			r = whole("a body in memory")
		}
		if got := readAll(t, send(t, c, address, r)); got != "hello" {
			t.Fatalf("answer = %q", got)
		}
	}
	if connections != 1 {
		t.Errorf("%d connections, want 1", connections)
	}
}

// Pods that break off in every place where it could tempt to send again. Whatever the client says of
// a request, the pod must have seen it once at most, and once when it was answered; only what changes
// nothing may be seen twice.
func TestSend_NeverSendsTwice(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(in *bufio.Reader) bool {
		r := wiretest.ReadRequest(in)
		if r == nil {
			return false
		}
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
			address := wiretest.Pod(t, script)
			c := newClient(t, Options{})
			for i := range 300 {
				r, most := get(""), 2
				switch i % 3 {
				case 1:
					r, most = whole("in memory"), 1
				case 2:
					r, most = post(strings.NewReader("streamed"), -1), 1
				}
				r.Path = fmt.Sprintf("/%d", i)
				a, err := c.Send(proxy.Destination{Address: address}, r)
				if err != nil && !errors.Is(err, proxy.ErrBroken) {
					t.Fatalf("request %d: %v", i, err)
				}
				if err == nil {
					readAll(t, a)
				}
				mu.Lock()
				n := seen[r.Path]
				mu.Unlock()
				if n > most || err == nil && n < 1 {
					t.Fatalf("request %d was seen %d times; error %v", i, n, err)
				}
			}
		})
	}
}

// A pod that closes a kept connection in the moment in which a request comes (it said how long it
// keeps them, or did not) has not answered it: what changes nothing is asked once more.
func TestSend_OnceMoreWhenAUsedConnectionEndsWithoutAByte(t *testing.T) {
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }
	for name, test := range map[string]struct {
		request func() *proxy.Outgoing
		ends    func(c net.Conn) // the used connection, once the request has come
		again   bool
	}{
		"GET":                 {func() *proxy.Outgoing { return get("/") }, func(net.Conn) {}, true},
		"GET, reset":          {func() *proxy.Outgoing { return get("/") }, reset, true},
		"GET with a body":     {func() *proxy.Outgoing { r := whole("x"); r.Head.Method, r.Resend = "GET", true; return r }, func(net.Conn) {}, false},
		"GET, a byte came":    {func() *proxy.Outgoing { return get("/") }, func(c net.Conn) { _, _ = io.WriteString(c, "H") }, false},
		"GET, nonsense came":  {func() *proxy.Outgoing { return get("/") }, func(c net.Conn) { _, _ = io.WriteString(c, "left over\r\n\r\n") }, true},
		"POST, nonsense came": {func() *proxy.Outgoing { return whole("x") }, func(c net.Conn) { _, _ = io.WriteString(c, "left over\r\n\r\n") }, false},
		"GET, a hint came":    {func() *proxy.Outgoing { return get("/") }, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n") }, false},
		"GET of a stream":     {func() *proxy.Outgoing { r := post(strings.NewReader("x"), 1); r.Resend = true; return r }, func(net.Conn) {}, false},
		"POST":                {func() *proxy.Outgoing { return whole("x") }, func(net.Conn) {}, false},
		"POST, reset":         {func() *proxy.Outgoing { return whole("x") }, reset, false},
		"POST without a body": {func() *proxy.Outgoing { return whole("") }, func(net.Conn) {}, false},
		"POST of a stream":    {func() *proxy.Outgoing { return post(strings.NewReader("x"), -1) }, func(net.Conn) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var got []int // over which connection each request came
			connections := 0
			address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
				mu.Lock()
				connections++
				n := connections
				mu.Unlock()
				for i := 0; wiretest.ReadRequest(in) != nil; i++ {
					mu.Lock()
					got = append(got, n)
					mu.Unlock()
					if n == 1 && i == 1 {
						test.ends(c)
						return
					}
					_, _ = io.WriteString(c, okHello)
				}
			})
			c := newClient(t, Options{})
			readAll(t, send(t, c, address, get("/")))
			a, err := c.Send(proxy.Destination{Address: address}, test.request())
			if (err == nil) != test.again || err != nil && !errors.Is(err, proxy.ErrBroken) {
				t.Fatalf("error = %v", err)
			}
			if err == nil {
				readAll(t, a)
			}
			want := []int{1, 1}
			if test.again {
				want = []int{1, 1, 2}
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got, want) {
				t.Errorf("requests came over the connections %v, want %v", got, want)
			}
		})
	}
}

func TestSend_OnceMoreIsOnce(t *testing.T) {
	requests := make(chan struct{}, 10)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		for wiretest.ReadRequest(in) != nil {
			requests <- struct{}{}
			select {
			case <-first:
				_, _ = io.WriteString(c, okHello)
			default:
				return
			}
		}
	})
	c := newClient(t, Options{})
	readAll(t, send(t, c, address, get("/")))
	if err := fail(t, c, address, get("/")); !errors.Is(err, proxy.ErrBroken) || isUnsent(err) {
		t.Errorf("error = %v", err)
	}
	if len(requests) != 3 {
		t.Errorf("%d requests came, want the first, one that was lost, and one more", len(requests))
	}
}

func TestSend_DropsIdleConnectionsThatAreNoGood(t *testing.T) {
	for name, after := range map[string]func(c net.Conn){
		"closed":      func(c net.Conn) { _ = c.Close() },
		"reset":       func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"unsolicited": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		for kind, request := range map[string]func() *proxy.Outgoing{
			"GET": func() *proxy.Outgoing { return get("/") }, "POST": func() *proxy.Outgoing { return whole("x") }, "stream": func() *proxy.Outgoing { return post(strings.NewReader("x"), -1) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				spoil := make(chan struct{})
				connections := make(chan int, 8)
				address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
					connections <- 1
					if wiretest.ReadRequest(in) == nil {
						return
					}
					_, _ = io.WriteString(c, okHello)
					<-spoil
					after(c)
					_, _ = in.ReadByte()
				})
				c := newClient(t, Options{})
				readAll(t, send(t, c, address, get("/")))
				cn := c.idle()[0]
				close(spoil)
				awaitNoise(cn)
				if readAll(t, send(t, c, address, request())) != "hello" || len(connections) != 2 {
					t.Errorf("%d connections, want a new one", len(connections))
				}
			})
		}
	}
}

// What a pod says before it was asked answers nothing.
func TestSend_APodThatSpeaksFirstWasSentNothing(t *testing.T) {
	for name, script := range map[string]func(c net.Conn){
		"a greeting": func(c net.Conn) { _, _ = io.WriteString(c, "220 mail ready\r\n") },
		"an answer":  func(c net.Conn) { _, _ = io.WriteString(c, okHello) },
		"its end":    func(net.Conn) {},
	} {
		asked := make(chan bool, 1)
		address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
			script(c)
			_ = c.(*net.TCPConn).CloseWrite()
			_, err := in.ReadByte()
			asked <- err == nil
		})
		c := newClient(t, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				awaitNoise(&conn{link: link.New(nc)})
			}
			return nc, err
		}})
		if err := fail(t, c, address, whole("x")); !isUnsent(err) {
			t.Errorf("%s: error = %v", name, err)
		}
		if <-asked {
			t.Errorf("%s: it was asked", name)
		}
	}
}

func TestSend_APodThatTakesNoConnectionWasSentNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for _, r := range []*proxy.Outgoing{get("/"), whole("x"), post(strings.NewReader("x"), -1)} {
		err := fail(t, newClient(t, Options{}), l.Addr().String(), r)
		if unsent, ok := errors.AsType[*proxy.UnsentError](err); !ok || !unsent.Refused || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error = %v, want an UnsentError of a pod that refused", err)
		}
	}
}

func TestDial_LastsAsLongAsItMay(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		left    time.Duration
		want    time.Duration
	}{
		"by default":             {Options{}, 0, time.Second},
		"as the options say":     {Options{DialTimeout: 3 * time.Second}, 0, 3 * time.Second},
		"as much as is left":     {Options{}, 300 * time.Millisecond, 300 * time.Millisecond},
		"never longer for that":  {Options{}, time.Minute, time.Second},
		"nothing is left to say": {Options{}, -time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.options.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { // a pod that swallows SYNs
					<-ctx.Done()
					return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
				}
				c, r, began := newClient(t, test.options), get("/"), time.Now()
				r.Left = test.left
				if err := fail(t, c, "10.0.0.1:80", r); !isUnsent(err) || time.Since(began) != test.want {
					t.Errorf("%v after %v, want %v", err, time.Since(began), test.want)
				}
			})
		})
	}
}

func TestDial_AFaultOfThisMachineSaysNothingOfThePod(t *testing.T) {
	for errno, local := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.EADDRNOTAVAIL: true, syscall.ENOBUFS: true, syscall.ENOMEM: true,
		syscall.ECONNREFUSED: false, syscall.ETIMEDOUT: false, syscall.EHOSTUNREACH: false, syscall.ENETUNREACH: false, syscall.ECONNRESET: false,
	} {
		c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
		}})
		err := fail(t, c, "10.0.0.1:80", get("/"))
		_, isLocal := errors.AsType[*proxy.LocalError](err)
		if isLocal != local || isUnsent(err) == local || !errors.Is(err, errno) {
			t.Errorf("%v: error = %v", errno, err)
		}
	}
}

func TestDial_AFaultOfOursEndsOneExchange(t *testing.T) {
	c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { panic("in Dial") }})
	err := fail(t, c, "10.0.0.1:80", get("/"))
	if fault, ok := errors.AsType[*proxy.FaultError](err); !ok || fault.Fault != "in Dial" || !strings.Contains(string(fault.Stack), "client_test.go") {
		t.Errorf("error = %v", err)
	}
}

// stuck is a connection whose writes fail before the first byte.
type stuck struct {
	net.Conn
	err error
}

func (s stuck) Write([]byte) (int, error) { return 0, s.err }

func TestSend_WhatFailsBeforeTheFirstByteWasNotSent(t *testing.T) {
	for errno, local := range map[syscall.Errno]bool{syscall.ENOBUFS: true, syscall.EPIPE: false, syscall.ECONNRESET: false} {
		for _, r := range []*proxy.Outgoing{get("/"), post(strings.NewReader("x"), -1)} {
			here, there := net.Pipe()
			c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return stuck{here, errno}, nil }})
			err := fail(t, c, "10.0.0.1:80", r)
			if _, isLocal := errors.AsType[*proxy.LocalError](err); isLocal != local || isUnsent(err) == local {
				t.Errorf("%v: error = %v", errno, err)
			}
			if _, err := there.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Error("the connection was left open")
			}
		}
	}
}

// A client that goes has the pod's connection closed at once, wherever the exchange is.
func TestSend_AClientThatGoesClosesTheConnection(t *testing.T) {
	t.Run("while it is made", func(t *testing.T) {
		r := get("/")
		c := newClient(t, Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			of(r).leave()
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if err := fail(t, c, "10.0.0.1:80", r); !errors.Is(err, proxy.ErrGone) {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("when it has gone before", func(t *testing.T) {
		r := get("/")
		of(r).leave()
		if err := fail(t, newClient(t, Options{}), says(t, okHello), r); !errors.Is(err, proxy.ErrGone) {
			t.Errorf("error = %v", err)
		}
	})
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	for name, r := range map[string]*proxy.Outgoing{"before the head": get("/"), "before the head, with a body": whole("x"), "while the body comes": post(in, -1)} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			address := wiretest.Pod(t, func(_ net.Conn, in *bufio.Reader) {
				headLines(in)
				of(r).leave()
				_, _ = io.Copy(io.Discard, in)
				close(closed)
			})
			if err := fail(t, newClient(t, Options{}), address, r); !errors.Is(err, proxy.ErrGone) {
				t.Errorf("error = %v", err)
			}
			<-closed
		})
	}
	t.Run("within the answer", func(t *testing.T) {
		closed := make(chan struct{})
		address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
			wiretest.ReadRequest(in)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhel")
			_, _ = io.Copy(io.Discard, in)
			close(closed)
		})
		c, r := newClient(t, Options{}), get("/")
		a := send(t, c, address, r)
		if _, err := io.ReadFull(a, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		of(r).leave()
		<-closed
		if err := a.Await(nil); err == nil {
			t.Error("the answer goes on")
		}
		a.Close()
		if len(c.idle()) > 0 {
			t.Error("the connection was kept")
		}
	})
}

func TestKeepAlive_HintsAreHonoured(t *testing.T) {
	for hint, keeps := range map[string]time.Duration{
		"": 4 * time.Second, "Keep-Alive: timeout=1\r\n": 500 * time.Millisecond, "Keep-Alive: max=5, timeout=4\r\n": 2 * time.Second,
		"keep-alive: TIMEOUT = 2\r\n": time.Second, "Keep-Alive: timeout=600\r\n": 4 * time.Second, "Keep-Alive: timeout=x\r\n": 4 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			connections := 0
			c := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
				connections++
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+hint+"Content-Length: 5\r\n\r\nhello")
				}
			}))
			defer c.Close()
			readAll(t, send(t, c, "pod", get("/")))
			time.Sleep(keeps - time.Millisecond)
			readAll(t, send(t, c, "pod", get("/")))
			if connections != 1 {
				t.Errorf("%q: a connection was not used again just before", hint)
			}
			time.Sleep(keeps + time.Millisecond)
			readAll(t, send(t, c, "pod", get("/")))
			if connections != 2 {
				t.Errorf("%q: %d connections just after", hint, connections)
			}
		})
	}
}

func TestIdle_IsBoundedSweptAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		c := New(piped(Options{KeepConnections: 2}, func(c net.Conn, in *bufio.Reader) {
			open.Add(1)
			defer open.Add(-1)
			for {
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				_, _ = io.WriteString(c, okHello)
			}
		}))
		answers := make([]proxy.Answer, 0, 10)
		for i := range 10 {
			answers = append(answers, send(t, c, []string{"a", "b"}[i%2], get("/")))
		}
		for _, a := range answers {
			readAll(t, a)
		}
		synctest.Wait()
		if len(c.idle()) != 4 || open.Load() != 4 {
			t.Errorf("%d connections kept, %d open, want 2 for each pod", len(c.idle()), open.Load())
		}
		time.Sleep(3 * time.Second)
		readAll(t, send(t, c, "a", get("/"))) // one that is used stays
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(c.idle()) != 1 || open.Load() != 1 {
			t.Errorf("%d connections kept, %d open after some time", len(c.idle()), open.Load())
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if _, known := c.pools.Load("a"); len(c.idle()) != 0 || open.Load() != 0 || known {
			t.Errorf("%d connections kept, %d open after a long time; the address is known %v", len(c.idle()), open.Load(), known)
		}
		readAll(t, send(t, c, "a", get("/"))) // and it goes on
		late := send(t, c, "a", get("/"))
		c.Close()
		readAll(t, late)
		synctest.Wait()
		if len(c.idle()) != 0 || open.Load() != 0 {
			t.Errorf("%d connections kept, %d open after the end", len(c.idle()), open.Load())
		}
	})
}

func TestIdle_ManyAtOnceNeverShareAConnection(t *testing.T) {
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		for {
			r := wiretest.ReadRequest(in)
			if r == nil {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.URL.Path), r.URL.Path)
		}
	})
	c := newClient(t, Options{KeepAlive: 5 * time.Millisecond, KeepConnections: 3}) // so that the sweeper is busy too
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 100 {
				path := fmt.Sprintf("/%d/%d", g, i)
				a, err := c.Send(proxy.Destination{Address: address}, get(path))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := io.ReadAll(a); string(got) != path || err != nil {
					t.Errorf("asked for %s, got %s, %v", path, got, err)
				}
				a.Close()
			}
		})
	}
	all.Wait()
}
