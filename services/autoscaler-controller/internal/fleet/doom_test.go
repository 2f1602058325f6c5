package fleet

import (
	"slices"
	"testing"
)

// sentTo are the pods that a load balancer would send to.
func sentTo(f *Fleet) (list []string) {
	u, _ := f.Routes("")
	for _, e := range u.Routes[0].Endpoints {
		if e.Ready && !e.Terminating {
			list = append(list, e.Pod)
		}
	}
	return list
}

// Between the write of zero and the end of a pod that Kubernetes decides on, a pod looks ready. Nothing
// may be sent to it: not when the write is ours, not when it is somebody else's, and not when the
// count has gone up again while Kubernetes may still be at the zero.
func TestDoom_AtZeroNoPodServesHoweverReadyItLooks(t *testing.T) {
	version := uint64(10)
	observe := func(f *Fleet, replicas int32, behind bool, pods ...Pod) {
		version++
		o := seen(replicas, pods...)
		o.Deployment.Version, o.Deployment.Behind = version, behind
		f.Observe(o, now)
	}
	scaled := func(f *Fleet, replicas int32) {
		version++
		f.Scaled(key, replicas, version, now)
	}
	type step struct {
		name  string
		do    func(f *Fleet)
		want  []string
		alive int32
	}
	zero := map[string]step{
		"by us":          {"", func(f *Fleet) { scaled(f, 0) }, nil, 0},
		"by another one": {"", func(f *Fleet) { observe(f, 0, true, pod("a")) }, nil, 0},
	}
	for name, down := range zero {
		down.name = "down to zero"
		for end, steps := range map[string][]step{
			"it goes, another one comes": {
				{"seen to go", func(f *Fleet) { observe(f, 0, false, pod("a", func(p *Pod) { p.Terminating = true })) }, nil, 0},
				{"up again", func(f *Fleet) { scaled(f, 1) }, nil, 0},
				{"a new one", func(f *Fleet) { observe(f, 1, false, pod("b")) }, []string{"b"}, 1},
			},
			"up again before it goes": {
				{"up", func(f *Fleet) { scaled(f, 1) }, nil, 0},
				{"the cache lags", func(f *Fleet) {
					o := seen(0, pod("a"))
					o.Deployment.Version = 5
					f.Observe(o, now)
				}, nil, 0},
				{"a new one beside it", func(f *Fleet) { observe(f, 1, true, pod("a"), pod("b")) }, []string{"b"}, 1},
				{"it goes", func(f *Fleet) { observe(f, 1, false, pod("a", func(p *Pod) { p.Terminating = true }), pod("b")) }, []string{"b"}, 1},
			},
			"up by another one, and it stays": {
				{"up", func(f *Fleet) { observe(f, 2, true, pod("a")) }, nil, 0},
				{"taken up", func(f *Fleet) { observe(f, 2, false, pod("a")) }, []string{"a"}, 1},
				{"one more", func(f *Fleet) { scaled(f, 3) }, []string{"a"}, 1},
			},
		} {
			f := leading(seen(1, pod("a")))
			if got := sentTo(f); !slices.Equal(got, []string{"a"}) {
				t.Fatalf("before: %v", got)
			}
			for _, s := range append([]step{down}, steps...) {
				s.do(f)
				v, _ := f.View(key, now)
				if got := sentTo(f); !slices.Equal(got, s.want) || v.Ready != s.alive {
					t.Errorf("%s, %s: %s: sent to %v, %d ready; want %v, %d", name, end, s.name, got, v.Ready, s.want, s.alive)
				}
			}
		}
	}
}

// What goes is called so, though Kubernetes does not say it yet.
func TestDoom_IsShownAsGoing(t *testing.T) {
	f := leading(seen(2, pod("a"), pod("b", notReady), pod("c", func(p *Pod) { p.Failed = true })))
	f.Scaled(key, 0, 2, now)
	v, _ := f.View(key, now)
	var got []PodState
	for _, p := range v.Pods {
		got = append(got, p.State)
	}
	if want := []PodState{PodTerminating, PodTerminating, PodFailed}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
