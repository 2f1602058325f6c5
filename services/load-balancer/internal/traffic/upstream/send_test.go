package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// fieldsOf are fields as a parser gives them.
func fieldsOf(lines ...string) message.Fields {
	var all message.Fields
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		all = append(all, message.Field{Name: name, Value: value, Known: message.KnownAs(name)})
	}
	return all
}

func TestHead_IsWrittenFromTheFieldsAlone(t *testing.T) {
	r := get("/a%20b")
	r.Head = &message.Request{Method: "PUT", Query: "c=d", HasQuery: true, Fields: fieldsOf("accept: a", "Content-Length: 999", "Accept: b", "Host: evil"), Length: 7}
	r.Head.Fields.Drop(message.ContentLength)
	r.Head.Fields.Drop(message.Host)
	r.Add, r.Length = fieldsOf("X-Forwarded-For: 192.0.2.1"), 3
	for _, test := range []struct {
		change func()
		want   string
	}{
		{func() {}, "PUT /a%20b?c=d HTTP/1.1\r\nHost: app.example\r\naccept: a\r\nAccept: b\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 3\r\n\r\n"},
		{func() { r.Length = -1 }, "PUT /a%20b?c=d HTTP/1.1\r\nHost: app.example\r\naccept: a\r\nAccept: b\r\nX-Forwarded-For: 192.0.2.1\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{func() { r.Length, r.Add, r.Head.Query = 0, nil, "" }, "PUT /a%20b? HTTP/1.1\r\nHost: app.example\r\naccept: a\r\nAccept: b\r\nContent-Length: 0\r\n\r\n"},
		{func() { r.Head.Method, r.Head.HasQuery, r.Head.Fields = "GET", false, nil }, "GET /a%20b HTTP/1.1\r\nHost: app.example\r\n\r\n"},
		{func() { r.Upgrade = "websocket" }, "GET /a%20b HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{func() { r.Upgrade, r.Expect, r.Length = "", true, 5 }, "GET /a%20b HTTP/1.1\r\nHost: app.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"},
		{func() { r.Host, r.Expect, r.Length = "", false, 0 }, "GET /a%20b HTTP/1.1\r\nHost: \r\n\r\n"},
	} {
		test.change()
		got := appendHead(nil, r)
		if string(got) != test.want {
			t.Errorf("head = %q\nwant   %q", got, test.want)
		}
		if breaksLines(got, r) {
			t.Errorf("%q was taken for one with line breaks", got)
		}
		if size := headSize(r); size < len(got) {
			t.Errorf("%d bytes were reckoned with for %d", size, len(got))
		}
	}
}

func TestHead_WithALineBreakIsRefused(t *testing.T) {
	for name, change := range map[string]func(*proxy.Outgoing){
		"path":                 func(r *proxy.Outgoing) { r.Path = "/ HTTP/1.1\r\nX: y" },
		"query":                func(r *proxy.Outgoing) { r.Head.Query, r.Head.HasQuery = "a\r", true },
		"host":                 func(r *proxy.Outgoing) { r.Host = "a\nb" },
		"method":               func(r *proxy.Outgoing) { r.Head.Method = "GET\r" },
		"name":                 func(r *proxy.Outgoing) { r.Head.Fields = fieldsOf("X\r\nY: z") },
		"value":                func(r *proxy.Outgoing) { r.Head.Fields = fieldsOf("X: a\r\n\r\nGET /") },
		"value that was added": func(r *proxy.Outgoing) { r.Add = fieldsOf("X: a\nb") },
		"upgrade":              func(r *proxy.Outgoing) { r.Upgrade = "a\r\nX: y" },
		"value, as NUL":        func(r *proxy.Outgoing) { r.Add = fieldsOf("X: a\x00b") },
	} {
		for _, r := range []*proxy.Outgoing{get("/"), whole("x"), post(strings.NewReader("x"), -1)} {
			change(r)
			received := make(chan bool, 1)
			address := wiretest.Pod(t, func(_ net.Conn, in *bufio.Reader) {
				_, err := in.ReadByte()
				received <- err == nil
			})
			c := newClient(t, Options{})
			err := fail(t, c, address, r)
			asked := <-received
			if _, refused := errors.AsType[*message.Error](err); !refused || asked || isUnsent(err) {
				t.Errorf("a line break in the %s: %v, asked %v", name, err, asked)
			}
		}
	}
}

func TestBody_IsFramedAsItCame(t *testing.T) {
	text := strings.Repeat("x", 300_000)
	begun := post(strings.NewReader(text[1000:]), int64(len(text)))
	begun.Begun = []byte(text[:1000])
	begunChunks := post(strings.NewReader(text[1000:]), -1)
	begunChunks.Begun = []byte(text[:1000])
	allBegun := post(strings.NewReader(""), -1)
	allBegun.Begun = []byte(text)
	for name, test := range map[string]struct {
		r       *proxy.Outgoing
		want    string
		chunked bool
		length  string
	}{
		"length":               {post(strings.NewReader(text), int64(len(text))), text, false, "300000"},
		"chunked":              {post(strings.NewReader(text), -1), text, true, ""},
		"begun, of a length":   {begun, text, false, "300000"},
		"begun, in chunks":     {begunChunks, text, true, ""},
		"all begun, in chunks": {allBegun, text, true, ""},
		"empty, in chunks":     {post(strings.NewReader(""), -1), "", true, ""},
		"in memory":            {whole(text[:64<<10]), text[:64<<10], false, "65536"},
		"tiny":                 {whole("x"), "x", false, "1"},
		"byte by byte":         {post(oneByOne{strings.NewReader(text[:2000])}, -1), text[:2000], true, ""},
		"empty POST":           {whole(""), "", false, "0"},
		"GET nothing":          {get("/"), "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			done := make(chan struct{})
			address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
				defer close(done)
				var err error
				if got, err = http.ReadRequest(in); err != nil {
					t.Error(err)
					return
				}
				if body, err = io.ReadAll(got.Body); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(c, okHello)
			})
			readAll(t, send(t, newClient(t, Options{}), address, test.r))
			<-done
			if string(body) != test.want {
				t.Errorf("%d bytes arrived, want %d", len(body), len(test.want))
			}
			if slices.Contains(got.TransferEncoding, "chunked") != test.chunked || got.Header.Get("Content-Length") != test.length {
				t.Errorf("coding %v, length %q", got.TransferEncoding, got.Header.Get("Content-Length"))
			}
		})
	}
}

// oneByOne gives one byte at a time.
type oneByOne struct{ io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.Reader.Read(p[:1]) }

// A part of a body is with the pod before the next one is read.
func TestBody_GoesOnAtOnce(t *testing.T) {
	for _, length := range []int64{-1, 9} {
		in, out := io.Pipe()
		received := make(chan string)
		address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			for range 3 {
				part := make([]byte, 3)
				_, _ = io.ReadFull(r.Body, part)
				received <- string(part)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, okHello)
		})
		go func() {
			for _, part := range []string{"one", "two", "six"} {
				_, _ = out.Write([]byte(part))
				if got := <-received; got != part {
					t.Errorf("heard %q", got)
				}
			}
			_ = out.Close()
		}()
		readAll(t, send(t, newClient(t, Options{}), address, post(in, length)))
	}
}

// watched is a body that tells when it is read first.
type watched struct {
	io.Reader
	once sync.Once
	read chan struct{}
}

func (w *watched) Read(b []byte) (int, error) {
	w.once.Do(func() { close(w.read) })
	return w.Reader.Read(b)
}

func (w *watched) wasRead() bool {
	select {
	case <-w.read:
		return true
	default:
		return false
	}
}

func TestExpect_TheBodyIsReadOnlyWhenThePodWantsIt(t *testing.T) {
	for name, test := range map[string]struct {
		first  string
		wanted bool
		after  time.Duration
	}{
		"continue":        {"HTTP/1.1 100 Continue\r\n\r\n", true, 0},
		"twice continue":  {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", true, 0},
		"refused":         {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", false, 0},
		"never says":      {"", true, continueTimeout},
		"gone without it": {"", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := &watched{Reader: strings.NewReader("hello"), read: make(chan struct{})}
				c := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
					if !slices.Contains(headLines(in), "Expect: 100-continue") {
						t.Error("the pod was not asked with Expect")
					}
					synctest.Wait()
					if body.wasRead() {
						t.Error("the body was read before the pod wanted it")
					}
					if name == "gone without it" {
						return
					}
					_, _ = io.WriteString(c, test.first)
					if test.wanted {
						_, _ = io.CopyN(io.Discard, in, 5)
						_, _ = io.WriteString(c, okHello)
					}
				}))
				defer c.Close()
				r, began := post(body, 5), time.Now()
				r.Expect = true
				if name == "gone without it" {
					if err := fail(t, c, "pod", r); !errors.Is(err, proxy.ErrBroken) || body.wasRead() {
						t.Errorf("%v, read %v", err, body.wasRead())
					}
					return
				}
				readAll(t, send(t, c, "pod", r))
				if body.wasRead() != test.wanted || of(r).continues != btoi(test.wanted) || time.Since(began) != test.after {
					t.Errorf("read %v, told to go on %d times, after %v", body.wasRead(), of(r).continues, time.Since(began))
				}
				if !test.wanted && len(c.idle()) > 0 {
					t.Error("a connection with an unsent body was kept")
				}
			})
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBody_ThatFailsEndsTheExchange(t *testing.T) {
	fault := errors.New("the client stumbled")
	closed := make(chan struct{})
	address := wiretest.Pod(t, func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in); close(closed) })
	r := post(io.MultiReader(strings.NewReader("begin"), failing{fault}), -1)
	err := fail(t, newClient(t, Options{}), address, r)
	if body, ok := errors.AsType[*proxy.BodyError](err); !ok || !errors.Is(body, fault) {
		t.Errorf("error = %v, want a BodyError of the client's fault", err)
	}
	<-closed
}

func TestBody_ThatFailsWithinTheAnswerIsNotThePodsFault(t *testing.T) {
	for name, test := range map[string]struct {
		body  func(in io.Reader) io.Reader
		end   error
		fault bool
	}{
		"it breaks off": {func(in io.Reader) io.Reader { return in }, io.ErrUnexpectedEOF, false},
		"it panics":     {func(in io.Reader) io.Reader { return io.MultiReader(in, panicking{}) }, io.EOF, true},
	} {
		t.Run(name, func(t *testing.T) {
			in, out := io.Pipe()
			closed := make(chan struct{})
			address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
				headLines(in)
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
				_, _ = io.Copy(io.Discard, in)
				close(closed)
			})
			c := newClient(t, Options{})
			a := send(t, c, address, post(test.body(in), -1))
			if _, err := io.ReadFull(a, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			_ = out.CloseWithError(test.end)
			err := a.Await(nil)
			_, body := errors.AsType[*proxy.BodyError](err)
			if fault, ours := errors.AsType[*proxy.FaultError](err); body == test.fault || ours != test.fault || ours && !strings.Contains(string(fault.Stack), "send_test.go") {
				t.Errorf("error = %v", err)
			}
			a.Close()
			<-closed
			if len(c.idle()) > 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("in Read") }

func TestFault_InTheGoroutineThatSendsABodyEndsOneExchange(t *testing.T) {
	closed := make(chan struct{})
	address := wiretest.Pod(t, func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in); close(closed) })
	err := fail(t, newClient(t, Options{}), address, post(io.MultiReader(strings.NewReader("begin"), panicking{}), -1))
	if fault, ok := errors.AsType[*proxy.FaultError](err); !ok || fault.Fault != "in Read" || !strings.Contains(string(fault.Stack), "send_test.go") {
		t.Errorf("error = %v", err)
	}
	<-closed
}

func TestFault_WhileAnAnswerIsAwaitedLeavesNothingOpen(t *testing.T) {
	in, out := io.Pipe()
	closed := make(chan struct{})
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		headLines(in)
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
		_, _ = io.Copy(io.Discard, in)
		close(closed)
	})
	r := post(in, -1)
	of(r).onHint = func() { panic("in Inform") }
	func() {
		defer func() {
			if recover() != "in Inform" {
				t.Error("the fault was lost")
			}
		}()
		_, _ = newClient(t, Options{}).Send(proxy.Destination{Address: address}, r)
	}()
	<-closed
	if _, err := out.Write([]byte("x")); err == nil {
		t.Error("somebody still reads the body")
	}
}

func TestBody_ThatThePodDoesNotWantStillGetsItsAnswer(t *testing.T) {
	address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
		headLines(in)
		_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, in)
	})
	in, out := io.Pipe()
	c := newClient(t, Options{})
	a := send(t, c, address, post(in, -1))
	if status := a.Head().Status; status != http.StatusUnauthorized || readAll(t, a) != "no" {
		t.Errorf("status = %d", status)
	}
	if _, err := out.Write([]byte("x")); err == nil {
		t.Error("somebody still reads the body")
	}
	if len(c.idle()) > 0 {
		t.Error("a connection with half a request on it was kept")
	}
}

// Nobody waits for the last part of a body that a pod does not take, which has answered without it.
func TestBody_WhoseLastPartIsNotTakenHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(piped(Options{}, func(c net.Conn, in *bufio.Reader) {
			headLines(in)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
			time.Sleep(time.Hour)
		}))
		defer c.Close()
		began := time.Now()
		a := send(t, c, "pod", post(lastAtOnce{strings.NewReader("hello")}, 5))
		if text := readAll(t, a); text != "no" || time.Since(began) > noteTime || len(c.idle()) != 0 {
			t.Errorf("%q after %v, %d kept", text, time.Since(began), len(c.idle()))
		}
		time.Sleep(time.Hour) // until the pod has ended too
	})
}

// lastAtOnce tells of its end together with its last bytes.
type lastAtOnce struct{ io.Reader }

func (l lastAtOnce) Read(p []byte) (int, error) {
	n, _ := l.Reader.Read(p)
	return n, io.EOF
}

func TestBody_ThatIsSentWholeKeepsTheConnection(t *testing.T) {
	connections := 0
	address := helloServer(t, &connections)
	c := newClient(t, Options{})
	for range 200 {
		if got := readAll(t, send(t, c, address, post(lastAtOnce{strings.NewReader("hello")}, 5))); got != "hello" {
			t.Fatalf("answer = %q", got)
		}
	}
	if connections > 20 { // one, unless the machine is so busy that the end is not noted in time
		t.Errorf("%d connections for 200 requests", connections)
	}
}

// A pod that answers and closes while a body is written to it has answered all the same.
func TestBody_APodThatStopsReadingMayHaveAnswered(t *testing.T) {
	for range 20 {
		address := wiretest.Pod(t, func(c net.Conn, in *bufio.Reader) {
			headLines(in)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, io.LimitReader(in, 100<<10))
		})
		a := send(t, newClient(t, Options{}), address, post(io.LimitReader(zeros{}, 10<<20), 10<<20))
		if status := a.Head().Status; status != 413 || readAll(t, a) != "no" {
			t.Errorf("status = %d", status)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
