package proxy

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// twoPorts are an application at /shop and, at another port, at /ui and /pb.
func twoPorts(_ *Options, r *routing.Route) {
	r.AlsoAt = []routing.Place{
		{Prefix: "/ui", StripPrefix: true, RewriteAnswers: true, Protocol: routing.HTTP1, ServiceAddress: "shop.default.svc:81"},
		{Prefix: "/pb", Protocol: routing.H2C}, {Prefix: "/lost"},
	}
	for i := range r.Endpoints {
		host, _, _ := strings.Cut(r.Endpoints[i].Address, ":")
		r.Endpoints[i].AlsoAt = []string{host + ":81", host + ":82", ""}
	}
}

// K18: each address has its port, its prefix and its protocol.
func TestFurther_EachAddressIsReachedAsItSays(t *testing.T) {
	for path, want := range map[string]struct {
		port, path string
		protocol   routing.Protocol
	}{
		"/shop/a": {":80", "/a", ""}, "/ui/a%2Fb": {":81", "/a%2Fb", routing.HTTP1}, "/ui": {":81", "/", routing.HTTP1}, "/pb/Shop/Buy": {":82", "/pb/Shop/Buy", routing.H2C},
	} {
		var to Destination
		var sent string
		u := newUnit(t, sends(func(d Destination, r *Outgoing) (Answer, error) {
			to, sent = d, r.Path
			return hello(d, r)
		}), twoPorts)
		r := u.ask(newClient(), "GET "+path+" HTTP/1.1\nHost: a")
		if !strings.HasSuffix(to.Address, want.port) || sent != want.path || to.Protocol != want.protocol || r.Address != to.Address || r.Status != 200 {
			t.Errorf("%s is sent to %+v as %s; the log has %s", path, to, sent, r.Address)
		}
	}
}

func TestFurther_AnswersGetTheirOwnPrefixBack(t *testing.T) {
	for path, want := range map[string]string{"/ui/a": "/ui/items", "/pb/a": "/items"} {
		u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
			return answers(r, "HTTP/1.1 302 Found\nLocation: /items\nContent-Length: 0"), nil
		}), twoPorts)
		c := newClient()
		u.ask(c, "GET "+path+" HTTP/1.1\nHost: a")
		if got := c.field("Location"); got != want {
			t.Errorf("%s: Location is %s, want %s", path, got, want)
		}
	}
}

func TestFurther_NobodyListensThereAndThePodIsNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
			if strings.HasSuffix(to.Address, ":81") {
				tries++
				return nil, &UnsentError{Err: syscall.ECONNREFUSED, Refused: true}
			}
			return hello(to, r)
		}), twoPorts)
		began := time.Now()
		if r := u.ask(newClient(), "GET /ui HTTP/1.1\nHost: a"); r.Status != 502 || tries != 10 || time.Since(began) < time.Second/2 {
			t.Errorf("%d after %d tries and %v", r.Status, tries, time.Since(began))
		}
		if len(u.usable()) != 2 {
			t.Errorf("usable are %v", u.usable())
		}
		if r := u.ask(newClient(), "GET /shop HTTP/1.1\nHost: a"); r.Status != 200 {
			t.Errorf("the other port answers %d", r.Status)
		}
	})
}

func TestFurther_APodWithoutThePortIsNotAsked(t *testing.T) {
	u := newUnit(t, sends(func(to Destination, _ *Outgoing) (Answer, error) {
		t.Errorf("sent to %v", to)
		return nil, ErrBroken
	}), twoPorts)
	c := newClient()
	if r := u.ask(c, "GET /lost HTTP/1.1\nHost: a"); r.Status != 502 || r.Pod != "" || !strings.Contains(string(c.body), "has no port for /lost") {
		t.Errorf("%d by %q: %s", r.Status, r.Pod, c.body)
	}
}

func TestFurther_AnAddressThatWentIsNoOtherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var route routing.Route
		u := newUnit(t, sends(func(to Destination, _ *Outgoing) (Answer, error) {
			t.Errorf("sent to %v", to)
			return nil, ErrBroken
		}), func(o *Options, r *routing.Route) {
			twoPorts(o, r)
			route = *r
			r.State, r.Endpoints = routing.Asleep, nil
		})
		time.AfterFunc(time.Second, func() {
			route.AlsoAt = nil
			u.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{route}})
		})
		c := newClient()
		if r := u.ask(c, "GET /ui HTTP/1.1\nHost: a"); r.Status != 503 || r.Waited != time.Second || !strings.Contains(string(c.body), "route was removed") {
			t.Errorf("%d after %v: %s", r.Status, r.Waited, c.body)
		}
	})
}

func TestFurther_AnOrderNamesThePlaceByItsService(t *testing.T) {
	for target, want := range map[string]string{"http://shop.default.svc:81/a": ":81 /a", "/ui/a": ":81 /a", "/pb/a": ":82 /pb/a", "/shop/a": ":80 /a"} {
		var to, sent string
		var routes []routing.Route
		u := newUnit(t, sends(func(d Destination, r *Outgoing) (Answer, error) {
			to, sent = d.Address, r.Path
			return hello(d, r)
		}), func(o *Options, r *routing.Route) { twoPorts(o, r); routes = []routing.Route{*r} })
		place, err := routing.Resolve(routes, target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		u.Call(newClient(), Order{Target: place, Method: "GET"})
		if got := to[strings.IndexByte(to, ':'):] + " " + sent; got != want {
			t.Errorf("%s is sent to %s, want %s", target, got, want)
		}
	}
}

func TestFurther_WhatIsForwardedNamesItsPrefix(t *testing.T) {
	shown := ""
	u := newUnit(t, sends(func(d Destination, r *Outgoing) (Answer, error) {
		for _, f := range r.Add {
			if message.KnownAs(f.Name) == message.XForwardedPrefix {
				shown = f.Value
			}
		}
		return hello(d, r)
	}), twoPorts)
	if u.ask(newClient(), "GET /ui/a HTTP/1.1\nHost: a"); shown != "/ui" {
		t.Errorf("X-Forwarded-Prefix is %q", shown)
	}
}
