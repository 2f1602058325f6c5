package http2

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

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
	f := serve(t, func(c proxy.Client, r *message.Request) {
		if r.Method == http.MethodGet { // without a body, whose end may be read before any interrupt
			reply(c, 200, "")
			return
		}
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
	if got := p.status(); got != "200" {
		t.Error(got)
	}
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
