package http2

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

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
		if err := a.Await(nothing{}); !errors.Is(err, proxy.ErrSilent) || time.Since(began) > 2*time.Minute {
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
	if err := a.Await(nothing{}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	a.Close()
	if code := <-resets; code != h2.ErrCodeCancel || !c.interrupted() {
		t.Errorf("the pod saw %v; the client's body is read: %v", code, !c.interrupted())
	}
}
