package proxy

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// checked has health checks that are no traffic.
func checked(status int) func(*Options, *routing.Route) {
	return func(_ *Options, r *routing.Route) {
		r.Uncounted = routing.NewUncounted([]routing.UncountedRule{
			{Paths: []string{"/healthz", "/grpc.health.v1.Health/*", "/grpc/*"}, Status: status}, {UserAgents: []string{"GoogleHC/"}, Status: status},
		})
	}
}

func (u *unit) uncounted(answer string) int {
	return int(testutil.ToFloat64(u.o.Metrics.uncounted.WithLabelValues("default", "shop", answer)))
}

func (u *unit) counted() int {
	return testutil.CollectAndCount(u.o.Metrics.requests) + testutil.CollectAndCount(u.o.Metrics.duration) + testutil.CollectAndCount(u.o.Metrics.waited)
}

func TestUncounted_IsAnsweredHereWhileNoPodServes(t *testing.T) {
	for name, test := range map[string]struct {
		rule   int // the status
		head   string
		status int
		says   string
	}{
		"200":                {200, "GET /shop/healthz HTTP/1.1\nHost: a", 200, "asleep\n"},
		"200, by its agent":  {200, "GET /shop/ HTTP/1.1\nHost: a\nUser-Agent: GoogleHC/1.0", 200, "asleep\n"},
		"200, HEAD":          {200, "HEAD /shop/healthz HTTP/1.1\nHost: a", 200, ""},
		"200, with a query":  {200, "GET /shop/./healthz?now HTTP/1.1\nHost: a", 200, "asleep\n"},
		"200, to gRPC":       {200, "POST /shop/grpc.health.v1.Health/Check HTTP/1.1\nHost: a\nContent-Type: application/grpc", 200, "\x00\x00\x00\x00\x02\x08\x01"},
		"200, to other gRPC": {200, "POST /shop/grpc/x HTTP/1.1\nHost: a\nContent-Type: application/grpc", 200, ""},
		"503":                {503, "GET /shop/healthz HTTP/1.1\nHost: a", 503, "problem"},
		"503, to gRPC":       {503, "POST /shop/grpc.health.v1.Health/Check HTTP/1.1\nHost: a\nContent-Type: application/grpc", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := asleep(t, "", sends(hello), checked(test.rule))
			for _, state := range []routing.State{routing.Asleep, routing.FallingAsleep} {
				route := u.route
				if route.State = state; state == routing.FallingAsleep {
					route.Endpoints = []routing.Endpoint{{Pod: "shop-1", Address: "10.0.0.1:80", Ready: true}}
				}
				u.d.Apply(routing.Update{Version: string(state), Routes: []routing.Route{route}})
				c := newClient()
				r := u.ask(c, test.head)
				if c.head.Status != test.status || test.says != "problem" && string(c.body) != test.says || test.says == "problem" && c.code(t) != "unavailable" || !c.ended || r.Status == 0 {
					t.Errorf("%s: %+v %q %q", state, c.head, c.fields, c.body)
				}
				if test.rule == 200 && test.says != "" && (r.Refusal != "" || r.Error != "") || r.WakeUp != "" || r.Waited != 0 || r.Application.Deployment != "shop" || !r.Uncounted {
					t.Errorf("%s: the log has %+v", state, r)
				}
			}
			if _, traffic := u.d.Report(); len(traffic) > 0 {
				t.Errorf("reported is %+v", traffic)
			}
			if u.uncounted("asleep") != 2 || u.counted() != 0 || u.uncounted("pod") != 0 {
				t.Errorf("%d are counted apart, %d as traffic", u.uncounted("asleep"), u.counted())
			}
		})
	}
}

func TestUncounted_GRPCHealthHasItsStatusBehindTheAnswer(t *testing.T) {
	u, c := asleep(t, "", sends(hello), checked(200)), newClient()
	u.ask(c, "POST /shop/grpc.health.v1.Health/Check HTTP/1.1\nHost: a\nContent-Type: application/grpc+proto")
	equal(t, "the head", c.fields, []string{"Content-Type: application/grpc+proto"})
	equal(t, "the trailers", c.trailers, []string{"grpc-status: 0"})
}

func TestUncounted_GetsAPodThatIsFreeAndLeavesNoTrace(t *testing.T) {
	u, c := newUnit(t, sends(hello), checked(503)), newClient()
	if r := u.ask(c, "GET /shop/healthz HTTP/1.1\nHost: a"); string(c.body) != "hello" || r.Pod == "" {
		t.Errorf("%+v %q; the log has %+v", c.head, c.body, r)
	}
	if _, traffic := u.d.Report(); len(traffic) > 0 || u.counted() != 0 || u.uncounted("pod") != 1 {
		t.Errorf("reported is %+v, counted %d", traffic, u.counted())
	}
	u.ask(newClient(), "GET /shop/1 HTTP/1.1\nHost: a")
	if _, traffic := u.d.Report(); len(traffic) != 1 || traffic[0].Requests != 1 || u.counted() == 0 {
		t.Errorf("reported is %+v, counted %d", traffic, u.counted())
	}
}

func TestUncounted_IsWellWhileEveryPodIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, nil, checked(503), func(_ *Options, r *routing.Route) { r.Concurrency = 1 })
		u.o.Sender = sends(func(to Destination, r *Outgoing) (Answer, error) {
			time.Sleep(time.Minute)
			return hello(to, r)
		})
		for range 3 { // one of them waits
			go u.Serve(newClient(), request(t, "GET /shop/1 HTTP/1.1\nHost: a"))
		}
		synctest.Wait()
		c := newClient()
		u.Serve(c, request(t, "GET /shop/healthz HTTP/1.1\nHost: a"))
		if c.head.Status != 200 || string(c.body) != "busy\n" || u.uncounted("busy") != 1 {
			t.Errorf("%+v %q", c.head, c.body)
		}
		time.Sleep(5 * time.Minute)
		u.settled()
	})
}

func TestUncounted_APodThatTakesNoConnectionIsAsGoodAsNone(t *testing.T) {
	u := newUnit(t, sends(func(Destination, *Outgoing) (Answer, error) {
		return nil, &UnsentError{Err: syscall.ECONNREFUSED, Refused: true}
	}), checked(200))
	c := newClient()
	if r := u.ask(c, "GET /shop/healthz HTTP/1.1\nHost: a"); c.head.Status != 200 || string(c.body) != "asleep\n" || r.Tries != 2 || len(u.usable()) != 0 {
		t.Errorf("%+v %q; the log has %+v", c.head, c.body, r)
	}
}

func TestUncounted_OtherFailuresAreFailures(t *testing.T) {
	u := newUnit(t, failing(ErrBroken), checked(200))
	c := newClient()
	if u.ask(c, "GET /shop/healthz HTTP/1.1\nHost: a"); c.head.Status != 502 || c.code(t) != "bad-gateway" || u.failed("broken") != 1 {
		t.Errorf("%+v %q", c.head, c.body)
	}
	c = newClient()
	c.fails = errors.New("reset")
	u.route.Endpoints = nil
	u.d.Apply(routing.Update{Version: "2", Routes: []routing.Route{u.route}})
	if r := u.ask(c, "GET /shop/healthz HTTP/1.1\nHost: a"); r.Error == "" {
		t.Errorf("the log has %+v", r)
	}
}

func TestUncounted_AnOrderIsTraffic(t *testing.T) {
	u := newUnit(t, sends(hello), checked(503))
	u.Call(newClient(), Order{Target: routing.Target{Application: shop, Prefix: "/shop", Path: "/healthz"}, Method: "GET"})
	if _, traffic := u.d.Report(); len(traffic) != 1 || u.uncounted("pod") != 0 {
		t.Errorf("reported is %+v", traffic)
	}
}
