package control

import (
	"slices"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// KeptDecisions is how many decisions are remembered.
const KeptDecisions = 1000

// journal is a ring of the last decisions.
type journal struct {
	mu   sync.Mutex
	ring []fleet.Record
	next int
}

func (j *journal) add(r fleet.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ring) < KeptDecisions {
		j.ring = append(j.ring, r)
		return
	}
	j.ring[j.next] = r
	j.next = (j.next + 1) % KeptDecisions
}

// last are at most limit decisions, newest first.
func (j *journal) last(f fleet.Filter, limit int) []fleet.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	ordered := slices.Concat(j.ring[j.next:], j.ring[:j.next])
	slices.Reverse(ordered)
	found := slices.DeleteFunc(ordered, func(r fleet.Record) bool { return !f.Matches(r) })
	return found[:min(limit, len(found))]
}
