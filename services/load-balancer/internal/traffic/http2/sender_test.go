package http2

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// rawPod is a pod that speaks frame by frame. Each connection is handed to serve.
func rawPod(t *testing.T, serve func(p *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go begin(t, conn, serve)
		}
	}()
	return l.Addr().String()
}

// begin begins a connection as a pod does.
func begin(t *testing.T, conn net.Conn, serve func(p *peer)) {
	t.Helper()
	preface := make([]byte, len(h2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != h2.ClientPreface {
		_ = conn.Close()
		return
	}
	p := newPeer(t, conn)
	if p.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 20}) == nil && p.WriteWindowUpdate(0, 1<<20) == nil {
		serve(p)
	}
	_ = conn.Close()
}

// withPipes is a sender whose connections are pipes to a pod, for virtual time.
func withPipes(t *testing.T, serve func(p *peer)) *Sender {
	t.Helper()
	return NewSender(SenderOptions{Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go begin(t, buffered(theirs), serve)
		return ours, nil
	}})
}

// bufferedConn writes as a socket does: without waiting for the reader.
type bufferedConn struct {
	net.Conn
	writes chan []byte
}

func buffered(conn net.Conn) net.Conn {
	b := bufferedConn{conn, make(chan []byte, 1000)}
	go func() {
		for p := range b.writes {
			if p == nil {
				return
			}
			_, _ = conn.Write(p)
		}
	}()
	return b
}

func (b bufferedConn) Write(p []byte) (int, error) {
	b.writes <- slices.Clone(p)
	return len(p), nil
}

func (b bufferedConn) Close() error {
	select {
	case b.writes <- nil:
	default:
	}
	return b.Conn.Close()
}

// await is the next frame of a kind; nil when the connection ends. Pings and settings are answered.
func await[F h2.Frame](p *peer) (found F, ok bool) {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			return found, false
		}
		if f, ok := frame.(F); ok {
			return f, true
		}
		if ping, ok := frame.(*h2.PingFrame); ok && !ping.IsAck() {
			_ = p.WritePing(true, ping.Data)
		}
	}
}

type told []message.Response

func (t *told) Inform(h *message.Response) { *t = append(*t, *h) }

// order is a request without a body.
func order(c *asker, path string) *proxy.Outgoing {
	return &proxy.Outgoing{
		Head: &message.Request{Method: "GET", Target: path, Path: path}, Path: path, Host: "a.example", Client: c,
		Silence: time.Minute, Answer: &message.Response{}, Inform: &told{},
	}
}

// upload is one whose body is read from the client.
func uploading(c *asker, length int64) *proxy.Outgoing {
	r := order(c, "/")
	r.Head.Method, r.Streams, r.Length = "POST", true, length
	return r
}

func (a *asker) Trailer() message.Fields {
	if a.trailer == nil {
		return nil
	}
	var all message.Fields
	for _, line := range a.trailer() {
		name, value, _ := strings.Cut(line, ": ")
		all = append(all, message.Field{Name: name, Value: value})
	}
	return all
}

func newTestSender(t *testing.T) *Sender {
	t.Helper()
	s := NewSender(SenderOptions{})
	t.Cleanup(s.Close)
	return s
}

// body reads an answer as the proxy does.
func body(t *testing.T, a proxy.Answer) string {
	t.Helper()
	var all []byte
	for {
		if a.Buffered() == 0 {
			if err := a.Await(); errors.Is(err, io.EOF) {
				return string(all)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		part := make([]byte, 3)
		n, err := a.Read(part)
		all = append(all, part[:n]...)
		if errors.Is(err, io.EOF) {
			return string(all)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSend_APathArrivesByteForByte(t *testing.T) {
	heads := make(chan string, 1)
	pod := rawPod(t, func(p *peer) {
		for {
			f, ok := await[*h2.MetaHeadersFrame](p)
			if !ok {
				return
			}
			heads <- f.PseudoValue("method") + " " + f.PseudoValue("scheme") + " " + f.PseudoValue("authority") + " " + f.PseudoValue("path") +
				" ua=" + field(f, "user-agent") + " ae=" + field(f, "accept-encoding") + " x=" + field(f, "x-own") + " d=" + field(f, "x-dropped")
			p.headers(f.StreamID, true, ":status", "204")
		}
	})
	s := newTestSender(t)
	for _, path := range []string{"/", "/a%2Fb//c/../d;e", "//a", "/a b", "/\xc3\xa4", "/~!$&'()*+,;=:@%zz", "*", "/a?b"} {
		for _, query := range []string{"-", "", "x=1&y=%20?/"} {
			if path == "*" && query != "-" {
				continue // there is no such target
			}
			r := order(newAsker(nil), path)
			r.Head.HasQuery, r.Head.Query = query != "-", strings.Trim(query, "-")
			r.Head.Fields = message.Fields{{Name: "X-Own", Value: "1"}, {Name: "x-dropped", Value: "1", Dropped: true}}
			a, err := s.Send(proxy.Destination{Address: pod}, r)
			if err != nil {
				t.Fatalf("%q: %v", path, err)
			}
			want := "GET http a.example " + path
			if r.Head.HasQuery {
				want += "?" + r.Head.Query
			}
			if got := <-heads; got != want+" ua= ae= x=1 d=" {
				t.Errorf("%q, want %q", got, want)
			}
			if a.Head().Status != 204 || !a.Ended() || body(t, a) != "" {
				t.Errorf("%+v", a.Head())
			}
			a.Close()
		}
	}
}

func TestSend_AnAnswerWithEverything(t *testing.T) {
	pod := rawPod(t, func(p *peer) {
		f, _ := await[*h2.MetaHeadersFrame](p)
		p.headers(f.StreamID, false, ":status", "100")
		p.headers(f.StreamID, false, ":status", "103", "link", "</a>")
		p.headers(f.StreamID, false, ":status", "103", "link", "</b>")
		p.headers(f.StreamID, false, ":status", "200", "x-a", "1", "x-a", "2", "content-type", "application/grpc")
		_ = p.WriteData(f.StreamID, false, []byte("in two "))
		_ = p.WriteData(f.StreamID, false, []byte("parts"))
		p.headers(f.StreamID, true, "grpc-status", "0", "content-length", "3")
		await[*h2.GoAwayFrame](p)
	})
	r := order(newAsker(nil), "/")
	a, err := newTestSender(t).Send(proxy.Destination{Address: pod}, r)
	if err != nil {
		t.Fatal(err)
	}
	h := a.Head()
	if h.Status != 200 || h.Length != -1 || h.Version != message.HTTP2 || h.Close || h.Fields.First(message.ContentType) != "application/grpc" || len(h.Fields) != 3 {
		t.Errorf("%+v", h)
	}
	if a.Ended() || a.Trailer() != nil {
		t.Error("it has ended before its end")
	}
	if got := body(t, a); got != "in two parts" {
		t.Errorf("%q", got)
	}
	if trailer := a.Trailer(); len(trailer) != 2 || trailer.Named("grpc-status") != "0" || !trailer[0].Dropped || trailer[0].Known != message.ContentLength {
		t.Errorf("%+v", trailer)
	}
	if got := *r.Inform.(*told); len(got) != 2 || got[0].Status != 103 || got[0].Fields.Named("link") != "</a>" || got[1].Fields.Named("link") != "</b>" {
		t.Errorf("%+v", got)
	}
	a.Close()
}

func TestSend_ABodyAndItsTrailers(t *testing.T) {
	type seen struct {
		length, trailer, sum, body string
	}
	requests := make(chan seen, 1)
	pod := rawPod(t, func(p *peer) {
		for {
			head, ok := await[*h2.MetaHeadersFrame](p)
			if !ok {
				return
			}
			got := seen{length: field(head, "content-length"), trailer: field(head, "trailer")}
			for ended := head.StreamEnded(); !ended; {
				frame, err := p.ReadFrame()
				if err != nil {
					return
				}
				switch f := frame.(type) {
				case *h2.DataFrame:
					got.body += string(f.Data())
					ended = f.StreamEnded()
				case *h2.MetaHeadersFrame:
					got.sum, ended = field(f, "x-sum"), f.StreamEnded()
				}
			}
			requests <- got
			p.headers(head.StreamID, true, ":status", "200")
		}
	})
	s := newTestSender(t)
	for name, c := range map[string]struct {
		make func() *proxy.Outgoing
		want seen
	}{
		"whole": {func() *proxy.Outgoing {
			r := order(newAsker(nil), "/")
			r.Whole, r.Length = []byte("whole"), 5
			return r
		}, seen{length: "5", body: "whole"}},
		"of a length": {func() *proxy.Outgoing {
			r := uploading(newAsker(strings.NewReader(" and the rest")), 18)
			r.Begun = []byte("begun")
			return r
		}, seen{length: "18", body: "begun and the rest"}},
		"of no length, with trailers": {func() *proxy.Outgoing {
			c := newAsker(strings.NewReader("streamed"))
			c.trailer = func() []string { return []string{"X-Sum: 42", "X-Unannounced: 1"} }
			r := uploading(c, -1)
			r.Head.Fields = message.Fields{{Name: "Trailer", Value: "x-sum, authorization", Known: message.Trailer, Dropped: true}}
			return r
		}, seen{trailer: "X-Sum", sum: "42", body: "streamed"}},
		"awaited": {func() *proxy.Outgoing {
			r := uploading(newAsker(strings.NewReader("told")), 4)
			r.Expect = true
			return r
		}, seen{length: "4", body: "told"}},
		"none": {func() *proxy.Outgoing { return order(newAsker(nil), "/") }, seen{}},
	} {
		r := c.make()
		a, err := s.Send(proxy.Destination{Address: pod}, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := <-requests
		if got.trailer = strings.ReplaceAll(got.trailer, "x-", "X-"); strings.EqualFold(got.trailer, c.want.trailer) {
			got.trailer = c.want.trailer
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if told := r.Client.(*asker).told; told != 0 != r.Expect {
			t.Errorf("%s: the client was told to send %d times", name, told)
		}
		a.Close()
	}
}

func TestSend_WhatIsProvablyUnsentMayBeSentAgain(t *testing.T) {
	refuse := func(p *peer) {
		f, ok := await[*h2.MetaHeadersFrame](p)
		if ok {
			_ = p.WriteRSTStream(f.StreamID, h2.ErrCodeRefusedStream)
			await[*h2.GoAwayFrame](p)
		}
	}
	goAway := func(p *peer) {
		if _, ok := await[*h2.MetaHeadersFrame](p); ok {
			_ = p.WriteGoAway(0, h2.ErrCodeNo, nil)
			await[*h2.GoAwayFrame](p)
		}
	}
	afterBody := func(p *peer) {
		f, ok := await[*h2.DataFrame](p)
		for ok && !f.StreamEnded() {
			f, ok = await[*h2.DataFrame](p)
		}
		if ok {
			_ = p.WriteRSTStream(f.StreamID, h2.ErrCodeRefusedStream)
			await[*h2.GoAwayFrame](p)
		}
	}
	whole := func() *proxy.Outgoing {
		r := order(newAsker(nil), "/")
		r.Whole, r.Length = []byte("whole"), 5
		return r
	}
	for name, c := range map[string]struct {
		pod  func(p *peer)
		make func() *proxy.Outgoing
		want string // the body that can be sent again; "-" when it cannot be
	}{
		"refused, no body":       {refuse, func() *proxy.Outgoing { return order(newAsker(nil), "/") }, ""},
		"gone away, no body":     {goAway, func() *proxy.Outgoing { return order(newAsker(nil), "/") }, ""},
		"refused, a whole body":  {refuse, whole, "whole"},
		"refused after the body": {afterBody, func() *proxy.Outgoing { return uploading(newAsker(strings.NewReader("streamed")), -1) }, "streamed"},
		"refused after more": {afterBody, func() *proxy.Outgoing {
			return uploading(newAsker(strings.NewReader(strings.Repeat("x", mostKept+1))), -1)
		}, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.make()
			_, err := newTestSender(t).Send(proxy.Destination{Address: rawPod(t, c.pod)}, r)
			refused, unsent := errors.AsType[*proxy.UnsentError](err)
			if unsent != (c.want != "-") || unsent && refused.Refused {
				t.Fatalf("%v", err)
			}
			if !unsent {
				if !errors.Is(err, proxy.ErrBroken) {
					t.Errorf("%v", err)
				}
				return
			}
			if got := string(r.Begun) + string(r.Whole); got != c.want || r.Client.(*asker).interrupted() {
				t.Errorf("%q can be sent again, want %q", got, c.want)
			}
			echo := rawPod(t, func(p *peer) {
				f, ok := await[*h2.MetaHeadersFrame](p)
				if ok {
					p.headers(f.StreamID, true, ":status", "200")
					await[*h2.GoAwayFrame](p)
				}
			})
			a, err := newTestSender(t).Send(proxy.Destination{Address: echo}, r)
			if err != nil {
				t.Fatal(err)
			}
			a.Close()
		})
	}
}

func TestSend_WhileTheClientIsAwaitedNothingCanBeSentAgain(t *testing.T) {
	waits := make(chan struct{})
	pod := rawPod(t, func(p *peer) {
		f, _ := await[*h2.DataFrame](p)
		<-waits
		_ = p.WriteRSTStream(f.StreamID, h2.ErrCodeRefusedStream)
		await[*h2.GoAwayFrame](p)
	})
	c := newAsker(nil)
	c.Reader = &blocking{first: "first", a: c, waits: waits}
	_, err := newTestSender(t).Send(proxy.Destination{Address: pod}, uploading(c, -1))
	if !errors.Is(err, proxy.ErrBroken) || isUnsent(err) || !c.interrupted() {
		t.Errorf("%v", err)
	}
}

func TestSend_FailuresSayWhatTheyMean(t *testing.T) {
	reset := func(code h2.ErrCode) func(*peer) {
		return func(p *peer) {
			if f, ok := await[*h2.MetaHeadersFrame](p); ok {
				_ = p.WriteRSTStream(f.StreamID, code)
				await[*h2.GoAwayFrame](p)
			}
		}
	}
	closes := func(p *peer) {
		await[*h2.MetaHeadersFrame](p)
		_ = p.conn.Close()
	}
	for name, pod := range map[string]func(*peer){
		"a reset": reset(h2.ErrCodeInternal), "too much": reset(h2.ErrCodeEnhanceYourCalm), "an end": closes,
		"a status that is none": func(p *peer) {
			if f, ok := await[*h2.MetaHeadersFrame](p); ok {
				p.headers(f.StreamID, true, ":status", "042")
				await[*h2.GoAwayFrame](p)
			}
		},
		"1xx without end": func(p *peer) {
			if f, ok := await[*h2.MetaHeadersFrame](p); ok {
				for range maxInformational + 1 {
					if p.WriteHeaders(h2.HeadersFrameParam{StreamID: f.StreamID, BlockFragment: p.block(":status", "103"), EndHeaders: true}) != nil {
						return
					}
				}
				await[*h2.GoAwayFrame](p)
			}
		},
	} {
		_, err := newTestSender(t).Send(proxy.Destination{Address: rawPod(t, pod)}, order(newAsker(nil), "/"))
		if !errors.Is(err, proxy.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSend_WithoutAConnectionNothingIsSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	s := newTestSender(t)
	_, err = s.Send(proxy.Destination{Address: l.Addr().String()}, order(newAsker(nil), "/"))
	if unsent, ok := errors.AsType[*proxy.UnsentError](err); !ok || !unsent.Refused {
		t.Errorf("refused: %v", err)
	}
	if len(s.pods) != 0 {
		t.Errorf("pods are kept that are not there: %v", s.pods)
	}
	s = NewSender(SenderOptions{Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "socket", Err: syscall.EMFILE}
	}})
	_, err = s.Send(proxy.Destination{Address: "10.0.0.1:80"}, order(newAsker(nil), "/"))
	if _, local := errors.AsType[*proxy.LocalError](err); !local {
		t.Errorf("no descriptor is left: %v", err)
	}
}

func isUnsent(err error) bool {
	_, unsent := errors.AsType[*proxy.UnsentError](err)
	return unsent
}

// swallowed never comes to be.
func swallowed(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestSend_AConnectionIsAwaitedForAsLongAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSender(SenderOptions{Dial: swallowed})
		for limit, want := range map[time.Duration]time.Duration{0: time.Second, 10 * time.Millisecond: 10 * time.Millisecond, time.Hour: time.Second} {
			r := order(newAsker(nil), "/")
			r.Left = limit
			began := time.Now()
			if _, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, r); !isUnsent(err) || time.Since(began) != want {
				t.Errorf("%v: %v after %v", limit, err, time.Since(began))
			}
		}
		first, second := order(newAsker(nil), "/"), order(newAsker(nil), "/")
		faults := make(chan error, 2)
		for _, r := range []*proxy.Outgoing{first, second} {
			go func() {
				_, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, r)
				faults <- err
			}()
			synctest.Wait()
		}
		second.Client.(*asker).leave() // it waits for the first one's connection
		if err := <-faults; !errors.Is(err, proxy.ErrGone) {
			t.Errorf("who has gone: %v", err)
		}
		first.Client.(*asker).leave()
		if err := <-faults; !errors.Is(err, proxy.ErrGone) {
			t.Errorf("who has gone: %v", err)
		}
	})
}

func TestSend_ASilentPodIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resets := make(chan h2.ErrCode, 1)
		s := withPipes(t, func(p *peer) {
			for {
				f, ok := await[*h2.MetaHeadersFrame](p)
				if !ok {
					return
				}
				if f.PseudoValue("path") == "/begins" {
					p.headers(f.StreamID, false, ":status", "200")
				}
				if f, ok := await[*h2.RSTStreamFrame](p); ok {
					resets <- f.ErrCode
				}
			}
		})
		defer s.Close()
		began := time.Now()
		if _, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, order(newAsker(nil), "/")); !errors.Is(err, proxy.ErrHeadTimeout) || time.Since(began) != time.Minute {
			t.Errorf("before the head: %v after %v", err, time.Since(began))
		}
		if code := <-resets; code != h2.ErrCodeCancel {
			t.Errorf("the pod saw %v", code)
		}
		a, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, order(newAsker(nil), "/begins"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // a client that is slow to take is no fault of the pod
		began = time.Now()
		if err := a.Await(); !errors.Is(err, proxy.ErrSilent) || time.Since(began) > 2*time.Minute {
			t.Errorf("within the body: %v after %v", err, time.Since(began))
		}
		a.Close()
		if code := <-resets; code != h2.ErrCodeCancel {
			t.Errorf("the pod saw %v", code)
		}
	})
}

func TestSend_APodThatWaitsForTheClientIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withPipes(t, func(p *peer) {
			f, _ := await[*h2.MetaHeadersFrame](p)
			for {
				d, ok := await[*h2.DataFrame](p)
				if !ok {
					return
				}
				if d.StreamEnded() {
					p.headers(f.StreamID, true, ":status", "200")
				}
			}
		})
		defer s.Close()
		in, out := io.Pipe()
		go func() {
			_, _ = out.Write([]byte("first"))
			time.Sleep(time.Hour)
			_ = out.Close()
		}()
		a, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, uploading(newAsker(in), -1))
		if err != nil || a.Head().Status != 200 {
			t.Fatal(err)
		}
		a.Close()
	})
}

func TestSend_APodThatTakesNothingIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withPipes(t, func(p *peer) { await[*h2.GoAwayFrame](p) }) // its window is 1 MiB
		defer s.Close()
		began := time.Now()
		_, err := s.Send(proxy.Destination{Address: "10.0.0.1:80"}, uploading(newAsker(strings.NewReader(strings.Repeat("x", 3<<20))), 3<<20))
		if !errors.Is(err, proxy.ErrHeadTimeout) || time.Since(began) > 2*time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestSend_WhoGoesIsToldToThePod(t *testing.T) {
	heads, resets := make(chan struct{}, 1), make(chan h2.ErrCode, 1)
	pod := rawPod(t, func(p *peer) {
		for {
			f, ok := await[*h2.MetaHeadersFrame](p)
			if !ok {
				return
			}
			if f.PseudoValue("path") == "/begins" {
				p.headers(f.StreamID, false, ":status", "200")
			}
			heads <- struct{}{}
			if f, ok := await[*h2.RSTStreamFrame](p); ok {
				resets <- f.ErrCode
			}
		}
	})
	s := newTestSender(t)
	c := newAsker(nil)
	go func() { <-heads; c.leave() }()
	if _, err := s.Send(proxy.Destination{Address: pod}, order(c, "/")); !errors.Is(err, proxy.ErrGone) {
		t.Errorf("%v", err)
	}
	if code := <-resets; code != h2.ErrCodeCancel {
		t.Errorf("the pod saw %v", code)
	}
	c = newAsker(nil)
	waits := make(chan struct{})
	c.Reader = &blocking{first: "x", a: c, waits: waits}
	r := uploading(c, -1)
	r.Path = "/begins"
	a, err := s.Send(proxy.Destination{Address: pod}, r)
	if err != nil {
		t.Fatal(err)
	}
	<-heads
	<-waits
	c.leave()
	if err := a.Await(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	a.Close()
	if code := <-resets; code != h2.ErrCodeCancel || !c.interrupted() {
		t.Errorf("the pod saw %v; the client's body is read: %v", code, !c.interrupted())
	}
}

// failing is a body that cannot be read.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the client broke off") }

// panicking is a body whose reading is a fault of ours.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a fault") }

func TestSend_AClientThatFailsIsNoFaultOfThePod(t *testing.T) {
	pod := rawPod(t, func(p *peer) { await[*h2.GoAwayFrame](p) })
	s := newTestSender(t)
	for _, reader := range []io.Reader{failing{}, panicking{}} {
		_, err := s.Send(proxy.Destination{Address: pod}, uploading(newAsker(reader), -1))
		if _, ok := errors.AsType[*proxy.BodyError](err); !ok {
			t.Errorf("%T: %v", reader, err)
		}
	}
}

func TestSend_AnEndedConnectionIsReplaced(t *testing.T) {
	conns := make(chan *peer, 10)
	pod := rawPod(t, func(p *peer) {
		conns <- p
		for {
			f, ok := await[*h2.MetaHeadersFrame](p)
			if !ok {
				return
			}
			p.headers(f.StreamID, true, ":status", "200")
		}
	})
	s := newTestSender(t)
	for range 5 {
		a, err := s.Send(proxy.Destination{Address: pod}, order(newAsker(nil), "/"))
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		if n := len(conns); n > 1 {
			t.Fatalf("%d connections", n)
		}
	}
	for range 5 {
		_ = (<-conns).conn.Close()
		r := order(newAsker(nil), "/")
		r.Resend = true // it may have been on its way when the connection ended
		a, err := s.Send(proxy.Destination{Address: pod}, r)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
}

func TestSender_ForgetsPodsThatAreGone(t *testing.T) {
	conns := make(chan *peer, 1)
	pod := rawPod(t, func(p *peer) {
		conns <- p
		if f, ok := await[*h2.MetaHeadersFrame](p); ok {
			p.headers(f.StreamID, true, ":status", "200")
			await[*h2.GoAwayFrame](p)
		}
	})
	s := newTestSender(t)
	a, err := s.Send(proxy.Destination{Address: pod}, order(newAsker(nil), "/"))
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	s.mu.Lock()
	if len(s.pods) != 1 {
		t.Errorf("%v", s.pods)
	}
	s.mu.Unlock()
	_ = (<-conns).conn.Close()
	testwait.Until(t, "the pod is forgotten", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.pods) == 0
	})
}

func TestSend_ManyAtOnceShareAConnection(t *testing.T) {
	conns := make(chan struct{}, 100)
	pod := rawPod(t, func(p *peer) {
		conns <- struct{}{}
		for {
			f, ok := await[*h2.MetaHeadersFrame](p)
			if !ok {
				return
			}
			p.headers(f.StreamID, true, ":status", "200")
		}
	})
	s := newTestSender(t)
	faults := make(chan error, 50)
	for range cap(faults) {
		go func() {
			a, err := s.Send(proxy.Destination{Address: pod}, order(newAsker(nil), "/"))
			if err == nil {
				a.Close()
			}
			faults <- err
		}()
	}
	var all []error
	for range cap(faults) {
		all = append(all, <-faults)
	}
	if slices.ContainsFunc(all, func(err error) bool { return err != nil }) || len(conns) != 1 {
		t.Errorf("%d connections, %v", len(conns), errors.Join(all...))
	}
}
