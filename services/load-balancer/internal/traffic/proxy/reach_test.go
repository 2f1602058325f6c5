package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestReach_TriesAnotherPodWhenNothingWasSent(t *testing.T) {
	var asked []string
	u := newUnit(t, nil)
	u.o.Sender = sends(func(to Destination, r *Outgoing) (Answer, error) {
		asked = append(asked, to.Address)
		if len(asked) == 1 {
			return nil, &UnsentError{Err: syscall.ECONNREFUSED, Refused: true}
		}
		if string(r.Whole) != "hello" {
			t.Errorf("the second pod gets %q", r.Whole)
		}
		return hello(to, r)
	})
	c := newClient(part{text: "hello"})
	r := u.ask(c, "POST /shop HTTP/1.1\nHost: a\nContent-Length: 5")
	slices.Sort(asked)
	if !slices.Equal(asked, []string{"10.0.0.1:80", "10.0.0.2:80"}) || c.head.Status != 200 || r.Tries != 2 || r.Error != "" {
		t.Errorf("asked %v; the log has %+v", asked, r)
	}
	if len(u.usable()) != 1 || u.usable()[0] != r.Pod {
		t.Errorf("usable are %v, %s answered", u.usable(), r.Pod)
	}
	if n := testutil.ToFloat64(u.o.Metrics.retries.WithLabelValues("default", "shop")); n != 1 {
		t.Errorf("%v retries are counted", n)
	}
	if !strings.Contains(u.text.String(), "pod not reached, another is tried") {
		t.Errorf("the log has %s", u.text)
	}
}

func TestReach_NeverSendsTwiceWhatMayHaveBeenSent(t *testing.T) {
	for _, err := range []error{ErrBroken, ErrHeadTimeout, &LocalError{syscall.EMFILE}, &BodyError{errBodyTooSlow}, &FaultError{}, errors.New("whatever")} {
		for _, method := range []string{"GET", "POST"} {
			tries := 0
			u := newUnit(t, sends(func(Destination, *Outgoing) (Answer, error) {
				tries++
				return nil, err
			}))
			if u.ask(newClient(), method+" /shop HTTP/1.1\nHost: a"); tries != 1 || len(u.usable()) != 2 {
				t.Errorf("%v: %s was sent %d times, and %v are usable", err, method, tries, u.usable())
			}
		}
	}
}

func TestReach_GivesUpAfterTenPods(t *testing.T) {
	tries := 0
	u := newUnit(t, sends(func(Destination, *Outgoing) (Answer, error) {
		tries++
		return nil, &UnsentError{Err: syscall.ECONNREFUSED, Refused: true}
	}), func(_ *Options, r *routing.Route) {
		for i := range 20 {
			r.Endpoints = append(r.Endpoints, routing.Endpoint{Pod: "more-" + string(rune('a'+i)), Address: "10.0.1." + string(rune('0'+i%10)) + ":80", Ready: true})
		}
	})
	c := newClient()
	if r := u.ask(c, "GET /shop HTTP/1.1\nHost: a"); tries != 10 || c.head.Status != 502 || r.Tries != 10 || r.Pod != "" {
		t.Errorf("%d tries, %+v; the log has %+v", tries, c.head, r)
	}
}

func TestReach_DoesNotBlameAPodThatTookTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
			if tries++; tries < 4 {
				return nil, &UnsentError{Err: errors.New("stream refused")}
			}
			return hello(to, r)
		}), func(_ *Options, r *routing.Route) { r.Endpoints = r.Endpoints[:1] })
		c := newClient()
		r := u.ask(c, "POST /shop HTTP/1.1\nHost: a")
		if c.head.Status != 200 || r.Tries != 4 || len(u.usable()) != 1 {
			t.Errorf("%+v, usable %v; the log has %+v", c.head, u.usable(), r)
		}
		if r.Took != 15*time.Millisecond { // the first one may have met a connection that had just ended
			t.Errorf("it paused for %v", r.Took)
		}
	})
}

func TestReach_APodThatNeverTakesItIsAskedTenTimesInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, failing(&UnsentError{Err: errors.New("stream refused")}))
		c := newClient()
		r := u.ask(c, "POST /shop HTTP/1.1\nHost: a")
		if c.head.Status != 502 || r.Tries != 10 || len(u.usable()) != 2 || r.Took < 500*time.Millisecond || r.Took > 2*time.Second || c.field("X-Should-Retry") != "" {
			t.Errorf("%+v %q; the log has %+v", c.head, c.fields, r)
		}
		gone := newClient()
		time.AfterFunc(100*time.Millisecond, gone.Cancel)
		if r := u.ask(gone, "POST /shop HTTP/1.1\nHost: a"); r.Status != 0 {
			t.Errorf("who left: %+v", r)
		}
	})
}

func TestReach_SaysHowLongAConnectionMayTake(t *testing.T) {
	var left []time.Duration
	u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		left = append(left, r.Left)
		return nil, &UnsentError{Err: syscall.ETIMEDOUT, Refused: true}
	}), func(o *Options, r *routing.Route) {
		r.WakeUpTimeout = 4 * time.Second
		clock := time.Unix(1000, 0)
		o.Now = func() time.Time { // each look at it takes a while
			clock = clock.Add(600 * time.Millisecond)
			return clock
		}
		for i := range 12 {
			r.Endpoints = append(r.Endpoints, routing.Endpoint{Pod: "more-" + string(rune('a'+i)), Address: "10.0.1.1:" + string(rune('1'+i%9)), Ready: true})
		}
	})
	c := newClient()
	u.ask(c, "GET /shop HTTP/1.1\nHost: a")
	if c.head.Status != 503 || c.code(t) != "wake-up-timeout" || len(left) < 3 || !slices.IsSortedFunc(left, func(a, b time.Duration) int { return int(b - a) }) || left[0] > 4*time.Second || left[len(left)-1] <= 0 {
		t.Errorf("%+v after connections that might take %v", c.head, left)
	}
	if want := fmt.Sprintf("it was offered to pods %d times, and none took it", len(left)); !strings.Contains(string(c.body), want) {
		t.Errorf("%s, want in it %q", string(c.body), want)
	}
}

func TestReach_SaysWhatThePodSpeaksAndHowLongItMayBeSilent(t *testing.T) {
	u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
		if to.Protocol != routing.H2C || r.Silence != time.Second || to.Address != "10.0.0.1:80" {
			t.Errorf("to %+v, silence %v", to, r.Silence)
		}
		return hello(to, r)
	}), func(_ *Options, r *routing.Route) {
		r.Protocol, r.Endpoints = routing.H2C, r.Endpoints[:1]
	})
	u.ask(newClient(), "GET /shop HTTP/1.1\nHost: a")
}

// A client that sends a whole request again and again is never told of another one's.
func TestServe_ExchangesThatAreUsedAgainRememberNothing(t *testing.T) {
	u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		a := answers(r, "HTTP/1.1 200 OK\nX-Path: "+r.Path+"\nContent-Length: "+string(rune('0'+len(r.Whole))), part{text: string(r.Whole)})
		return a, nil
	}))
	for i := range 200 {
		body := strings.Repeat("x", 1+i%9)
		c := newClient(part{text: body})
		if i%3 == 0 {
			u.ask(newClient(), "GET /none HTTP/1.1\nHost: other\nX-Request-ID: other\nUser-Agent: other")
		}
		r := u.ask(c, "POST /shop/"+body+" HTTP/1.1\nHost: a\nContent-Length: "+string(rune('0'+len(body))))
		if string(c.body) != body || c.field("X-Path") != "/"+body || r.RequestID != "" || r.UserAgent != "" || r.Refusal != "" || r.Error != "" || r.RequestBytes != int64(len(body)) {
			t.Fatalf("%q %s: the log has %+v", c.fields, c.body, r)
		}
	}
}
