package proxy

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// restPause is how long the rest of a body may pause at most while it holds a place on a limited pod,
// however much of it has come before.
const restPause = 30 * time.Second

// rest is the part of a body that was not gathered, as the sender reads it: counted and bounded.
type rest struct {
	Exchanging
	x *exchange
}

// Read gives the next part.
func (r rest) Read(p []byte) (int, error) {
	now, pace := r.x.p.o.Now(), &r.x.body.pace
	r.Patience(pace.patience(r.x.p.o.Limits.StreamIdle), now)
	n, err := r.Exchanging.Read(p)
	if n > 0 {
		r.x.visit.Touch(now)
		if pace.bounded {
			pace.came(n, r.x.p.o.Now().Sub(now))
		}
	}
	if fault := r.x.took(n, err); fault != nil {
		return 0, fault
	}
	return n, err
}

// holdsPlace tells whether the rest of the body keeps others from a pod. Over HTTP/2 one without a
// length may be one half of a conversation, in which nobody owes anything.
func (x *exchange) holdsPlace() bool {
	return x.match.Target.Route().Concurrency > 0 && (x.r.Length >= 0 || x.r.Version != message.HTTP2)
}

// pace is how slowly a body may come. Only the time in which the client is waited for counts: a pod
// may be slow to take it.
type pace struct {
	bounded bool
	spare   time.Duration // that the client may be waited for
}

func (p *pace) begin() { *p = pace{bounded: true, spare: gatherGrace} }

// patience is how long the next part may take, most at most.
func (p *pace) patience(most time.Duration) time.Duration {
	if !p.bounded {
		return most
	}
	return min(max(p.spare, time.Millisecond), most)
}

// came counts a part that was waited for so long.
func (p *pace) came(n int, waited time.Duration) {
	p.spare = min(p.spare-waited+time.Duration(n)*time.Second/leastRate, restPause)
}
