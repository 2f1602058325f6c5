package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// orderOf is an order for the shop.
func orderOf(method, body string) Order {
	return Order{
		Target: routing.Target{Application: shop, Host: "shop.example", Prefix: "/shop", Path: "/a%20b", Query: "q=1"},
		Method: method, ContentType: "application/json", Body: []byte(body),
	}
}

// from is a client whose body is the order's.
func from(o Order) *client { return newClient(part{text: string(o.Body)}) }

func TestCall_GoesTheWayOfEveryRequest(t *testing.T) {
	var fields []string
	u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
		fields = append(passed(r.Head.Fields), passed(r.Add)...)
		if r.Head.Method != http.MethodPost || r.Path != "/a%20b" || r.Head.Query != "q=1" || r.Host != "shop.example" || string(r.Whole) != "{}" || r.Length != 2 {
			t.Errorf("sent %+v", r)
		}
		return hello(to, r)
	}))
	o := orderOf("POST", "{}")
	o.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	c := from(o)
	outcome := u.Call(c, o)
	u.settled()
	if outcome.Refusal != nil || outcome.Cut || !strings.HasPrefix(outcome.Pod, "shop-") || outcome.Trace.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("%+v", outcome)
	}
	equal(t, "fields", fields, []string{
		"Traceparent: " + o.Traceparent, "Content-Type: application/json",
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.example", "X-Forwarded-Prefix: /shop",
	})
	if r := u.log.last(); r.Path != "/shop/a%20b" || r.Query != "q=1" || r.PodPath != "/a%20b" || r.Status != 200 || r.Method != http.MethodPost || r.RequestBytes != 2 || r.Client != "192.0.2.1" {
		t.Errorf("the log has %+v", r)
	}
	if string(c.body) != "hello" || !c.ended {
		t.Errorf("the answer is %q", c.body)
	}
}

func TestCall_WithoutABodyHasNoType(t *testing.T) {
	u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
		for _, f := range passed(r.Head.Fields) {
			t.Errorf("sent %s", f)
		}
		if r.Head.HasQuery || r.Head.Target != "/shop/" {
			t.Errorf("sent %+v", r.Head)
		}
		return hello(to, r)
	}))
	u.Call(newClient(), Order{Target: routing.Target{Application: shop, Prefix: "/shop", Path: "/"}, Method: "GET", ContentType: "application/json"})
	u.settled()
}

func TestCall_HandsARefusalBackAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, failing(ErrBroken))
		c := newClient()
		outcome := u.Call(c, orderOf("GET", ""))
		if outcome.Refusal == nil || outcome.Refusal.Code != "bad-gateway" || outcome.Cut || outcome.Pod == "" || c.head != nil {
			t.Errorf("%+v, written %+v", outcome, c.head)
		}
		if r := u.log.last(); r.Status != 502 || r.Refusal != "bad-gateway" {
			t.Errorf("the log has %+v", r)
		}

		time.Sleep(5 * time.Second) // of virtual time: nobody uses it any more
		u.d.Apply(routing.Update{Version: "2", Complete: true})
		if outcome := u.Call(c, orderOf("GET", "")); outcome.Refusal == nil || outcome.Refusal.Code != "unavailable" || outcome.Refusal.RetryAfterSeconds() == 0 || len(u.log.all) != 1 {
			t.Errorf("without a route: %+v", outcome)
		}
	})
}

func TestCall_SaysThatAnAnswerIsNotWhole(t *testing.T) {
	u := newUnit(t, saying("HTTP/1.1 200 OK\nContent-Length: 5", part{text: "he", err: io.ErrUnexpectedEOF}))
	c := newClient()
	if outcome := u.Call(c, orderOf("GET", "")); outcome.Refusal != nil || !outcome.Cut || outcome.Pod == "" || string(c.body) != "he" || c.ended {
		t.Errorf("%+v, written %q", outcome, c.body)
	}
	u.settled()
	c.fails = errors.New("reset")
	if outcome := u.Call(c, orderOf("GET", "")); !outcome.Cut || outcome.Refusal != nil {
		t.Errorf("%+v", outcome)
	}
	u.settled()
}

// An order is made of what people typed: nothing of it may become a line of its own.
func TestCall_RefusesWhatCannotBeWritten(t *testing.T) {
	for name, spoil := range map[string]func(o *Order){
		"the path":         func(o *Order) { o.Target.Path = "/ HTTP/1.1\r\nX: y" },
		"a blank":          func(o *Order) { o.Target.Path = "/a b" },
		"no path":          func(o *Order) { o.Target.Prefix, o.Target.Path = "", "" },
		"a fragment":       func(o *Order) { o.Target.Path = "/a#b" },
		"the query":        func(o *Order) { o.Target.Query = "a\nb" },
		"the host":         func(o *Order) { o.Target.Host = "a\r\nX: y" },
		"the method":       func(o *Order) { o.Method = "GET\r" },
		"an empty method":  func(o *Order) { o.Method = "" },
		"the media type":   func(o *Order) { o.ContentType = "a\r\n\r\nGET /" },
		"the trace":        func(o *Order) { o.Traceparent = "a\x00" },
		"a delete in host": func(o *Order) { o.Target.Host = "a\x7f" },
	} {
		u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
			t.Errorf("%s: sent %+v", name, r)
			return nil, ErrBroken
		}))
		o := orderOf("POST", "{}")
		spoil(&o)
		if outcome := u.Call(from(o), o); outcome.Refusal == nil || outcome.Refusal.Code != "invalid" {
			t.Errorf("%s: %+v", name, outcome)
		}
	}
}

func TestCall_WaitsAndIsEndedByItsClientOrTheDrain(t *testing.T) {
	for name, end := range map[string]func(u *unit, c *client){
		"the client": func(_ *unit, c *client) { c.Cancel() },
		"the drain": func(u *unit, _ *client) {
			over := make(chan struct{})
			close(over)
			if cut := u.Drain(over); cut != 1 {
				u.tb.Errorf("%d were cut", cut)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUnit(t, sends(hello), func(_ *Options, r *routing.Route) { r.State, r.Endpoints = routing.Asleep, nil })
				c := newClient()
				time.AfterFunc(time.Second, func() { end(u, c) })
				outcome := u.Call(c, orderOf("GET", ""))
				if outcome.Refusal != nil || !outcome.Cut || outcome.Pod != "" || c.head != nil {
					t.Errorf("%+v, written %+v", outcome, c.head)
				}
				u.settled()
				if r := u.log.last(); r.Waited != time.Second || r.Status != 0 {
					t.Errorf("the log has %+v", r)
				}
			})
		})
	}
}

func TestDrain_WaitsForACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
			time.Sleep(time.Second)
			return hello(to, r)
		}))
		ended := make(chan Outcome)
		go func() { ended <- u.Call(newClient(), orderOf("GET", "")) }()
		synctest.Wait()
		drained := make(chan int)
		for range 2 { // two may wait
			go func() { drained <- u.Drain(nil) }()
		}
		if outcome := <-ended; outcome.Refusal != nil || outcome.Cut {
			t.Errorf("%+v", outcome)
		}
		if cut := <-drained + <-drained; cut != 0 {
			t.Errorf("%d were cut", cut)
		}
	})
}
