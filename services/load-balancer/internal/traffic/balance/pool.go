package balance

import (
	"math"
	"time"
)

// Pool is the pods of one application. What is scanned stands in slices of its own, so that a
// thousand pods are looked at within a microsecond.
type Pool struct {
	intn     Intn
	chance   func() float64
	policy   Policy
	learner  learner // the policy, when it learns; else nil
	sorted   bool    // the policy goes by order
	counting bool    // it goes by the number of requests in flight
	keyed    bool    // and by owners

	pods []*Pod
	load []int32  // requests in flight from here
	room []int32  // how many may be; 0 is none at all
	ids  []uint64 // of the pods
	open []int32  // indices of the pods with any room

	busy, draining []int // indices of those that would have some, for when no other pod serves

	order  order
	owners owners

	flights  int32     // all of load
	loads    gaugeMean // what pods themselves say
	typical  float64   // milliseconds of an answer, over all pods
	usual    usual
	usable   int       // pods, ejected ones included
	out      int       // of them, ejected
	resting  int       // of them, busy
	panics   bool      // too few are left: ejection is ignored
	stale    bool      // room and open must be made anew
	next     time.Time // when they change by themselves
	window   tally     // of all that are not ejected
	recently tally
	refusals tally // of the last answers of all pods
}

// NewPool makes a pool without pods. chance is from 0 to 1, for jitter.
func NewPool(policy Policy, intn Intn, chance func() float64) *Pool {
	b := &Pool{intn: intn, chance: chance}
	b.Use(policy)
	return b
}

// Use changes the policy; what was learned of the pods stays.
func (b *Pool) Use(policy Policy) {
	b.policy = policy
	b.learner, _ = policy.(learner)
	_, b.sorted = policy.(sorter)
	_, b.counting = policy.(counter)
	_, b.keyed = policy.(keeper)
	b.owners, b.stale = owners{}, true
}

// SetPods names the pods. Their order is stable between calls; one that is no longer named is
// forgotten, and its requests in flight are counted off it alone.
func (b *Pool) SetPods(pods []*Pod) {
	for _, p := range b.pods {
		p.leave()
	}
	b.pods = append(b.pods[:0], pods...)
	clear(b.pods[len(pods):cap(b.pods)])
	b.load, b.room, b.ids, b.flights = b.load[:0], b.room[:0], b.ids[:0], 0
	b.window, b.recently, b.refusals = tally{}, tally{}, tally{}
	for i, p := range pods {
		p.pool, p.index = b, i
		b.load = append(b.load, p.inFlight)
		b.room = append(b.room, 0)
		b.ids = append(b.ids, p.ID)
		b.flights += p.inFlight
		b.window.add(p.history.window())
		b.recently.add(p.history.recent())
		b.refusals.add(p.refusals.recent())
	}
	b.stale = true
}

// Pick chooses a pod for one request. Without one, waits tells whether the request has to wait for a
// certain pod, while another request might find one.
func (b *Pool) Pick(r Request, now time.Time) (pod *Pod, reason string, waits bool) {
	b.look(now)
	if r.Pin != 0 {
		if i := b.find(r.Pin); i >= 0 && b.pods[i].usable {
			if !b.pods[i].hasRoom() {
				return nil, "", true
			}
			return b.pods[i], "its session is there", false
		}
	}
	var i int
	if len(b.open) > 0 { // they may all be full: what drains gets nothing all the same, or would never be empty
		i, reason = b.policy.Pick(b, r, now)
	} else {
		i, reason = b.fromAside()
	}
	if i < 0 {
		return nil, "", false
	}
	return b.pods[i], reason, false
}

// Usable is how many pods are, ejected ones included.
func (b *Pool) Usable(now time.Time) int {
	b.look(now)
	return b.usable
}

// Next is when the pool changes by itself: an ejection ends, a ramp has waited for long enough. The
// zero time is never.
func (b *Pool) Next(now time.Time) time.Time {
	b.look(now)
	return b.next
}

// find is the index of a pod, -1 of one that is not here.
func (b *Pool) find(id uint64) int {
	for i, other := range b.ids {
		if other == id {
			return i
		}
	}
	return -1
}

// free reports whether the pod can take one more request.
func (b *Pool) free(i int) bool { return b.load[i] < b.room[i] }

// look makes room and open anew when something has changed.
func (b *Pool) look(now time.Time) {
	if b.stale || !b.next.IsZero() && !now.Before(b.next) {
		b.filter(now)
	}
}

// unlimited is the room of a pod without a limit.
const unlimited = math.MaxInt32

// filter goes through all pods.
func (b *Pool) filter(now time.Time) {
	b.stale, b.next = false, time.Time{}
	b.usable, b.out, b.resting = 0, 0, 0
	for _, p := range b.pods {
		p.pass(now)
		if p.usable {
			b.usable++
			if p.ejection.Out(now) {
				b.out++
			}
			if p.Busy(now) {
				b.resting++
			}
		}
	}
	// At most half are ejected; when more than that of those that are left would be, the others have
	// gone for other reasons, and a doubtful pod is better than none.
	b.panics = 2*b.out > b.usable
	b.open, b.busy, b.draining = b.open[:0], b.busy[:0], b.draining[:0]
	for i, p := range b.pods {
		room := p.roomNow(now)
		b.room[i] = 0
		switch {
		case room == 0:
		case p.Draining(now):
			b.draining = append(b.draining, i)
		case p.Busy(now):
			b.busy = append(b.busy, i)
		default:
			b.room[i] = room
			b.open = append(b.open, int32(i))
		}
		if p.usable {
			b.sooner(p.next(now))
			if p.Draining(now) {
				b.sooner(p.draining)
			}
		}
	}
	b.average(now)
	if b.sorted {
		b.order.rebuild(b.load, b.open)
	}
	if b.keyed {
		b.owners.follow(b)
	}
}

// sooner brings the next change forward.
func (b *Pool) sooner(t time.Time) {
	if !t.IsZero() && (b.next.IsZero() || t.Before(b.next)) {
		b.next = t
	}
}
