package http1

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestDrain_AnswersSayThatTheConnectionEndsAndNewOnesAreServed(t *testing.T) {
	d := start(t, echo).serve()
	c := d.dial()
	c.send(get("/1")).expect(200, "GET /1 ", false)
	d.BeginDrain()
	c.send(get("/2")).expect(200, "GET /2 ", true)
	c.expectEnd()
	c = d.dial()
	c.send(get("/3")).expect(200, "GET /3 ", true)
	c.expectEnd()
}

func TestShutdown_ClosesWhatIsIdleAndWaitsForTheRest(t *testing.T) {
	came, proceed := make(chan struct{}), make(chan struct{})
	d := start(t, func(c proxy.Client, _ *message.Request) {
		came <- struct{}{}
		<-proceed
		ok(c, "whole")
	}).serve()
	idle, fresh, busy := d.dial(), d.dial(), d.dial()
	go func() { <-came; proceed <- struct{}{} }()
	idle.send(get("/")).expect(200, "whole", false)
	d.idles(3) // also those that have not sent anything yet
	busy.send(get("/"))
	testwait.Receive(t, "the request comes", came)
	ended := make(chan int, 2)
	for range 2 { // whoever else waits gets the same answer
		go func() { ended <- d.Shutdown(context.Background()) }()
	}
	idle.expectEnd()
	fresh.expectEnd()
	select {
	case <-ended:
		t.Error("it does not wait")
	default:
	}
	proceed <- struct{}{}
	busy.expect(200, "whole", true)
	_ = busy.Close()
	for range 2 {
		if cut := testwait.Receive(t, "it ends", ended); cut != 0 {
			t.Errorf("%d were cut", cut)
		}
	}
	if cut := d.Shutdown(context.Background()); cut != 0 {
		t.Errorf("%d were cut of none", cut)
	}
	late := d.dial() // was in the queue of the system
	late.expectEnd()
}

func TestShutdown_CutsWhatIsNotDoneInTimeAndSaysHowMany(t *testing.T) {
	came := make(chan struct{}, 3)
	d := start(t, func(c proxy.Client, r *message.Request) {
		who := canceler(make(chan struct{}))
		c.Watch(who)
		came <- struct{}{}
		if r.HasBody() {
			_, _ = io.ReadAll(c)
		}
		testwait.Receive(t, "who watches is told", who)
		testwait.Receive(t, "the channel is closed", c.Gone())
	}).serve()
	waits, sends := d.dial().send(get("/")), d.dial().send(post("10"))
	near, far := net.Pipe()
	d.Take(near)
	half := newClient(t, far).send("GET /").send(" HT") // which is no request yet, and begun
	for range 2 {
		testwait.Receive(t, "the request comes", came)
	}
	if cut := d.cut(); cut != 3 {
		t.Errorf("%d were cut", cut)
	}
	for _, c := range []*client{waits, sends, half} {
		c.expectEnd()
	}
}

// failing is a listener that cannot take connections for a while.
type failing struct {
	net.Listener
	errs  []error
	times []time.Time
}

func (f *failing) Accept() (net.Conn, error) {
	f.times = append(f.times, time.Now())
	err := f.errs[0]
	f.errs = f.errs[1:]
	if err == nil {
		near, far := net.Pipe()
		_ = far.Close()
		return near, nil
	}
	return nil, err
}

func TestServe_PausesLongerAndLongerWhileItCannotTakeConnectionsAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, log := errors.New("too many open files"), &record{}
		l := &failing{}
		for range 12 {
			l.errs = append(l.errs, full)
		}
		l.errs = append(l.errs, nil, full, net.ErrClosed)
		s := New(Options{Gate: open{}, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		pause := firstPause
		for i := range 12 {
			if got := l.times[i+1].Sub(l.times[i]); got != min(pause, longestPause) {
				t.Errorf("pause %d: %v", i, got)
			}
			pause *= 2
		}
		if got := l.times[14].Sub(l.times[13]); got != firstPause {
			t.Errorf("after one was taken: %v", got)
		}
		if n := strings.Count(log.String(), "too many open files"); n != 2 {
			t.Errorf("it says so %d times:\n%s", n, log)
		}
	})
}

func TestHandler_AFaultEndsOneConnectionAlone(t *testing.T) {
	d := start(t, func(c proxy.Client, r *message.Request) {
		switch r.Path {
		case "/before":
			panic("a fault before the answer")
		case "/within":
			_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
			_ = write(c, "some")
			_ = c.Flush()
			panic("a fault within the answer")
		}
		ok(c, r.Path)
	}).serve()
	other := d.dial().send(get("/other"))
	other.expect(200, "/other", false)
	d.dial().send(get("/before")).expectEnd()
	for _, request := range []string{get("/within"), "GET /within HTTP/1.0\r\n\r\n"} {
		c := d.dial().send(request)
		if _, body, err := c.read("GET"); err == nil {
			t.Errorf("%q: the answer %q is whole", request, body)
		}
	}
	other.send(get("/other")).expect(200, "/other", false)
	for _, want := range []string{"a fault before the answer", "a fault within the answer", "server_test.go"} {
		testwait.Until(t, "the log says "+want, func() bool { return strings.Contains(d.log.String(), want) })
	}
	if cut := d.cut(); cut > 1 {
		t.Errorf("%d connections are left", cut)
	}
}

func TestOptions_HaveDefaults(t *testing.T) {
	o := Options{}.withDefaults()
	if o.HeadTimeout != 10*time.Second || o.IdleTimeout != 620*time.Second || o.WriteIdle != 5*time.Minute || o.MaxHead != 64<<10 {
		t.Errorf("%+v", o)
	}
	o = Options{HeadTimeout: 1, IdleTimeout: 2, WriteIdle: 3, MaxHead: 4}
	if got := o.withDefaults(); got.HeadTimeout != 1 || got.IdleTimeout != 2 || got.WriteIdle != 3 || got.MaxHead != 4 {
		t.Errorf("%+v", got)
	}
}

func TestAnswer_AClientThatTakesNothingIsGivenUp(t *testing.T) {
	faults := make(chan error, 1)
	d := start(t, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		var err error
		for err == nil {
			err = write(c, times("x", 100_000))
		}
		faults <- err
	}, func(o *Options) { o.WriteIdle = 50 * time.Millisecond }).serve()
	c := d.dial().send(get("/"))
	if err := testwait.Receive(t, "it is given up", faults); !errors.As(err, new(net.Error)) {
		t.Error(err)
	}
	_ = c.Close()
}
