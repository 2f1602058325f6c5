package http2

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

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
	if got := *r.Inform.(*informed); len(got) != 2 || got[0].Status != 103 || got[0].Fields.Named("link") != "</a>" || got[1].Fields.Named("link") != "</b>" {
		t.Errorf("%+v", got)
	}
	a.Close()
}

func TestSend_ABodyAndItsTrailers(t *testing.T) {
	type seen struct {
		length, trailer, sum, more, body string
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
					got.sum, got.more, ended = field(f, "x-sum"), field(f, "x-unannounced"), f.StreamEnded()
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
		"in chunks, with trailers that were not announced": {func() *proxy.Outgoing {
			c := newAsker(strings.NewReader("streamed"))
			c.trailer = func() []string { return []string{"X-Unannounced: 1", "Authorization: 1"} }
			r := uploading(c, -1)
			r.Head.Version = message.HTTP11
			return r
		}, seen{more: "1", body: "streamed"}},
		"in chunks, without trailers": {func() *proxy.Outgoing {
			r := uploading(newAsker(strings.NewReader("streamed")), -1)
			r.Head.Version = message.HTTP11
			return r
		}, seen{body: "streamed"}},
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
		if continued := r.Client.(*asker).continued; continued != 0 != r.Expect {
			t.Errorf("%s: the client was told to send %d times", name, continued)
		}
		a.Close()
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
