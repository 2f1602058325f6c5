// Package control is the loop: it reads what is known (fleet), asks what to do (scaling), does it
// through the ports it declares (Scaler), and tells what it did (Recorder, Observer, the journal).
//
// Nothing here ticks. An application is looked at when something was heard of it, when a decision
// said that it may become another one at a certain moment (an idle deadline, say), and within a
// start call. There is one turn for each application, to decide and to apply, so that a start
// and a sleep never run at the same time.
//
// Workers decide and never wait: neither for a call to the API server nor for another's turn. What is to
// be done is done beside them, by many at a time (slots), so that a call that hangs delays its own
// application and no other. A start call decides and applies by itself.
//
// What one decision follows from the last, how a way down is led and when something is tried again is
// lifecycle's; this package has the queue and the ports:
//
//	news, a moment ─► queue ─► snapshot (fleet) ─► Look (lifecycle) ─► slot ─► ports ─► Done ─► journal, event
//	start call ────────────────┘                                     └──────┘
//
// A term of leadership ends when its work has ended: what is under way is cancelled, and nothing new
// begins; only then the Lease is given back.
//
// Not here: Kubernetes (cluster), HTTP (httpapi), the rules (scaling).
package control

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// How the loop works.
const (
	workers     = 4               // applications that are decided on at a time; to decide waits for nothing
	restorers   = 32              // Deployments that are restored at a time
	callTimeout = 5 * time.Second // for one call of a port
	attempts    = 5               // at a Deployment that others write to at the same time
)

// Options are what the loop works with. All are needed.
type Options struct {
	Fleet    *fleet.Fleet
	Scaler   Scaler
	Marker   Marker
	Recorder Recorder
	Observer Observer
	Log      *slog.Logger
	Changes  Changes       // nil: nobody follows
	Epoch    string        // names this life of the process in decision ids
	Missing  func() string // what the picture of the cluster still lacks; "" is whole
	// Queues measures the queues; nil: nobody does.
	Queues workqueue.MetricsProvider
	// Autoscalers are the CustomAutoscalers that there are, whose statuses are ours to write when we lead.
	Autoscalers func() []fleet.Autoscaler
	// Awaited are the load balancers that reported to the leader before: a new one awaits them.
	Awaited func() []string
	// Patience is how long these may be silent, 0 when it is not known; nil is always 0.
	Patience func() time.Duration
}

// Loop decides on every application. Make it with New, and Run it.
type Loop struct {
	Options
	work     queue[fleet.Key]
	applies  *slots
	statuses queue[fleet.Autoscaler]
	pending  *pending
	restores queue[fleet.Key]
	journal  journal
	serial   atomic.Uint64

	backingOff atomic.Int64 // applications whose last scaling or marking failed
	slow       atomic.Int64 // whose start takes too long
	contested  atomic.Int64 // whose count somebody sets back again and again
	terms      terms
	expiry     expiry

	mu      sync.Mutex
	apps    map[fleet.Key]*memory // of those that the fleet knows, and of no others
	orphans map[fleet.Key]orphan  // sleep, and are named no more
}

// New makes a loop.
func New(o Options) *Loop {
	pending := newPending()
	if o.Changes == nil {
		o.Changes = unwatched{}
	}
	return &Loop{
		Options: o, applies: newSlots(), pending: pending,
		work:     newQueue[fleet.Key]("decisions", o.Queues, nil),
		statuses: newQueue("statuses", o.Queues, newByUrgency(pending.first)),
		restores: newQueue[fleet.Key]("restores", o.Queues, nil),
		apps:     map[fleet.Key]*memory{}, orphans: map[fleet.Key]orphan{},
	}
}

// Run works until ctx ends.
func (l *Loop) Run(ctx context.Context) {
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			l.work.consume(func(k fleet.Key) {
				if apply := l.reconcile(ctx, k); apply != nil {
					running.Go(apply)
				}
			})
		})
	}
	for range statusWriters {
		running.Go(func() { l.statuses.consume(l.writeStatus) })
	}
	for range restorers {
		running.Go(func() { l.restores.consume(l.restore) })
	}
	<-ctx.Done()
	l.expiry.end()
	l.work.ShutDown()
	l.statuses.ShutDown()
	l.restores.ShutDown()
	running.Wait()
}

// Lead decides on the applications until ctx ends. Without it the loop knows, serves and starts,
// but scales nothing by itself. It returns when all that was under way has ended.
func (l *Loop) Lead(ctx context.Context) {
	awaited := l.Awaited()
	if l.Patience != nil {
		l.Fleet.Inherit(l.Patience())
	}
	l.Fleet.Lead(time.Now(), awaited)
	l.journal.lead(time.Now())
	l.expire()
	term := l.terms.begin(ctx)
	l.Log.Info("leading", "awaited", len(awaited))
	for _, k := range l.Fleet.Keys() {
		l.work.Add(k)
	}
	l.refreshAll(time.Now())
	<-ctx.Done()
	l.terms.end(term)
	l.journal.lead(time.Time{})
	l.Fleet.Follow()
	l.Log.Info("following")
}

// Observe takes news of an application from the cluster.
func (l *Loop) Observe(o fleet.Observation) {
	if o.Slept == 0 {
		o.Slept = l.leftWith(o.Key)
	}
	if changed, moved := l.Fleet.Observe(o, time.Now()); changed {
		// A wake-up or a rollout is a dozen observations: what makes no other state need not be on every open page at once.
		l.Changes.Changed(o.Key, moved)
		l.heard(o.Key)
		l.Refresh(fleet.Autoscaler{Namespace: o.Namespace, Name: o.Autoscaler})
	}
}

// Forget drops an application that is no longer named.
func (l *Loop) Forget(k fleet.Key) {
	if view, ok := l.Fleet.View(k, time.Now()); ok {
		l.orphan(view)
	}
	l.Fleet.Forget(k)
	l.Changes.Removed(k)
	l.mu.Lock()
	m := l.apps[k]
	delete(l.apps, k)
	l.mu.Unlock()
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.gone = true
		l.journal.forget(k)
		l.uncount(m)
	}
}

// Report takes a load balancer's report.
func (l *Loop) Report(r fleet.Report) fleet.Verdict {
	touched, verdict := l.Fleet.Report(r, time.Now())
	l.reported(r, verdict)
	for _, k := range touched {
		l.heard(k)
		l.wakeMates(k)
	}
	if !l.expiry.waits() {
		l.expire()
	}
	return verdict
}

// reported has those follow what was reported of who does: more than what decisions go by.
func (l *Loop) reported(r fleet.Report, verdict fleet.Verdict) {
	if verdict != fleet.Taken {
		return
	}
	for i := range r.Applications {
		if t := &r.Applications[i]; l.Fleet.Knows(t.Key) {
			l.Changes.Changed(t.Key, len(t.WakeUps) > 0)
		}
	}
}

// Alive takes the names of the load balancers whose pod runs and is ready.
func (l *Loop) Alive(names []string) {
	for _, k := range l.Fleet.Alive(names, time.Now()) {
		l.heard(k)
	}
	l.expire()
}

// BalancerEnded takes note that the process of a load balancer ended then.
func (l *Loop) BalancerEnded(name string, at time.Time) {
	for _, k := range l.Fleet.BalancerEnded(name, at, time.Now()) {
		l.heard(k)
	}
}

// BalancerDeleted takes note that the pod of a load balancer was deleted.
func (l *Loop) BalancerDeleted(name string) {
	l.Fleet.BalancerDeleted(name, time.Now())
	l.expire()
}

// Measure takes what pods use.
func (l *Loop) Measure(list []fleet.Measurement) {
	for _, k := range l.Fleet.Measure(list, time.Now()) {
		l.heard(k)
	}
}

// Decisions are the last decisions, newest first, at most limit. Where a Deployment is named its own last ones are among
// them, whatever was decided on others since.
func (l *Loop) Decisions(f fleet.Filter, limit int) []fleet.Record { return l.journal.last(f, limit) }

// DecisionsSince is from when on Decisions has all that were made on an application, or (a key with empty parts) on those
// that match it; the zero time: that is not known.
func (l *Loop) DecisionsSince(k fleet.Key) time.Time { return l.journal.complete(k) }

// Insight is what the loop remembers of an application: the last decision (nil before the first)
// and the conditions.
func (l *Loop) Insight(k fleet.Key) (*fleet.Record, []fleet.Condition) {
	now := time.Now()
	view, ok := l.Fleet.View(k, now)
	if !ok {
		return nil, nil
	}
	return l.insight(view, now)
}

func (l *Loop) insight(view fleet.View, now time.Time) (*fleet.Record, []fleet.Condition) {
	m := l.memory(view.Key)
	m.mu.Lock()
	before := m.conditions
	m.conditions = conditions(view, m.failure, before, now)
	last, is := m.last, m.conditions
	m.mu.Unlock()
	if before != nil && !slices.EqualFunc(before, is, func(a, b fleet.Condition) bool { return a.Type == b.Type && a.OK == b.OK }) {
		l.Changes.Changed(view.Key, false) // what grows too old to be known does so without any other news
	}
	return last, is
}

// memory is what is remembered of an application. Of one that the fleet does not know nothing is kept: it may
// have gone a moment ago, and nobody would forget it again.
func (l *Loop) memory(k fleet.Key) *memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.apps[k]
	if !ok {
		m = &memory{deciding: make(chan struct{}, 1)}
		if l.Fleet.Knows(k) {
			l.apps[k] = m
		}
	}
	return m
}

func (l *Loop) nextID() string { return fmt.Sprintf("%s-%d", l.Epoch, l.serial.Add(1)) }

// Leading tells whether this replica scales by itself now.
func (l *Loop) Leading() bool { return l.terms.now() != nil }
