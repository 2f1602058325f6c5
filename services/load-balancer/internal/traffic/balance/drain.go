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

// fromAside is, of those that the policy does not see, the one with the fewest requests in flight that can take one more, -1
// is none. Where there is a busy one, be it full, it is none that drains, which is to become empty.
func (b *Pool) fromAside() (best int, reason string) {
	aside, reason := b.busy, "busy, as are all others that serve"
	if len(aside) == 0 {
		aside, reason = b.draining, "draining, and no other pod serves"
	}
	best = -1
	for _, i := range aside {
		if b.load[i] < b.pods[i].ceiling() && (best < 0 || b.load[i] < b.load[best]) {
			best = i
		}
	}
	return best, reason
}
