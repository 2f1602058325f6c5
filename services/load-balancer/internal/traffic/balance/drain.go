package balance

import "time"

// SetDraining says that the pod was chosen to go: until then it gets nothing new while another pod
// serves, be that one full, and what it works on goes on. Whoever waits for a full pod is demand, which
// calls the way down off where it may; the controller takes an empty pod away, and trusts that nothing
// comes to it. The zero time is that it was not chosen.
func (p *Pod) SetDraining(until time.Time) {
	if !p.draining.Equal(until) {
		p.draining = until
		p.changed()
	}
}

// Draining tells whether it is to get nothing new.
func (p *Pod) Draining(now time.Time) bool { return now.Before(p.draining) }

// setAside keeps a draining or busy pod from the policy, for when no other one serves.
func (b *Pool) setAside(i int, room int32) {
	b.room[i] = 0
	if room > 0 {
		b.aside = append(b.aside, i)
	}
}

// fromAside is the one of those with the fewest requests in flight that can take one more, -1 is none. Where there is
// a busy one, be it full, it is none that drains, which is to become empty.
func (b *Pool) fromAside(now time.Time) (best int, reason string) {
	best, reason = -1, "draining, and no other pod serves"
	drains := true
	for _, i := range b.aside {
		if drains && !b.pods[i].Draining(now) {
			best, reason, drains = -1, "busy, as are all others that serve", false
		}
		if drains || !b.pods[i].Draining(now) {
			if b.load[i] < b.pods[i].ceiling() && (best < 0 || b.load[i] < b.load[best]) {
				best = i
			}
		}
	}
	return best, reason
}
