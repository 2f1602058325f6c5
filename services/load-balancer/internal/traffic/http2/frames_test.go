package http2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// peer speaks HTTP/2 frame by frame.
type peer struct {
	*h2.Framer
	t    *testing.T
	conn net.Conn
	head bytes.Buffer
	hpack.Encoder
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	p := &peer{t: t, conn: conn, Framer: h2.NewFramer(conn, conn)}
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.Encoder = *hpack.NewEncoder(&p.head)
	t.Cleanup(func() { _ = conn.Close() })
	return p
}

// client begins a connection to the front.
func (f *front) client(t *testing.T) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.must(io.WriteString(conn, h2.ClientPreface))
	p.try(p.WriteSettings())
	return p
}

func (p *peer) must(_ int, err error) { p.t.Helper(); p.try(err) }

func (p *peer) try(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// block encodes fields: name, value, name, value.
func (p *peer) block(fields ...string) []byte {
	p.t.Helper()
	p.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.try(p.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(p.head.Bytes())
}

// headers sends a head.
func (p *peer) headers(stream uint32, end bool, fields ...string) {
	p.t.Helper()
	p.try(p.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end}))
}

// request sends the head of a request.
func (p *peer) request(stream uint32, end bool, method, path string, more ...string) {
	p.t.Helper()
	p.headers(stream, end, append([]string{":method", method, ":scheme", "http", ":authority", "a.example", ":path", path}, more...)...)
}

// next is the next frame of a kind; others are passed over.
func next[F h2.Frame](p *peer) F {
	p.t.Helper()
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			p.t.Fatalf("%v, awaiting %T", err, *new(F))
		}
		if f, ok := frame.(F); ok {
			return f
		}
	}
}

// status is that of the next head.
func (p *peer) status() string {
	p.t.Helper()
	return next[*h2.MetaHeadersFrame](p).PseudoValue("status")
}

func field(f *h2.MetaHeadersFrame, name string) string {
	for _, h := range f.Fields {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// handler is the proxy's place.
type handler func(c proxy.Client, r *message.Request)

func (h handler) Serve(c proxy.Client, r *message.Request) { h(c, r) }

func (h handler) Malformed(c proxy.Client, _ *message.Request, err error) {
	reply(c, 400, err.Error())
}

func reply(c proxy.Client, status int, body string) {
	_ = c.Begin(&proxy.Head{Status: status, Length: int64(len(body)), Add: []message.Field{{Name: "X-Own", Value: "1"}}})
	if body != "" {
		n := copy(c.Space(), body)
		_ = c.Commit(n)
	}
	_ = c.End(nil)
}

func serve(t *testing.T, h handler) *front {
	t.Helper()
	return newFront(t, func(o *Options) { o.Handler = h })
}

func TestServer_AHeadArrivesAsItWasSent(t *testing.T) {
	heads := make(chan message.Request, 1)
	f := serve(t, func(c proxy.Client, r *message.Request) {
		keep := *r
		keep.Fields = append(message.Fields(nil), r.Fields...)
		heads <- keep
		reply(c, 204, "")
	})
	p := f.client(t)
	p.request(1, true, "GET", "/a%2Fb//..;c?x=%20&y", "x-one", "1", "x-two", "a", "x-two", "b", "cookie", "a=1", "cookie", "b=2", "te", "trailers")
	if got := p.status(); got != "204" {
		t.Fatal(got)
	}
	r := <-heads
	if r.Method != http.MethodGet || r.Target != "/a%2Fb//..;c?x=%20&y" || r.Path != "/a%2Fb//..;c" || r.Query != "x=%20&y" || r.Host != "a.example" ||
		r.Version != message.HTTP2 || r.Length != 0 || !r.Trailers || r.Close || r.Upgrade != "" {
		t.Errorf("%+v", r)
	}
	var got []string
	for _, f := range r.Fields {
		got = append(got, f.Name+": "+f.Value)
	}
	if want := "Host: a.example|Cookie: a=1; b=2|Te: trailers|X-One: 1|X-Two: a|X-Two: b"; strings.Join(got, "|") != want {
		t.Errorf("%s", strings.Join(got, "|"))
	}
}

func TestServer_WhatHTTP1RefusesIsRefused(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 200, "served") })
	for name, c := range map[string]struct {
		path   string
		more   []string
		answer string // a status, or RST
	}{
		"a blank in the path":               {"/a b", nil, "400"},
		"a user in the host":                {"/", []string{":authority", "u@a"}, "RST"},
		"another host":                      {"/", []string{"host", "b.example"}, "400"},
		"the same host":                     {"/", []string{"host", "a.example"}, "200"},
		"a length that is none":             {"/", []string{"content-length", "+0"}, "400"},
		"a length without a body":           {"/", []string{"content-length", "5"}, "400"},
		"a control character":               {"/", []string{"x-a", "a\x01b"}, "RST"},
		"a line end":                        {"/", []string{"x-a", "a\r\nb: c"}, "RST"},
		"a line end in the path":            {"/a\r\nb", nil, "RST"},
		"an upper-case name":                {"/", []string{"X-A", "a"}, "RST"},
		"a field of one connection":         {"/", []string{"connection", "close"}, "400"},
		"a field of framing":                {"/", []string{"transfer-encoding", "chunked"}, "400"},
		"a change of protocol":              {"/", []string{"upgrade", "websocket"}, "400"},
		"no path":                           {"", nil, "RST"},
		"a path that is none":               {"x", nil, "RST"},
		"a target of another form":          {"http://b/", nil, "400"},
		"a pseudo field that is not known":  {"/", []string{":x", "y"}, "RST"},
		"a forged field is not passed on":   {"/", []string{"x_forwarded_for", "1"}, "200"},
		"OPTIONS *, which is not the path":  {"*", nil, "400"},
		"more fields than there may be":     {"/", strings.Split(strings.Repeat("x-a|b|", 300)+"x-a|b", "|"), "400"},
		"what is in order, and only odd":    {"/~!$&'()*+,;=:@", []string{"x", ""}, "200"},
		"a host that HTTP/1.1 lets through": {"/", []string{"host", ""}, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.client(t)
			fields := []string{":method", "GET", ":scheme", "http", ":path", c.path}
			if len(c.more) == 0 || c.more[0] != ":authority" {
				fields = append(fields, ":authority", "a.example")
			}
			p.headers(1, true, append(fields, c.more...)...)
			got := ""
			for got == "" {
				frame, err := p.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch frame := frame.(type) {
				case *h2.MetaHeadersFrame:
					got = frame.PseudoValue("status")
				case *h2.RSTStreamFrame, *h2.GoAwayFrame:
					got = "RST"
				}
			}
			if got != c.answer {
				t.Errorf("%s, want %s", got, c.answer)
			}
		})
	}
}

func TestServer_ABodyAndTrailersBothWays(t *testing.T) {
	f := serve(t, func(c proxy.Client, r *message.Request) {
		if r.Length != -1 || !r.HasBody() {
			t.Errorf("length %d", r.Length)
		}
		c.Patience(time.Minute, time.Now())
		body, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		_ = c.Inform(&message.Response{Status: 103, Fields: message.Fields{{Name: "Link", Value: "</a>"}}})
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1, Fields: message.Fields{{Name: "X-Pod", Value: "1"}, {Name: "X-Dropped", Value: "1", Dropped: true}}})
		_ = c.Flush()
		_ = c.Commit(copy(c.Space(), "body "+string(body)))
		trailer := append(message.Fields{}, c.Trailer()...)
		_ = c.End(append(trailer, message.Field{Name: "grpc-status", Value: "0"}, message.Field{Name: "x", Dropped: true}))
	})
	p := f.client(t)
	p.request(1, false, "POST", "/", "trailer", "x-sum")
	p.try(p.WriteData(1, false, []byte("in two ")))
	p.try(p.WriteData(1, false, []byte("parts")))
	p.headers(1, true, "x-sum", "42")
	if early := next[*h2.MetaHeadersFrame](p); early.PseudoValue("status") != "103" || field(early, "link") != "</a>" {
		t.Errorf("%v", early)
	}
	head := next[*h2.MetaHeadersFrame](p)
	if head.PseudoValue("status") != "200" || field(head, "x-pod") != "1" || field(head, "link") != "" || field(head, "x-dropped") != "" || field(head, "content-length") != "" || field(head, "content-type") != "" || head.StreamEnded() {
		t.Errorf("%v", head)
	}
	if data := next[*h2.DataFrame](p); string(data.Data()) != "body in two parts" {
		t.Errorf("%q", data.Data())
	}
	if trailer := next[*h2.MetaHeadersFrame](p); field(trailer, "x-sum") != "42" || field(trailer, "grpc-status") != "0" || len(trailer.Fields) != 2 || !trailer.StreamEnded() {
		t.Errorf("%v", trailer)
	}
}

func TestServer_AnAnswerOfAHeadAloneIsOneFrame(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Fields: message.Fields{{Name: "grpc-status", Value: "12"}}})
		_ = c.End(nil)
	})
	p := f.client(t)
	p.request(1, true, "POST", "/")
	if head := next[*h2.MetaHeadersFrame](p); !head.StreamEnded() || field(head, "grpc-status") != "12" {
		t.Errorf("%v", head)
	}
}

func TestServer_ABodylessAnswerKeepsItsLength(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Bodiless: true, Fields: message.Fields{{Name: "Content-Length", Value: "1234"}}})
		_ = c.End(nil)
	})
	p := f.client(t)
	p.request(1, true, "HEAD", "/")
	if head := next[*h2.MetaHeadersFrame](p); !head.StreamEnded() || field(head, "content-length") != "1234" {
		t.Errorf("%v", head)
	}
}

func TestServer_AnAnswerThatIsNotWholeIsReset(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: 10})
		_ = c.Commit(copy(c.Space(), "half"))
		_ = c.Flush()
	})
	p := f.client(t)
	p.request(1, true, "GET", "/")
	if got := p.status(); got != "200" {
		t.Error(got)
	}
	if data := next[*h2.DataFrame](p); string(data.Data()) != "half" || data.StreamEnded() {
		t.Errorf("%v", data)
	}
	if got := next[*h2.RSTStreamFrame](p); got.ErrCode != h2.ErrCodeInternal {
		t.Errorf("%v", got)
	}
}

func TestServer_AReadThatRunsOutOfTimeMayBeTriedAgain(t *testing.T) {
	goOn := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		b := make([]byte, 10)
		for range 3 {
			c.Patience(time.Millisecond, time.Now())
			n, err := c.Read(b)
			var timeout net.Error
			if n != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%d, %v", n, err)
			}
		}
		close(goOn)
		c.Patience(time.Minute, time.Now())
		body, err := io.ReadAll(c)
		reply(c, 200, string(body))
		if err != nil {
			t.Error(err)
		}
		if n, err := c.Read(b); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %d, %v", n, err)
		}
	})
	p := f.client(t)
	p.request(1, false, "POST", "/")
	<-goOn
	p.try(p.WriteData(1, true, []byte("late")))
	if got := p.status(); got != "200" {
		t.Error(got)
	}
	if data := next[*h2.DataFrame](p); string(data.Data()) != "late" {
		t.Errorf("%q", data.Data())
	}
}

func TestServer_AnInterruptEndsAReadAndTheAnswerGoesOut(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		read := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 10))
			read <- err
		}()
		c.Interrupt()
		for range 2 {
			if err := <-read; !errors.Is(err, proxy.ErrInterrupted) {
				t.Errorf("%v", err)
			}
			go func() {
				_, err := c.Read(make([]byte, 10))
				read <- err
			}()
		}
		if err := <-read; err == nil {
			t.Error("a third read succeeds")
		}
		reply(c, 413, "no")
	})
	p := f.client(t)
	p.request(1, false, "POST", "/")
	if got := p.status(); got != "413" {
		t.Error(got)
	}
	if got := next[*h2.RSTStreamFrame](p); got.ErrCode != h2.ErrCodeNo {
		t.Errorf("the client is told to go on sending: %v", got)
	}
	p.request(3, true, "GET", "/") // the connection is as good as before
	p.status()
}

type canceled chan struct{}

func (c canceled) Cancel() { close(c) }

func TestServer_AClientThatResetsHasGone(t *testing.T) {
	begun, seen := make(chan struct{}), make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		first, who := make(canceled), make(canceled)
		c.Watch(first)
		c.Watch(who)
		if c.HasGone() {
			t.Error("gone before it went")
		}
		close(begun)
		<-who
		<-c.Gone()
		select {
		case <-first:
			t.Error("who is no more to be told was")
		default:
		}
		late := make(canceled)
		c.Watch(late)
		<-late
		if !c.HasGone() {
			t.Error("not gone")
		}
		close(seen)
	})
	p := f.client(t)
	p.request(1, false, "POST", "/")
	<-begun
	p.try(p.WriteRSTStream(1, h2.ErrCodeCancel))
	<-seen
}

// What net/http takes and hands on passes the parser of HTTP/1.1: no part of it becomes another part.
func FuzzReadRequest(f *testing.F) {
	f.Add("GET", "/a?b", "a.example", "X-A", "1", int64(0))
	f.Add("POST", "/ HTTP/1.1\r\nX: y", "a\r\nb", "Content-Length", "5", int64(5))
	f.Add("OPTIONS", "*", "", "Host", "b", int64(-1))
	f.Fuzz(func(t *testing.T, method, target, host, name, value string, length int64) {
		if target == "" {
			return // net/http refuses it
		}
		var r message.Request
		err := readRequest(&r, &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{name: {value}}, ContentLength: length})
		if err != nil {
			return
		}
		if r.Method != method || r.Target != target || r.Host != strings.Trim(host, " \t") || r.Version != message.HTTP2 || r.Length != max(length, -1) || r.Upgrade != "" || r.Expect || len(r.Fields) > 2 {
			t.Fatalf("%q %q %q %q %q %d: %+v", method, target, host, name, value, length, r)
		}
		if len(r.Fields) == 2 && (r.Fields[1].Name != name || r.Fields[1].Value != strings.Trim(value, " \t")) {
			t.Fatalf("%q: %q became %+v", name, value, r.Fields[1])
		}
	})
}

func TestServer_BoundsStreams(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		<-release
		reply(c, 204, "")
	})
	defer close(release)
	p := f.client(t)
	settings := next[*h2.SettingsFrame](p)
	for id, want := range map[h2.SettingID]uint32{h2.SettingMaxConcurrentStreams: maxStreams, h2.SettingInitialWindowSize: windowStream} {
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v: %d, want %d", id, got, want)
		}
	}
	if got, _ := settings.Value(h2.SettingMaxHeaderListSize); got < 64<<10 || got > 80<<10 {
		t.Errorf("heads of %d bytes are taken", got)
	}
	for i := range uint32(maxStreams) {
		p.request(2*i+1, true, "GET", "/")
	}
	p.request(2*maxStreams+1, true, "GET", "/")
	if got := next[*h2.RSTStreamFrame](p); got.StreamID != 2*maxStreams+1 || got.ErrCode != h2.ErrCodeRefusedStream {
		t.Errorf("one stream more: %v", got)
	}
}

// A client that opens and resets streams as fast as it can is cut off, and few handlers run.
func TestServer_ARapidResetIsCutOff(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		<-release // as if the pod was slow to hear of it
		reply(c, 204, "")
	})
	defer close(release)
	p := f.client(t)
	go func() { // until the server has had enough
		for i := uint32(1); i < 20*maxStreams; i += 2 {
			p.head.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}} {
				_ = p.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			if p.WriteHeaders(h2.HeadersFrameParam{StreamID: i, BlockFragment: p.head.Bytes(), EndHeaders: true, EndStream: true}) != nil || p.WriteRSTStream(i, h2.ErrCodeCancel) != nil {
				return
			}
		}
	}()
	if got := next[*h2.GoAwayFrame](p); got.ErrCode != h2.ErrCodeEnhanceYourCalm {
		t.Errorf("%v", got)
	}
}

func TestServer_AFloodOfContinuationsIsCutOff(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 204, "") })
	p := f.client(t)
	p.try(p.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/"), EndStream: true}))
	part := p.block("x-long", strings.Repeat("a", 4000))
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		for {
			frame, err := p.ReadFrame()
			if _, goAway := frame.(*h2.GoAwayFrame); goAway || err != nil {
				return
			}
		}
	}()
	for range 500 { // 2 MB; the limit of a head is 64 KiB
		if p.WriteContinuation(1, false, part) != nil {
			break
		}
	}
	<-cut
}

func TestServer_DrainsWithGoAwayAndEndsWhatIsUnderWay(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, func(c proxy.Client, r *message.Request) {
		if r.Path == "/slow" {
			<-release
		}
		reply(c, 200, "done")
	})
	p, idle := f.client(t), f.client(t)
	idle.request(1, true, "GET", "/")
	idle.status()
	p.request(1, true, "GET", "/slow")
	p.request(3, true, "GET", "/")
	p.status()
	f.server.BeginDrain()
	p.request(5, true, "GET", "/") // its answer tells the client to go
	if got := next[*h2.GoAwayFrame](p); got.ErrCode != h2.ErrCodeNo || got.LastStreamID != 5 {
		t.Errorf("%v", got)
	}
	cut := make(chan int, 1)
	go func() { cut <- f.server.Shutdown(context.Background()) }()
	if got := next[*h2.GoAwayFrame](idle); got.ErrCode != h2.ErrCodeNo {
		t.Errorf("who is idle: %v", got)
	}
	close(release)
	if got := p.status(); got != "200" {
		t.Errorf("what was under way: %s", got)
	}
	if n := <-cut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
}

func TestServer_ADrainThatLastsTooLongCuts(t *testing.T) {
	begun := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		close(begun)
		<-c.Gone()
	})
	p := f.client(t)
	p.request(1, true, "GET", "/")
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := f.server.Shutdown(ctx); n != 1 {
		t.Errorf("%d connections were cut", n)
	}
	late := &Connection{Net: discard(t)}
	f.server.ServeConn(late) // it comes too late, and is closed
	if _, err := late.Net.Write([]byte("x")); err == nil {
		t.Error("a connection after the end is served")
	}
}

func discard(t *testing.T) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = b.Close() })
	return a
}

func TestServer_WhatWasReadAlreadyComesFirst(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 204, "") })
	ours, theirs := net.Pipe()
	go func() {
		f.server.ServeConn(&Connection{Net: ours, Read: []byte("PRI * HTTP/2.0\r\n\r\nS")})
	}()
	p := newPeer(t, theirs)
	p.must(io.WriteString(theirs, "M\r\n\r\n"))
	go func() { _ = p.WriteSettings() }()
	next[*h2.SettingsFrame](p)
}

func TestServer_AConnectionBeyondTheLimitIsAnsweredAndSentAway(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		if limit, crowded := c.Crowded(); limit != 7 || !crowded {
			t.Errorf("%d, %v", limit, crowded)
		}
		reply(c, 503, "")
	})
	f.mu.Lock()
	f.limit = 7
	f.mu.Unlock()
	p := f.client(t)
	p.request(1, true, "GET", "/")
	if got := next[*h2.GoAwayFrame](p); got.ErrCode != h2.ErrCodeNo || got.LastStreamID != 1 {
		t.Errorf("%v", got)
	}
	if got := p.status(); got != "503" {
		t.Error(got)
	}
}

func TestServer_SaysWhenAConnectionIsIdle(t *testing.T) {
	states := make(chan bool, 10)
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 204, "") })
	ours, theirs := net.Pipe()
	go f.server.ServeConn(&Connection{Net: ours, Idle: func(idle bool) { states <- idle }})
	p := newPeer(t, theirs)
	p.must(io.WriteString(theirs, h2.ClientPreface))
	p.try(p.WriteSettings())
	for idle := false; !idle; {
		idle = <-states
	}
	p.request(1, true, "GET", "/")
	p.status()
	if active, idle := <-states, <-states; active || !idle {
		t.Errorf("with a stream idle is %v, after it %v", active, idle)
	}
}

// inVirtualTime serves one client over a pipe.
func inVirtualTime(t *testing.T, o Options, h handler, client func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Handler, o.Log = h, slog.New(slog.DiscardHandler)
		s := New(o)
		ours, theirs := net.Pipe()
		go s.ServeConn(&Connection{Net: ours})
		p := newPeer(t, theirs)
		p.must(io.WriteString(theirs, h2.ClientPreface))
		p.try(p.WriteSettings())
		client(t, p)
		_ = theirs.Close()
		s.Shutdown(context.Background())
	})
}

func TestServer_AClientThatTakesNothingIsCutOff(t *testing.T) {
	began := make(chan time.Time, 1)
	inVirtualTime(t, Options{WriteIdle: time.Minute}, func(c proxy.Client, _ *message.Request) {
		began <- time.Now()
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		for c.Commit(len(c.Space())) == nil {
		}
	}, func(t *testing.T, p *peer) {
		t.Helper()
		p.request(1, true, "GET", "/") // its window is 64 KiB, and it never widens it
		if got := next[*h2.RSTStreamFrame](p); got.StreamID != 1 {
			t.Errorf("%v", got)
		}
		if took := time.Since(<-began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

func TestServer_AStreamThatIsQuietIsNotCutOff(t *testing.T) {
	inVirtualTime(t, Options{WriteIdle: time.Second}, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		_ = c.Flush()
		time.Sleep(time.Minute)
		_ = c.Commit(copy(c.Space(), "at last"))
		_ = c.End(nil)
	}, func(t *testing.T, p *peer) {
		t.Helper()
		p.request(1, true, "GET", "/")
		p.status()
		if data := next[*h2.DataFrame](p); string(data.Data()) != "at last" {
			t.Errorf("%q", data.Data())
		}
	})
}
