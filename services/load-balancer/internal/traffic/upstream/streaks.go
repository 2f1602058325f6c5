package upstream

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// streaks are how often in a row each of a pod's checks was good. One that a pod's user wants to be good
// several times counts once a period, as with the kubelet, however often it is made.
type streaks struct {
	probes []routing.Probe
	good   []int
	last   []time.Time // that was counted
}

// of begins anew when the checks are others than before.
func (s *streaks) of(probes []routing.Probe) {
	if s.good == nil || !slices.EqualFunc(s.probes, probes, same) {
		s.good, s.last = make([]int, len(probes)), make([]time.Time, len(probes))
	}
	s.probes = probes
}

// same tells whether two are one check; how long it still waits changes by itself.
func same(a, b routing.Probe) bool {
	return a.TCP == b.TCP && a.Port == b.Port && a.HTTPS == b.HTTPS && a.Host == b.Host && a.Path == b.Path &&
		slices.Equal(a.Headers, b.Headers) && a.Timeout == b.Timeout && a.Successes == b.Successes && a.Period == b.Period
}

// allGood notes that every check was good, and tells whether that is enough; else when the next may count.
func (s *streaks) allGood(now time.Time) (enough bool, next time.Time) {
	enough = true
	for i, p := range s.probes {
		if s.good[i] == 0 || now.Sub(s.last[i]) >= p.Period {
			s.good[i], s.last[i] = s.good[i]+1, now
		}
		if s.good[i] >= p.Successes {
			continue
		}
		enough = false
		if due := s.last[i].Add(p.Period); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return enough, next
}

// bad notes that one was not good; -1 is that the pod took no connection. Those behind it were not made.
func (s *streaks) bad(i int) {
	if i < 0 {
		clear(s.good)
		return
	}
	s.good[i] = 0
}
