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

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestHead_IsWrittenFromTheFieldsAlone(t *testing.T) {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	r := &outgoing{Request: &proxy.Request{
		Method: http.MethodPut, Target: "/a%20b?c=d", Host: "app.example", ContentLength: 3, Body: strings.NewReader("abc"),
		Header: http.Header{
			"Accept": {"a", "b"}, "Content-Length": {"999"}, "Transfer-Encoding": {"gzip"}, "Host": {"evil"}, "Trailer": {"X"}, "Expect": {"100-continue"},
		},
	}}
	if err := r.writeHead(w); err != nil {
		t.Fatal(err)
	}
	_ = w.Flush()
	want := "PUT /a%20b?c=d HTTP/1.1\r\nHost: app.example\r\nAccept: a\r\nAccept: b\r\nContent-Length: 3\r\n\r\n"
	if out.String() != want {
		t.Errorf("head = %q\nwant   %q", out.String(), want)
	}
}

func TestHead_WithALineBreakIsRefused(t *testing.T) {
	for name, change := range map[string]func(*proxy.Request){
		"target": func(r *proxy.Request) { r.Target = "/ HTTP/1.1\r\nX: y" },
		"host":   func(r *proxy.Request) { r.Host = "a\nb" },
		"method": func(r *proxy.Request) { r.Method = "GET\r" },
		"name":   func(r *proxy.Request) { r.Header["X\r\nY"] = []string{"z"} },
		"value":  func(r *proxy.Request) { r.Header["X"] = []string{"a\r\n\r\nGET /"} },
	} {
		r := get("/")
		change(r)
		if _, err := newClient(t, Options{}).Do(t.Context(), says(t, okHello), r); err == nil {
			t.Errorf("a line break in the %s was sent", name)
		}
	}
}

func TestBody_IsFramedAsItCame(t *testing.T) {
	text := strings.Repeat("x", 100_000)
	for name, r := range map[string]*proxy.Request{
		"length":      post(strings.NewReader(text), int64(len(text))),
		"chunked":     post(strings.NewReader(text), -1),
		"in memory":   {Method: http.MethodPost, Target: "/", Host: "a", Whole: []byte(text)},
		"tiny":        {Method: http.MethodPost, Target: "/", Host: "a", Whole: []byte("x")},
		"empty POST":  {Method: http.MethodPost, Target: "/", Host: "a"},
		"GET nothing": get("/"),
	} {
		t.Run(name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			done := make(chan struct{})
			address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
				got, _ = http.ReadRequest(in)
				body, _ = io.ReadAll(got.Body)
				close(done)
				_, _ = io.WriteString(c, okHello)
			})
			c := newClient(t, Options{})
			read(t, do(t, c, address, r))
			<-done
			want := text
			switch name {
			case "tiny":
				want = "x"
			case "empty POST", "GET nothing":
				want = ""
			}
			if string(body) != want {
				t.Errorf("%d bytes arrived, want %d", len(body), len(want))
			}
			if chunked := slices.Contains(got.TransferEncoding, "chunked"); chunked != (name == "chunked") {
				t.Errorf("chunked = %v", chunked)
			}
			if name == "empty POST" && got.Header.Get("Content-Length") != "0" {
				t.Error("a POST without a body says no length")
			}
		})
	}
}

func TestTrailers_GoBothWays(t *testing.T) {
	var got http.Header
	address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
		r, _ := http.ReadRequest(in)
		_, _ = io.Copy(io.Discard, r.Body)
		got = r.Trailer
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n")
	})
	r := post(strings.NewReader("body"), -1)
	r.Trailer = http.Header{"X-Check": {"7"}}
	a := do(t, newClient(t, Options{}), address, r)
	if _, announced := a.Body.Trailer()["X-Sum"]; !announced {
		t.Error("the trailer is not announced")
	}
	read(t, a)
	if got.Get("X-Check") != "7" || a.Body.Trailer().Get("X-Sum") != "42" {
		t.Errorf("trailers: the pod got %v, the client %v", got, a.Body.Trailer())
	}
}

// watched is a body that tells when it is read first.
type watched struct {
	io.Reader
	read chan struct{}
}

func (w *watched) Read(b []byte) (int, error) {
	select {
	case <-w.read:
	default:
		close(w.read)
	}
	return w.Reader.Read(b)
}

func TestExpect_BodyIsReadOnlyWhenThePodWantsIt(t *testing.T) {
	for name, test := range map[string]struct {
		first  string
		wanted bool
	}{
		"continue":   {"HTTP/1.1 100 Continue\r\n\r\n", true},
		"refused":    {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", false},
		"never says": {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			body := &watched{Reader: strings.NewReader("hello"), read: make(chan struct{})}
			early := make(chan bool, 2)
			address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
				early <- !slices.Contains(headLines(in), "Expect: 100-continue")
				select {
				case <-body.read:
					early <- true
				default:
					early <- false
				}
				_, _ = io.WriteString(c, test.first)
				if test.wanted {
					_, _ = io.CopyN(io.Discard, in, 5)
					_, _ = io.WriteString(c, okHello)
				}
			})
			c := newClient(t, Options{})
			r := post(body, 5)
			r.Expect = true
			a := do(t, c, address, r)
			read(t, a)
			<-r.Sent
			if <-early {
				t.Error("the pod was not asked with Expect")
			}
			if <-early {
				t.Error("the body was read before the pod wanted it")
			}
			wasRead := false
			select {
			case <-body.read:
				wasRead = true
			default:
			}
			if wasRead != test.wanted {
				t.Errorf("read = %v, want %v", wasRead, test.wanted)
			}
			if !test.wanted && c.idle() > 0 {
				t.Error("a connection with an unsent body was kept")
			}
		})
	}
}

func TestBody_ThatFailsEndsTheExchange(t *testing.T) {
	fault := errors.New("the client stumbled")
	address := rawServer(t, func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) })
	r := post(io.MultiReader(strings.NewReader("begin"), failing{fault}), -1)
	_, err := newClient(t, Options{}).Do(t.Context(), address, r)
	body, ok := errors.AsType[*proxy.BodyError](err)
	if !ok || !errors.Is(body, fault) {
		t.Errorf("error = %v, want a BodyError of the client's fault", err)
	}
	<-r.Sent
}

func TestBody_ThatThePodDoesNotWantStillGetsItsAnswer(t *testing.T) {
	address := rawServer(t, func(c net.Conn, in *bufio.Reader) {
		headLines(in)
		_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, in)
	})
	in, out := io.Pipe()
	r := post(in, -1)
	c := newClient(t, Options{})
	a := do(t, c, address, r)
	if a.Status != http.StatusUnauthorized || read(t, a) != "no" {
		t.Errorf("status = %d", a.Status)
	}
	_ = out.CloseWithError(errors.New("over"))
	<-r.Sent
	if c.idle() > 0 {
		t.Error("a connection with half a request on it was kept")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
