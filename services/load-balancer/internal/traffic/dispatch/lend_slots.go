package dispatch

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// What the load balancer does that lends a limited application's slots: it chooses the pods, for the
// others as for itself.

// own is how many requests from here are on it.
func (p *Pod) own() int { return p.balanced.InFlight() - p.lent }

// lend counts so many requests of other load balancers as in flight on it.
func (p *Pod) lend(n int) {
	for ; p.lent < n; p.lent++ {
		p.balanced.Sent()
	}
	for ; p.lent > n; p.lent-- {
		p.balanced.Returned()
	}
}

// free chooses a pod for a request that has just come, and for which nobody waits.
func (a *Application) free(r balance.Request, now time.Time) (*Pod, string) {
	if s := a.share; s != nil {
		a.convene(now)
		if !s.seated || !s.account.Lending() || s.account.Queue() != nil {
			return nil, ""
		}
	}
	pod, reason, _ := a.pick(r, now)
	return pod, reason
}

// countLent has the pods' counts follow the account.
func (a *Application) countLent() {
	a.share.account.TakeMoved(func(name string, lent int) {
		for _, p := range a.pods {
			if p.Name == name {
				p.lend(lent)
			}
		}
	})
}

// beginLending serves from here who waits here. When nobody knows what was lent before, every slot that
// nobody is known to have rests.
func (a *Application) beginLending(unknown bool, now time.Time) {
	s := a.share
	for _, v := range s.tickets {
		v.slot = 0
	}
	clear(s.tickets)
	if unknown {
		until := now.Add(s.times.rest(now))
		for _, p := range a.pods {
			s.account.Rest(p.Name, a.Route().Concurrency-p.balanced.InFlight(), until)
		}
		s.resting = s.account.Wake(now)
		a.countLent()
	}
	if a.d.options.Lends != nil {
		a.d.options.Lends(a.ID, unknown)
	}
}

// lendSlots serves the requests that wait here, and the tickets of others.
func (a *Application) lendSlots(now time.Time) {
	s := a.share
	queue, passed := s.account.Queue(), 0
	for t := a.room.First(); passed <= mostPassedOver; {
		w, others := queue.Peek()
		if t == nil && !others {
			return
		}
		if t != nil && (!others || !visitOf(t).Arrived.After(w.Arrived)) {
			next, v := t.Next(), visitOf(t)
			pod, reason, waits := a.pick(v.arrival.Affinity, now)
			switch {
			case pod != nil:
				a.admitTo(v, pod, reason, now)
			case !waits:
				return
			default:
				passed++
			}
			t = next
			continue
		}
		pod, waits := a.pickFor(w, now)
		switch {
		case pod != nil:
			s.account.Grant(w, pod.Name)
			a.countLent()
		case !waits:
			return
		default:
			queue.Pass(w)
			passed++
		}
	}
}

// pickFor chooses a pod for a ticket of another load balancer, but for those that it cannot use.
func (a *Application) pickFor(w slots.Waiter, now time.Time) (pod *Pod, waits bool) {
	for _, p := range a.pods {
		if slices.Contains(w.Avoid, p.Name) {
			p.balanced.SetUsable(false)
			defer p.balanced.SetUsable(p.usable())
		}
	}
	pod, _, waits = a.pick(balance.Request{Key: w.Key, Pin: w.Pin}, now)
	return pod, waits || len(w.Avoid) > 0
}
