package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func stuckAt(reason string) func(*Pod) {
	return func(p *Pod) {
		notReady(p)
		p.Stuck, p.Message = reason, "server: "+reason+": no such image"
	}
}

// blockedRoute is what the load balancers are told of what blocks the application.
func blockedRoute(t *testing.T, f *Fleet) Blocked {
	t.Helper()
	u, _ := f.Routes("")
	if len(u.Routes) != 1 {
		t.Fatalf("routes: %+v", u.Routes)
	}
	return u.Routes[0].Blocked
}

func TestBlocked_OnlyWhileNoPodCanCome(t *testing.T) {
	terminating := func(p *Pod) { p.Terminating = true }
	for name, c := range map[string]struct {
		seen    Observation
		change  func(*Observation)
		reason  string
		message string
	}{
		"at zero, all is well":             {seen(0), nil, "", ""},
		"paused, at zero":                  {seen(0), func(o *Observation) { o.Spec.Mode = scaling.Paused }, "Paused", "spec.mode"},
		"paused, with a pod":               {seen(1, pod("a")), func(o *Observation) { o.Spec.Mode = scaling.Paused }, "", ""},
		"no Deployment":                    {seen(0), func(o *Observation) { o.Deployment = Deployment{} }, "DeploymentMissing", "default/fib does not exist"},
		"somebody else's, at zero":         {seen(0), func(o *Observation) { o.Owner = "the HorizontalPodAutoscaler x" }, "", ""},
		"somebody else's, with a pod":      {seen(1, pod("a")), func(o *Observation) { o.Owner = "the HorizontalPodAutoscaler x" }, "", ""},
		"no pod yet":                       {seen(1), nil, "", ""},
		"no pod may be made":               {seen(1), func(o *Observation) { o.Deployment.Refusal = "exceeded quota" }, "PodsRefused", "no pod can be made: exceeded quota"},
		"a refusal of long ago":            {seen(0), func(o *Observation) { o.Deployment.Refusal = "exceeded quota" }, "", ""},
		"a second pod may not be made":     {seen(2, pod("a", notReady)), func(o *Observation) { o.Deployment.Refusal = "exceeded quota" }, "", ""},
		"a pod starts":                     {seen(1, pod("a", notReady)), nil, "", ""},
		"its image is not there":           {seen(1, pod("a", stuckAt("ImagePullBackOff"))), nil, "ImagePullBackOff", "a: server: ImagePullBackOff: no such image"},
		"the image of one of two":          {seen(2, pod("a", stuckAt("ErrImagePull")), pod("b", notReady)), nil, "", ""},
		"the images of both":               {seen(2, pod("a", stuckAt("ErrImagePull")), pod("b", stuckAt("ImagePullBackOff"))), nil, "ErrImagePull", "a: "},
		"one serves, another cannot start": {seen(2, pod("a"), pod("b", stuckAt("ErrImagePull"))), nil, "", ""},
		"the stuck one is going":           {seen(1, pod("a", stuckAt("ErrImagePull"), terminating)), nil, "", ""},
	} {
		if c.change != nil {
			c.change(&c.seen)
		}
		f := leading(c.seen)
		got := blockedRoute(t, f)
		if got.Reason != c.reason || !strings.Contains(got.Message, c.message) || got.Since.IsZero() != (c.reason == "") {
			t.Errorf("%s: %+v, want %s: %s", name, got, c.reason, c.message)
		}
		if v, _ := f.View(key, now); v.Blocked != got {
			t.Errorf("%s: people see %+v, load balancers %+v", name, v.Blocked, got)
		}
	}
}

func TestBlocked_IsSinceItBeganAndEndsWithACause(t *testing.T) {
	f := leading(seen(1, pod("a", stuckAt("ErrImagePull"))))
	f.Observe(seen(1, pod("a", stuckAt("ImagePullBackOff"))), at(20))
	want := Blocked{Reason: "ImagePullBackOff", Message: "a: server: ImagePullBackOff: no such image", Since: now}
	if diff := cmp.Diff(want, blockedRoute(t, f)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	before, changed := f.Routes("")
	f.Observe(seen(1, pod("a", notReady)), at(30))
	select {
	case <-changed:
	default:
		t.Error("load balancers are not told that the image is there now")
	}
	if u, _ := f.Routes(before.Version); len(u.Routes) != 1 || u.Routes[0].Blocked != (Blocked{}) {
		t.Errorf("after the image came: %+v", u.Routes)
	}
	f.Observe(seen(1, pod("a", stuckAt("ErrImagePull"))), at(40))
	if got := blockedRoute(t, f); !got.Since.Equal(at(40)) {
		t.Errorf("the next time is since %v", got.Since)
	}
	f.Scaled(key, 0, 9, at(50))
	if got := blockedRoute(t, f); got != (Blocked{}) {
		t.Errorf("when it was put to sleep: %+v", got)
	}
}

func TestStartingSince_IsTheScaleUpUntilAPodWasReady(t *testing.T) {
	f := leading(seen(0))
	since := func() time.Time {
		v, _ := f.View(key, at(60))
		return v.StartingSince
	}
	if !since().IsZero() {
		t.Errorf("at zero: %v", since())
	}
	f.Scaled(key, 1, 2, at(1))
	f.Observe(written(seen(1, pod("a", notReady)), 3), at(5))
	if !since().Equal(at(1)) {
		t.Errorf("while it starts: %v", since())
	}
	f.Observe(written(seen(1, pod("a")), 4), at(9))
	if !since().IsZero() {
		t.Errorf("while it serves: %v", since())
	}
	f.Observe(written(seen(1, pod("a", func(p *Pod) { p.Ready = false })), 5), at(20))
	if !since().IsZero() {
		t.Errorf("a pod that fell back is no start: %v", since())
	}
}

func written(o Observation, v uint64) Observation {
	o.Deployment.Version = v
	return o
}

func TestRoutes_TellWhatBecomesOfRequests(t *testing.T) {
	o := seen(0)
	o.Address.StripPrefix, o.Address.RewriteAnswers, o.Address.H2C = true, true, true
	o.Waiting = Waiting{StartTimeout: time.Minute, BusyTimeout: 7 * time.Second, While: "Page"}
	o.Uncounted = []UncountedRequest{{Paths: []string{"/healthz"}, StatusWhileAsleep: 503}}
	u, _ := leading(o).Routes("")
	want := Route{
		Key: key, Autoscaler: "fib", Address: o.Address, State: Asleep, WakeUpTimeout: 2 * time.Minute, Waiting: o.Waiting, Uncounted: o.Uncounted,
	}
	want.Hash = want.hash()
	if diff := cmp.Diff([]*Route{&want}, u.Routes); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBlocked_WhileSomebodySetsItBackToZeroAgainAndAgain(t *testing.T) {
	f := leading(seen(0))
	for i := range 3 {
		f.Scaled(key, 1, uint64(100+2*i), now)
		f.Owned(key, 0, 1, now)
		o := seen(0)
		o.Deployment.Version, o.Deployment.Manager = uint64(101+2*i), "flux"
		f.Observe(o, now)
	}
	if got := blockedRoute(t, f); got.Reason != ContestedReason || !strings.Contains(got.Message, "flux") {
		t.Errorf("%+v", got)
	}
	if v, _ := f.View(key, now); !strings.Contains(v.Contest, "flux") {
		t.Errorf("people see %q", v.Contest)
	}
}

func TestSlept_IsWhatWasAskedForBefore(t *testing.T) {
	f := leading(seen(3, pod("a")))
	f.Scaled(key, 0, 100, now)
	if v, _ := f.View(key, now); v.Slept != 3 {
		t.Errorf("after our own write: %d", v.Slept)
	}
	f = leading(seen(4, pod("a")))
	f.Observe(seen(0), now)
	if v, _ := f.View(key, now); v.Slept != 4 {
		t.Errorf("after somebody else's: %d", v.Slept)
	}
	o := seen(0)
	o.Slept = 7
	f = leading(o)
	if v, _ := f.View(key, now); v.Slept != 7 {
		t.Errorf("as the status kept it: %d", v.Slept)
	}
}

func TestGroup_IsWhatTheOthersDo(t *testing.T) {
	together := func(name string, replicas int32) Observation {
		o := seen(replicas)
		o.Deployment.UID, o.Spec.Together = name, true
		if name != key.Deployment {
			o.Key = Key{key.Namespace, name}
		}
		if replicas > 0 {
			o.Pods = []Pod{pod(name + "-1")}
		}
		return o
	}
	f := leading(together(key.Deployment, 0))
	f.Observe(together("b", 0), now)
	other := together("c", 1)
	other.Autoscaler = "another"
	f.Observe(other, now)
	group := func() scaling.Group {
		_, s, _ := f.State(key, "", now)
		return s.Together
	}
	if got := group(); got != (scaling.Group{}) {
		t.Errorf("all sleep: %+v", got)
	}
	f.Observe(together("b", 1), now)
	if got := group(); !got.Awake || got.Busy != "" || got.IdleSince.IsZero() {
		t.Errorf("one is awake: %+v", got)
	}
	traffic(f, "lb", 1, now, func(r *Report) { r.Applications = []Traffic{{Key: Key{key.Namespace, "b"}, InFlight: 1}} })
	if got := group(); got.Busy != "b" {
		t.Errorf("one is in use: %+v", got)
	}
	if got := f.Mates(key); len(got) != 1 || got[0].Deployment != "b" {
		t.Errorf("mates %v", got)
	}
	alone := together("b", 1)
	alone.Spec.Together = false
	f.Observe(alone, now)
	if got := f.Mates(Key{key.Namespace, "b"}); got != nil {
		t.Errorf("each on its own: %v", got)
	}
}

func TestContest_WhatAnotherScalerDoesWithAPodThatWasWokenIsItsRight(t *testing.T) {
	o := seen(0)
	o.Owner = "the ScaledObject default/fib"
	f := leading(o)
	for i := range 5 {
		f.Scaled(key, 1, uint64(100+2*i), now)
		f.Owned(key, 0, 1, now)
		o.Deployment.Version, o.Deployment.Manager = uint64(101+2*i), "keda-operator"
		f.Observe(o, now)
	}
	if got := blockedRoute(t, f); got.Reason != "" {
		t.Errorf("requests are refused: %+v", got)
	}
}

func TestContest_OfACountThatTheUserWantsHeldIsOneWithAnotherScalerToo(t *testing.T) {
	o := seen(3, pod("a"))
	o.Owner, o.Spec.Mode, o.Spec.PausedReplicas = "the HorizontalPodAutoscaler default/fib", scaling.Paused, new(int32(2))
	f := leading(o)
	for i := range 3 {
		f.Scaled(key, 2, uint64(100+2*i), now)
		f.Owned(key, 3, 2, now)
		o.Deployment.Version, o.Deployment.Manager = uint64(101+2*i), "kube-controller-manager"
		f.Observe(o, now)
	}
	if v, _ := f.View(key, now); v.Contest == "" {
		t.Error("the two undo each other's work for ever")
	}
}
