package dispatch

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func further(r *routing.Route) {
	r.Prefix, r.Protocol, r.ServiceAddress = "/api", routing.HTTP1, "fib.default.svc:80"
	r.AlsoAt = []routing.Place{{Prefix: "/ui", ServiceAddress: "fib.default.svc:81"}, {Prefix: "/pb.Fib", Hosts: []string{"fib.example"}, Protocol: routing.H2C}}
}

func TestReach_EveryAddressHasItsPortAndProtocol(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Awake, further, pod("a", func(e *routing.Endpoint) { e.AlsoAt = []string{"a:2", "a:3"} }))
	for path, want := range map[string]struct {
		address  string
		protocol routing.Protocol
		further  bool
	}{"/api/x": {"a:1", routing.HTTP1, false}, "/ui": {"a:2", "", true}, "/pb.Fib/Add": {"a:3", routing.H2C, true}} {
		match, err := w.Match("fib.example", path)
		if err != nil || match.Target != w.app() {
			t.Errorf("%s: %v", path, err)
			continue
		}
		v := &Visit{}
		if waits, err := v.Arrive(match.Target, Arrival{}, time.Now()); waits || err != nil {
			t.Fatal(waits, err)
		}
		if address, protocol, further := v.Pod.Reach(match.Prefix); address != want.address || protocol != want.protocol || further != want.further {
			t.Errorf("%s is sent to %s in %q, further %v", path, address, protocol, further)
		}
		v.End(Outcome{Status: 200}, time.Now())
	}
	if _, err := w.Match("other.example", "/pb.Fib/Add"); err == nil {
		t.Error("an address of another host is taken")
	}
	if _, traffic := w.Report(); len(traffic) != 1 || traffic[0].Requests != 3 {
		t.Errorf("it is not one application: %+v", traffic)
	}
	if !w.app().Alone() {
		t.Error("three addresses are no three applications")
	}
}

func TestReach_WithTheRouteAsItIsNow(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Awake, further, pod("a", func(e *routing.Endpoint) { e.AlsoAt = []string{"a:2", "a:3"} }))
	v, _ := w.arrive(t)
	reach := func(prefix string) string {
		address, _, _ := v.Pod.Reach(prefix)
		return address
	}
	// The entries have another order now, and the first one's port is the pod's identity no more.
	w.follow(routing.Awake, func(r *routing.Route) {
		r.Prefix, r.AlsoAt = "/api", []routing.Place{{Prefix: "/pb.Fib"}, {Prefix: "/ui"}}
	},
		pod("a", func(e *routing.Endpoint) { e.AlsoAt = []string{"a:3", "a:2"} }))
	if a, b := reach("/ui"), reach("/pb.Fib"); a != "a:2" || b != "a:3" {
		t.Errorf("/ui is %s, /pb.Fib %s", a, b)
	}
	w.follow(routing.Awake, func(r *routing.Route) { r.AlsoAt = []routing.Place{{Prefix: "/ui"}, {Prefix: "/lost"}} }, pod("a", func(e *routing.Endpoint) { e.AlsoAt = []string{""} }))
	if a, b, c := reach("/ui"), reach("/lost"), reach("/pb.Fib"); a != "" || b != "" || c != "a:1" {
		t.Errorf("without a port: %q, not told: %q, an address that is none any more: %q", a, b, c)
	}
	v.End(Outcome{Status: 200}, time.Now())
}

func TestReach_ThroughTheServiceWhileTheControllerIsAway(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Asleep, further)
	w.ControllerAway(true)
	v, waits := w.arrive(t)
	if !waits || len(w.probes) != 1 {
		t.Fatal("the Service is not looked at")
	}
	w.probes[0].Proven()
	if err := v.Wait(nil); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]string{"/api": "fib.default.svc:80", "/ui": "fib.default.svc:81", "/pb.Fib": ""} {
		if got, _, _ := v.Pod.Reach(prefix); got != want {
			t.Errorf("%s is reached at %q", prefix, got)
		}
	}
	v.End(Outcome{Status: 200}, time.Now())
}

func TestChecks_NoneBeforeTheLastMayBeMade(t *testing.T) {
	w := newWorld(nil)
	began := time.Now()
	w.follow(routing.Waking, nil, pod("a", func(e *routing.Endpoint) {
		starting(e)
		e.Probes = []routing.Probe{{Port: 1, Delay: 2 * time.Second}, {Port: 2, Delay: 5 * time.Second}, {Port: 3}}
	}))
	w.arrive(t)
	probes, from, needed := w.probes[0].Checks()
	if early := from.Sub(began); len(probes) != 3 || !needed || early < 5*time.Second {
		t.Errorf("%d checks, needed %v, from %v on", len(probes), needed, early)
	}
	w.follow(routing.Waking, nil, pod("a", func(e *routing.Endpoint) { starting(e); e.Probes = []routing.Probe{{Port: 1}} }))
	if _, again, _ := w.probes[0].Checks(); !again.Before(from) {
		t.Error("that the delay is over is not taken")
	}
}
