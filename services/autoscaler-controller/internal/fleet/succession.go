package fleet

import (
	"maps"
	"slices"
	"time"
)

// A process that begins to lead has reports of some load balancers and not of others, and must not take
// away pods that one of the others sends requests to. It cannot know by itself that these others
// exist; so each leader leaves the names of all that report to it behind (Balancers), and the next one
// awaits them (Lead): until each of them has reported, has left, or was silent for as long as it
// may be, nothing goes down. That is what the leader before would have done with one that fell silent.

// Lead begins this process' term as the leader: nothing that it has not seen itself counts. awaited
// are the load balancers that reported to the leader before it.
func (f *Fleet) Lead(now time.Time, awaited []string) {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	f.leading, f.heard, f.watched = now, now, time.Time{}
	for _, name := range awaited {
		b, known := f.balancers[name]
		if known && now.Sub(b.last) <= FreshFor {
			continue // it has reported here meanwhile
		}
		if !known {
			if len(f.balancers) >= MaxBalancers {
				f.dropped = now
				continue
			}
			b = newBalancer(name)
			f.balancers[name] = b
		}
		b.awaited, b.last = true, now
		if !known {
			b.forget = f.inherited
		}
	}
	f.publishBalancers(now)
}

// Inherit takes the longest time for which any of those may be silent that the leader before heard, before
// this process leads; 0 is not known.
func (f *Fleet) Inherit(longest time.Duration) {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	f.inherited = longest
}

// Patience is the longest time for which any of those that report may be silent, for the next leader.
func (f *Fleet) Patience() (longest time.Duration) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	for _, b := range f.balancers {
		longest = max(longest, b.patience())
	}
	return longest
}

// Balancers are those that the next leader has to await; false while this process follows:
// then it is not for it to say.
func (f *Fleet) Balancers() ([]string, bool) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	if f.leading.IsZero() {
		return nil, false
	}
	return slices.Sorted(maps.Keys(f.balancers)), true
}
