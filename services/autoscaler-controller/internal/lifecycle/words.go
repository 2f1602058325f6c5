package lifecycle

import (
	"fmt"
	"slices"
	"strings"
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
		return list(v.Pending) + " no longer sends to it"
	default:
		return "the load balancers have been told"
	}
}

// waited is for how long, and for what, a pod was waited that goes now.
func (v victim) waited(now time.Time, spec scaling.Spec) string {
	said := "after " + seconds(now.Sub(v.since))
	if v.streams > 0 {
		said += fmt.Sprintf(" and %s", count(v.streams, "stream", "streams"))
	}
	if v.empty() {
		return said
	}
	why := onIt(v.PodLoad) + " still on it"
	if v.InFlight == 0 {
		why = "no answer from " + list(v.Pending)
	}
	return said + fmt.Sprintf(", though %s: its time of %s is over", why, seconds(v.deadline(spec).Sub(v.since)))
}

// onIt is what is on a pod.
func onIt(l fleet.PodLoad) string {
	said := count(l.InFlight, "request", "requests")
	if l.Streaming > 0 {
		said += fmt.Sprintf(" (%s)", count(l.Streaming, "stream", "streams"))
	}
	return said
}

func stayed(n int) string {
	if n == 1 {
		return " stays"
	}
	return " stay"
}

func count(n int32, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// seconds writes a duration as a person would: 90 s, 0.5 s.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%v s", d.Round(100*time.Millisecond).Seconds())
}

// list names at most three.
func list(all []string) string {
	if len(all) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return strings.Join(all, ", ")
}

func names(pods []string) string { return list(pods) }

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
