package fleet

import (
	"slices"
	"time"
)

// keptStarts is how many starts are remembered.
const keptStarts = 20

// starts are the times that the last starts took.
type starts struct {
	took []time.Duration // a ring
	next int
	own  bool // one of them at least was seen here
}

func (s *starts) add(d time.Duration) {
	s.own = true
	if len(s.took) < keptStarts {
		s.took = append(s.took, d)
		return
	}
	s.took[s.next] = d
	s.next = (s.next + 1) % keptStarts
}

// inOrder are the times, oldest first.
func (s *starts) inOrder() []time.Duration { return slices.Concat(s.took[s.next:], s.took[:s.next]) }

// median is 0 until a start was seen. It is rounded to ms, so that a route does not change for less.
func (s *starts) median() time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.took))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid].Round(time.Millisecond)
	}
	return ((sorted[mid-1] + sorted[mid]) / 2).Round(time.Millisecond)
}
