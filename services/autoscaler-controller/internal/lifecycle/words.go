package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// waitsFor is what keeps a chosen pod.
func (v victim) waitsFor() string {
	switch {
	case v.InFlight > 0:
		return "what is on it has ended: " + onIt(v.PodLoad)
	case len(v.Pending) > 0:
		return scaling.List(v.Pending) + " no longer sends to it"
	default:
		return "the load balancers have been told"
	}
}

// waited is for how long, and for what, a pod was waited that goes now.
func (v victim) waited(now time.Time, spec scaling.Spec) string {
	said := "after " + scaling.Seconds(now.Sub(v.since))
	if v.streams > 0 {
		said += fmt.Sprintf(" and %s", scaling.Count(v.streams, "stream", "streams"))
	}
	if v.empty() {
		return said
	}
	why := onIt(v.PodLoad) + " still on it"
	if v.InFlight == 0 {
		why = "no answer from " + scaling.List(v.Pending)
	}
	return said + fmt.Sprintf(", though %s: its time of %s is over", why, scaling.Seconds(v.deadline(spec).Sub(v.since)))
}

// onIt is what is on a pod.
func onIt(l fleet.PodLoad) string {
	said := scaling.Count(l.InFlight, "request", "requests")
	if l.Streaming > 0 {
		said += fmt.Sprintf(" (%s)", scaling.Count(l.Streaming, "stream", "streams"))
	}
	return said
}

func stayed(n int) string {
	if n == 1 {
		return " stays"
	}
	return " stay"
}

func names(pods []string) string { return scaling.List(pods) }

// union is both lists as one, ordered, each name once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// present are those of the names that are pods here.
func present(pods []string, here []fleet.PodLoad) []string {
	return slices.DeleteFunc(slices.Clone(pods), func(pod string) bool {
		return !slices.ContainsFunc(here, func(l fleet.PodLoad) bool { return l.Name == pod })
	})
}

// same tells whether two say the same, but for the time.
func same(a, b fleet.Quiesce) bool {
	return a.All == b.All && a.Paused.Equal(b.Paused) && slices.Equal(a.Pods, b.Pods)
}
