package proxy

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// places are so many connections that one application may not have.
type places int

func (p places) Crowds(exchanges int) bool { return exchanges >= int(p) }

// others is an application beside the first one.
func (u *unit) others() *unit {
	second := u.route
	second.Application.Deployment, second.Prefix = "blog", "/blog"
	u.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{u.route, second}})
	return u
}

func shared(most int) func(*Options, *routing.Route) {
	return func(o *Options, _ *routing.Route) { o.Places = places(most) }
}

func TestShare_AnApplicationThatTakesTooManyPlacesIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change []func(*Options, *routing.Route)
		status int
		code   string
	}{
		"pods serve": {nil, 429, "busy"},
		"none does":  {[]func(*Options, *routing.Route){func(_ *Options, r *routing.Route) { r.State, r.Endpoints = routing.Asleep, nil }}, 503, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnit(t, sends(hello), append(test.change, shared(1))...).others()
			c := newClient(part{text: "x"})
			r := u.ask(c, "POST /shop/1 HTTP/1.1\nHost: a\nContent-Length: 1")
			if c.head.Status != test.status || c.code(t) != test.code || c.field("Retry-After") != "1" || !c.head.Close || c.reads > 0 || c.field("X-Should-Retry") != "" {
				t.Errorf("%+v %q %s", c.head, c.fields, c.body)
			}
			if u.rejected("share") != 1 || r.Refusal != test.code || r.Application.Deployment != "shop" {
				t.Errorf("counted %d; the log has %+v", u.rejected("share"), r)
			}
		})
	}
}

func TestShare_PlacesAreGivenBack(t *testing.T) {
	u := newUnit(t, sends(hello), shared(2)).others()
	for range 5 { // each of them alone
		for _, path := range []string{"/shop/1", "/blog/1"} {
			c := newClient()
			if u.ask(c, "GET "+path+" HTTP/1.1\nHost: a"); c.head.Status != 200 {
				t.Fatalf("%s: %+v %s", path, c.head, c.body)
			}
		}
	}
	u.o.Sender = sends(func(Destination, *Outgoing) (Answer, error) { panic("ouch") })
	for range 3 {
		u.ask(newClient(), "GET /shop/1 HTTP/1.1\nHost: a")
	}
	c := newClient()
	if u.o.Sender = sends(hello); u.rejected("share") != 0 {
		t.Error("a fault keeps its place")
	}
	u.ask(c, "GET /shop/1 HTTP/1.1\nHost: a")
	if c.head.Status != 200 {
		t.Errorf("%+v %s", c.head, c.body)
	}
}

func TestShare_IsNotAskedForWithoutNeed(t *testing.T) {
	for name, u := range map[string]*unit{
		"the only application": newUnit(t, sends(hello), shared(1)),
		"a health check":       newUnit(t, sends(hello), shared(1), checked(200)).others(),
		"an order":             newUnit(t, sends(hello), shared(1)).others(),
	} {
		c := newClient()
		if name == "an order" {
			u.Call(c, Order{Target: routing.Target{Application: shop, Prefix: "/shop", Path: "/1"}, Method: "GET"})
		} else {
			u.ask(c, "GET /shop/healthz HTTP/1.1\nHost: a")
		}
		if c.head == nil || c.head.Status != 200 {
			t.Errorf("%s: %+v %s", name, c.head, c.body)
		}
	}
}
