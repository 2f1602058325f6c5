package balance

import "time"

// Pod is one pod, as its pool knows it. It belongs to no pool before SetPods names it, nor after it
// no longer does; what is under way is counted all the same.
type Pod struct {
	ID uint64 // of its name, by Hash: the same at every load balancer

	pool     *Pool // nil: it is in none
	index    int
	inFlight int32
	usable   bool
	limit    int32 // 0 is no limit
	draining time.Time
	ejection Ejection
	rest     Rest
	ramp     RampUp
	history  history
	refusals history // 429, as history has failures
	latency  latency
	pace     pace
	gauges   Gauges
}

// Index is where it stands among the pods of its pool.
func (p *Pod) Index() int { return p.index }

// InFlight is how many requests are on it from here.
func (p *Pod) InFlight() int { return int(p.inFlight) }

// SetUsable says whether requests may be sent to it at all, ejection and limits apart.
func (p *Pod) SetUsable(usable bool) {
	if p.usable != usable {
		p.usable = usable
		p.changed()
	}
}

// SetLimit says how many requests from here it may have at a time; 0 is no limit.
func (p *Pod) SetLimit(limit int) {
	if p.limit != int32(limit) { //nolint:gosec // G115: bounded by the contract
		p.limit = int32(limit) //nolint:gosec // G115: bounded by the contract
		p.changed()
	}
}

// StartRamp begins its ramp with so many requests at a time, unless it began already.
func (p *Pod) StartRamp(first int, now time.Time) {
	p.ramp.Start(first, now)
	p.changed()
}

// ResetRamp makes the next StartRamp begin anew: the pod is not ready any more.
func (p *Pod) ResetRamp() {
	p.ramp.Reset()
	p.changed()
}

// Forgive forgets the failures that were held against it.
func (p *Pod) Forgive() {
	p.ejection, p.rest = Ejection{}, Rest{refused: p.rest.refused}
	p.outcome(func(h *history) { *h = history{} })
	p.remember(func(h *history) { *h = history{} })
	p.changed()
}

// Ejected tells whether it is ejected now.
func (p *Pod) Ejected(now time.Time) bool {
	return p.ejection.Out(now) && (p.pool == nil || !p.pool.panics)
}

// Busy tells whether it has said that it takes no more now, and gets nothing new while another pod serves.
func (p *Pod) Busy(now time.Time) bool { return p.rest.Resting(now) }

// Ramping is how many requests it may have at a time while it is on its ramp; 0 is that it is not.
func (p *Pod) Ramping() int { return int(p.ramp.Limit()) }

// Sent counts a request that is sent to it, and returns how many are in flight then.
func (p *Pod) Sent() int32 {
	if b := p.pool; b != nil {
		if b.sorted && !b.stale {
			b.order.more(p.index, p.inFlight)
		}
		b.load[p.index]++
		b.flights++
	}
	p.inFlight++
	return p.inFlight
}

// Released counts it off; where it was worked on, whoever waits for a place finds one.
func (p *Pod) Released() {
	p.Returned()
	// Of many pods one is not looked at for that alone: its rest is over soon by itself.
	if p.rest.Released() && p.pool != nil && p.pool.few() {
		p.changed()
	}
}

// Returned counts it off, and says nothing of the pod: another load balancer sent it.
func (p *Pod) Returned() {
	if b := p.pool; b != nil {
		if b.sorted && !b.stale {
			b.order.less(p.index, p.inFlight)
		}
		b.load[p.index]--
		b.flights--
	}
	p.inFlight--
}

func (p *Pod) leave() { p.pool, p.index = nil, 0 }

func (p *Pod) changed() {
	if p.pool != nil {
		p.pool.stale = true
	}
}

// pass takes it through what changes by time alone.
func (p *Pod) pass(now time.Time) {
	if p.ejection.Return(now) {
		p.ramp.Reset()
		p.ramp.Start(trialFirst, now)
	}
	p.ramp.Pass(now)
}

// next is when it changes by itself, but for a draining that ends.
func (p *Pod) next(now time.Time) time.Time {
	if p.ejection.Out(now) {
		return p.ejection.Until()
	}
	next := p.ramp.Next()
	if p.Busy(now) && (next.IsZero() || p.rest.Until().Before(next)) {
		return p.rest.Until()
	}
	return next
}

// roomNow is how many requests it may have at a time; 0 is none at all.
func (p *Pod) roomNow(now time.Time) int32 {
	if !p.usable || p.Ejected(now) {
		return 0
	}
	return p.ceiling()
}

// ceiling is the lesser of its limit and what its ramp allows.
func (p *Pod) ceiling() int32 {
	room := int32(unlimited)
	if p.limit > 0 {
		room = p.limit
	}
	if ramp := p.ramp.Limit(); ramp > 0 {
		room = min(room, ramp)
	}
	return room
}

// hasRoom tells whether it has a place for a request that has no other choice: also while it is ejected.
func (p *Pod) hasRoom() bool { return p.inFlight < p.ceiling() }
