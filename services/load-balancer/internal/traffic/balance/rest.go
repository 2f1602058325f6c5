package balance

import "time"

// How long a pod is left alone that is busy.
const (
	firstRest   = 250 * time.Millisecond
	longestRest = 4 * time.Second
)

// Rest is that of one pod that has said it takes no more now (429), as servers do whose own queue is full. Refusals come
// fast, so that such a pod would always have the fewest requests in flight, and draw what others could serve, under the
// policies that go by their number. Under the others it does not rest: it draws nothing, and a key is to stay where it
// is, be its owner refused for calling too often.
//
//	takes requests ──answers 429, as others do not──▶ rests ──its time is over, or one of its requests ends──▶ takes requests
//
// A rest that another 429 follows is followed by one twice as long; a good answer between them begins anew. It is no
// failure, and no ejection: when no other pod serves, requests go there all the same. The zero value takes requests.
type Rest struct {
	until   time.Time
	last    time.Duration
	refused int32 // requests that were, and are not counted off yet
}

// Busy has a pod rest that does not. chance is from 0 to 1: balancers do not come back together.
func (r *Rest) Busy(now time.Time, chance float64) {
	r.last = min(max(firstRest, 2*r.last), longestRest)
	r.until = now.Add(time.Duration(float64(r.last) * (1 + ejectionJitter*(2*chance-1))))
}

// Refused notes a request that was refused: that it ends makes no room.
func (r *Rest) Refused() { r.refused++ }

// Resting tells whether it rests.
func (r *Rest) Resting(now time.Time) bool { return now.Before(r.until) }

// Until is when it does no more.
func (r *Rest) Until() time.Time { return r.until }

// Good begins anew.
func (r *Rest) Good() { r.last = 0 }

// Released counts off a request, and tells whether it ends the rest: one that was worked on has made room.
func (r *Rest) Released() bool {
	if r.refused > 0 {
		r.refused--
		return false
	}
	ends := !r.until.IsZero()
	r.until = time.Time{}
	return ends
}

// refuses notes that the pod has answered 429. What others answer too, as where an application lets each of its users call
// so often, says nothing of a pod.
func (p *Pod) refuses(now time.Time) {
	b := p.pool
	p.remember((*history).bad)
	p.rest.Refused()
	if !b.counting || p.Busy(now) { // then it was sent before
		return
	}
	b.look(now)
	others := b.refusals
	others.sub(p.refusals.recent())
	// At most half rest: who is left is not to bear it all because somebody calls too often.
	if others.share() > othersAreWell || 2*(b.resting+1) > b.usable {
		return
	}
	p.rest.Busy(now, b.chance())
	b.resting++
	if b.few() {
		p.changed()
	} else {
		b.sooner(now.Add(lookIn))
	}
}

// Where there are many pods those that begin or end a rest are looked at together: to go through all of them for each is
// more than a request costs.
const (
	fewPods = 64
	lookIn  = 10 * time.Millisecond
)

func (b *Pool) few() bool { return len(b.pods) <= fewPods }

// accepts notes that the pod has answered, and not with 429.
func (p *Pod) accepts() {
	if !p.refusals.spotless() {
		p.remember((*history).good)
	}
}

// remember changes what is known of its refusals, and what the pool adds up of it.
func (p *Pod) remember(change func(*history)) {
	recent := p.refusals.recent()
	change(&p.refusals)
	if b := p.pool; b != nil {
		b.refusals.sub(recent)
		b.refusals.add(p.refusals.recent())
	}
}
