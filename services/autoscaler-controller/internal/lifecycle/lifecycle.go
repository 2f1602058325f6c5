// Package lifecycle leads one application through time: memory and an event give memory and what is
// to be done. It is pure, so that a simulator runs the very same as the controller; whoever runs it
// does what the Plan says, in its order, and tells how that went (Done).
//
//	Look: what is known now ─► Decide (scaling) ─► Plan: tell the load balancers, mark pods, scale
//	                                                 │
//	Done: how it went ◄──────────────────────────────┘   ─► Report: what is recorded and told
//
// On the way up a Plan scales at once. A way down is led, so that nobody is cut off:
//
//	            n → m                                        n → 0
//	  ┌─ choose whom Kubernetes would take         everything: the application falls asleep
//	  │  anyway, the idle, the least loaded                  │
//	  ▼                                                      ▼
//	tell the load balancers: nothing new to them     nothing new at all; what comes wakes it
//	mark them, so that Kubernetes takes them                 │
//	  │                                                      │
//	wait until each is empty, or its time is over    wait until all is quiet, at most 5 s (paused: as n → m)
//	  │                                                      │
//	patch /scale by as many as are empty             patch /scale to 0
//	  │
//	look who went, and say it
//
// When the wish for fewer pods has gone before that, the way down is called off: the load balancers
// send again, and the marks are taken back. What the load balancers are told has a lease, and what is
// chosen stands on the pods: so a way down outlives the leader, and the next one takes it up.
//
// Not here: how many pods there should be (scaling), what is known (fleet), Kubernetes and clocks.
package lifecycle

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// The times of a way down.
const (
	Lease         = 30 * time.Second // for which the load balancers go on without hearing of it again
	renewal       = 10 * time.Second // after which it is told again
	AsleepWithin  = 5 * time.Second  // for all load balancers to fall quiet before zero
	retryAsleep   = 10 * time.Second // after a way to zero that failed
	StreamTimeout = 900 * time.Second
	PlainTimeout  = 60 * time.Second
	rechoose      = 5 * time.Second  // another pod is chosen this often at most, where it would be better
	rolloutGrace  = 10 * time.Minute // for which a rollout is waited for
)

// Memory is what is remembered of one application between looks. The zero value remembers nothing.
type Memory struct {
	Last    *fleet.Record // the last recorded decision
	Failure string        // why the last scaling failed; "" when it did not

	term      uint64
	since     map[string]time.Time // the last decision's Since
	history   scaling.History      // the last decision's
	retryAt   time.Time            // before which no way to zero begins again
	rollout   time.Time            // since when pods of two templates are there; zero: they are not
	drain     *drain
	told      fleet.Quiesce
	marks     map[string]fleet.Marking // as they were written last; the cache may lag
	step      *step
	backoffs  backoffs
	alarms    alarms
	signature string
}

// Look is an event: something was heard, or a moment has come.
type Look struct {
	Snapshot fleet.Snapshot
	Call     *scaling.Call // a start call that is being answered
	Term     uint64        // of leadership; 0: this process follows, and takes nothing away
	Now      time.Time
}

// Plan is what is to be done, in this order. Marks come before the scaling: Kubernetes heeds only
// those that were written before.
type Plan struct {
	Decision scaling.Decision
	Snapshot fleet.Snapshot // that it was made on
	Called   bool           // a start call waits for it
	Quiesce  *fleet.Quiesce // what to tell the load balancers; nil: as before
	Marks    []fleet.Marking
	Scale    bool     // to Decision.To
	Settled  *Settled // the last scaling has come to its end
	Slow     bool     // a start from zero takes longer than it may
	News     []fleet.News
	Again    time.Time

	at    time.Time
	going []string // pods that are to go with this scaling
	calm  bool     // after a failure: nothing is tried, and nothing is recorded

	withheld time.Time // until when the scaling is not tried that is wanted
}

// Acts tells whether anything outside is changed.
func (p Plan) Acts() bool { return p.Scale || len(p.Marks) > 0 }

// Look decides, and says what is to be done.
func (m *Memory) Look(l Look) Plan {
	if m.term != l.Term { // what went on before is for another to end, or to begin anew
		*m = Memory{Last: m.Last, Failure: m.Failure, signature: m.signature, alarms: m.alarms, term: l.Term}
	}
	state := l.Snapshot.Scaling
	state.Call, state.Since, state.History = l.Call, m.since, m.history
	if m.drain == nil || !m.drain.all {
		state.RetryAt = m.retryAt
	}
	d := scaling.Decide(l.Snapshot.Spec, state, l.Now)
	m.since, m.history = d.Since, d.History
	p := Plan{Decision: d, Snapshot: l.Snapshot, Called: l.Call != nil, Again: d.Due, at: l.Now}
	if l.Term != 0 {
		p.Settled = m.settle(l.Snapshot, l.Now)
		m.way(&p)
		m.alarm(&p)
	}
	p.Scale = p.Decision.To != p.Decision.From
	m.calm(&p)
	p.Decision.Due = p.Again
	return p
}

// Preview is what would be decided with another spec. Nothing of it is remembered.
func (m *Memory) Preview(s fleet.Snapshot, spec scaling.Spec, now time.Time) scaling.Decision {
	state := s.Scaling
	state.Since, state.History = m.since, m.history
	if m.drain == nil || !m.drain.all {
		state.RetryAt = m.retryAt
	}
	return scaling.Decide(spec, state, now)
}

// way leads the way down, if there is one.
func (m *Memory) way(p *Plan) {
	d := &p.Decision
	m.reconcileMarks(p.Snapshot)
	switch {
	case d.Aim >= d.From || !p.Snapshot.Deployment.Found:
		m.stay(p)
	case d.Aim == 0:
		m.asleep(p)
	default:
		m.some(p)
	}
	m.tell(p)
}

// stay calls off what is under way.
func (m *Memory) stay(p *Plan) {
	if m.drain != nil {
		d, said := &p.Decision, "going to sleep is called off"
		if !m.drain.all {
			said = "the way down is called off: " + names(m.drain.pods()) + stayed(len(m.drain.victims))
		}
		d.Drain = scaling.DrainCancel
		d.Explain(scaling.Reason{Rule: "Drain", Effect: scaling.Note, Replicas: d.To, Message: said, News: true})
		m.drain = nil
	}
	m.mark(p, nil)
}

// tell says what the load balancers are to be told now: the pods that are chosen, and those that were
// scaled away and have not gone yet. A lease is told again before it is over.
func (m *Memory) tell(p *Plan) {
	q := fleet.Quiesce{}
	if m.drain != nil {
		q.All, q.Pods = m.drain.all, m.drain.pods()
		if q.All && p.paused() {
			q.Paused = m.drain.since
		}
	}
	if m.step != nil && !q.All {
		q.Pods = union(q.Pods, m.step.going)
	}
	q.Pods = present(q.Pods, p.Snapshot.Loads)
	if q.All || len(q.Pods) > 0 {
		q.Until = m.told.Until
		if !same(q, m.told) || !p.at.Add(Lease-renewal).Before(q.Until) {
			q.Until = p.at.Add(Lease)
		}
		p.again(q.Until.Add(renewal - Lease))
	}
	m.told = q
	p.Quiesce = &q
}

// again asks for a look at a moment, at the latest.
func (p *Plan) again(at time.Time) {
	if p.Again.IsZero() || at.Before(p.Again) {
		p.Again = at
	}
}
