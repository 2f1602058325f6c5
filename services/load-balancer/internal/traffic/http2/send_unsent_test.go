package http2

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

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
			_, unsent := errors.AsType[*proxy.UnsentError](err)
			if unsent != (c.want != "-") {
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
		"another protocol": func(p *peer) {
			if f, ok := await[*h2.MetaHeadersFrame](p); ok {
				p.headers(f.StreamID, false, ":status", "101", "upgrade", "websocket")
				p.headers(f.StreamID, true, ":status", "200")
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
		r := order(newAsker(nil), "/")
		_, err := newTestSender(t).Send(proxy.Destination{Address: rawPod(t, pod)}, r)
		if !errors.Is(err, proxy.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
		if slices.ContainsFunc(*r.Inform.(*informed), func(h message.Response) bool { return h.Status == 101 }) {
			t.Errorf("%s: the client was told to switch", name)
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
	if _, err := s.Send(proxy.Destination{Address: l.Addr().String()}, order(newAsker(nil), "/")); !isUnsent(err) {
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
