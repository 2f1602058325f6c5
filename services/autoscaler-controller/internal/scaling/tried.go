package scaling

import (
	"maps"
	"time"
)

// Tried is what a threshold tried: pods were added from a count on, at which it was passed by a value,
// under a load.
type Tried struct {
	Replicas int32
	Value    float64
	Load     float64
	Below    time.Time // since when it has not been passed; zero: it is
}

const (
	// lowers is the least share of the fall that one would expect from more pods, of what is shared out
	// among them, for the next one to be tried.
	lowers = 0.25
	// loadGrew is how much more load explains that a value did not fall.
	loadGrew = 1.2
	// triedFor is how long a threshold must not have been passed before what it tried is forgotten: a new
	// pod uses little at first.
	triedFor = 10 * time.Minute
)

// futile is said where nothing more is tried.
const futile = "; another pod did not lower it: none is added for it"

// worthwhile tells whether another pod may lower what a threshold looks at. It may not, when the last one
// did not though the load is the same: the memory of a process that does nothing is what it is on any
// number of pods. Of CPU and response times nothing is said where no load is seen: it may have grown.
func (h *holding) worthwhile(rule string, m Mean, s State, high bool) bool {
	tried, known := h.tries[rule]
	if known && !tried.Below.IsZero() && h.now.Sub(tried.Below) >= triedFor { // whenever it is looked at again
		delete(h.tries, rule)
		known = false
	}
	if !high {
		if known && tried.Below.IsZero() {
			tried.Below = h.now
			h.tries[rule] = tried
		}
		return true
	}
	load := s.Demand.load()
	stays := m.Metric == Memory || m.Metric == Disk
	switch {
	case !known || tried.Replicas >= s.Replicas, load > loadGrew*tried.Load+0.01, !stays && load == 0:
		h.tries[rule] = Tried{Replicas: s.Replicas, Value: m.Value, Load: load}
		return true
	}
	tried.Below = time.Time{}
	h.tries[rule] = tried
	if s.Ready < s.Replicas { // the last one is not there yet
		return true
	}
	expected := tried.Value * (1 - float64(tried.Replicas)/float64(s.Replicas))
	if tried.Value-m.Value < lowers*expected {
		return false
	}
	h.tries[rule] = Tried{Replicas: s.Replicas, Value: m.Value, Load: load}
	return true
}

// load is one number for how much there is to do.
func (d Demand) load() float64 {
	return max(d.Arrivals.Long, d.Concurrency.Long, d.Running)
}

// tries is a copy of what was tried.
func (m History) tries() map[string]Tried {
	if copied := maps.Clone(m.Tries); copied != nil {
		return copied
	}
	return map[string]Tried{}
}
