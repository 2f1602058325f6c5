package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

// says is what a load balancer says of the pods cart-1 and cart-2.
func says(first, second string, inFlight int32) loadbalancer.State {
	return loadbalancer.State{Applications: []loadbalancer.ApplicationState{
		{Namespace: "other", Deployment: "cart", Endpoints: []loadbalancer.EndpointState{{Pod: "cart-1", Why: new("terminating"), InFlight: 99}}},
		{Namespace: "shop", Deployment: "cart", Endpoints: []loadbalancer.EndpointState{
			{Pod: "cart-1", Usable: true, Why: &first, InFlight: inFlight}, {Pod: "cart-2", Why: &second},
		}},
	}}
}

// As the console's pods: what is on each and waits in it, and in a word how it is taken.
func TestStatus_WideSaysHowLoadBalancersTakeThePods(t *testing.T) {
	w := newWorld(t)
	app := awake()
	app.Pods[0].Metrics.Values.Queued, app.Pods[0].Metrics.Values.CacheUsage, app.Pods[0].Metrics.Values.GpuUsage = new(3.0), new(0.425), new(62.5)
	app.Pods[1].Metrics = &autoscaler.PodUse{Fresh: true, Source: autoscaler.Sidecar, Values: common.Measurements{InFlight: new(7.0)}}
	app.Pods = append(app.Pods, autoscaler.Pod{Name: "cart-3", State: autoscaler.PodStatePending})
	w.apps = []autoscaler.Application{asleep(), app}
	w.balancer(t).state = says("serves requests", "ejected for 30 s: 5 of 5 failed", 2)
	w.balancer(t).state = says("ramping up: 4 at a time", "ejected for 20 s: 5 of 5 failed", 1)
	golden(t, "status-one-wide.txt", w.run(t, "status", "cart", "-o", "wide").ok(t))
	if got := w.run(t, "status", "cart").ok(t); strings.Contains(got, "TAKEN AS") {
		t.Errorf("not asked for: %s", got)
	}
}

// What load balancers do not say keeps nobody from seeing the rest.
func TestStatus_WideWhereALoadBalancerCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	w.balancer(t).state = says("serves requests", "starting", 2)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	got := w.run(t, "status", "cart", "-o", "wide", "--balancer", away.URL).ok(t)
	if !strings.Contains(got, "Not every load balancer says how it takes the pods: ") || !strings.Contains(got, "usable") || !strings.Contains(got, "starting") {
		t.Error(got)
	}
}

func TestTakenAs_IsTheWordOfTheConsole(t *testing.T) {
	for _, c := range []struct {
		usable bool
		why    string
		want   string
	}{
		{true, "", "usable"}, {true, "serves requests", "usable"}, {false, "", "not usable"}, {false, "its checks fail", "not usable"},
		{false, "ejected for 30 s", "ejected"}, {true, "draining: it is to become empty", "draining"}, {true, "busy: it answered 429", "busy"},
		{true, "ramping up: 2 at a time", "ramping up"}, {false, "starting", "starting"}, {false, "terminating", "terminating"}, {true, "busybody", "usable"},
	} {
		if got := takenAs(loadbalancer.EndpointState{Usable: c.usable, Why: new(c.why)}); got != c.want {
			t.Errorf("%q is %q, want %q", c.why, got, c.want)
		}
	}
}
