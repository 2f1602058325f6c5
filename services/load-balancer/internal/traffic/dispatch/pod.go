package dispatch

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Pod is one pod of an application, as this load balancer sees it:
//
//	starting ──own check good, or Kubernetes says ready──▶ usable
//	usable ──refuses a connection──▶ in doubt ──connects again, and its checks are good unless Kubernetes says ready──▶ usable
//	usable ──fails where others do not──▶ ejected ──its time is over──▶ usable, for few requests at first
//	any ──terminating, or ready no more──▶ unusable
type Pod struct {
	Name    string
	Address string // IP:port
	app     *Application

	// Below app.mu.
	endpoint routing.Endpoint
	said     time.Time // when that was said
	proven   bool      // its checks were good here
	doubted  bool      // it refused a connection since
	gone     bool
	settled  chan struct{} // open while it is checked; else nil
	balanced balance.Pod   // what choosing among pods goes by
	lent     int           // of what that has in flight, requests of other load balancers

	streaming int // answers from it that have begun and not ended
}

// drainLease is for how long a pod drains when that is not said.
const drainLease = 15 * time.Minute

func newPod(a *Application, e routing.Endpoint) *Pod {
	return &Pod{Name: e.Pod, Address: e.Address, app: a, endpoint: e, balanced: balance.Pod{ID: balance.Hash(e.Pod)}}
}

func byName(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
}

func (p *Pod) follow(e routing.Endpoint, now time.Time) {
	was := p.endpoint
	p.endpoint, p.said = e, now
	p.followDrain(now)
	p.followLoad(was.Load, e.Load, now)
	switch {
	case e.Ready && !was.Ready:
		p.doubted = false // Kubernetes has just looked
		p.balanced.Forgive()
		p.startRamp(now)
	case !e.Ready && (was.Ready || !e.Probeable):
		p.proven = false
		p.balanced.ResetRamp()
	}
}

// followDrain keeps requests from a pod that was chosen to go, for as long as the controller has said:
// if it goes away meanwhile, the pod shall not be left out for good.
func (p *Pod) followDrain(now time.Time) {
	if !p.endpoint.Draining {
		p.balanced.SetDraining(time.Time{})
		return
	}
	p.balanced.SetDraining(now.Add(cmp.Or(p.endpoint.DrainLease, drainLease)))
}

// followLoad takes what the pod says of itself, when it is news. How old it is counts from here: the
// clocks of two machines may differ.
func (p *Pod) followLoad(was, is *routing.Load, now time.Time) {
	if is == nil || was != nil && was.At.Equal(is.At) {
		return
	}
	p.balanced.SetGauges(balance.Gauges{Running: is.Running, Waiting: is.Waiting, Cache: is.Cache, At: now})
}

// startRamp has the pod get few requests at first: more when they wait for it, or nobody else takes
// them.
func (p *Pod) startRamp(now time.Time) {
	first := balance.WokenFirst
	if p.app.room.Len() == 0 && slices.ContainsFunc(p.app.pods, func(o *Pod) bool { return o != p && o.usable() }) {
		first = balance.JoinedFirst
	}
	p.balanced.StartRamp(first, now)
}

// usable reports whether requests may be sent to it, ejection apart.
func (p *Pod) usable() bool {
	return (p.endpoint.Ready || p.proven) && !p.endpoint.Terminating && !p.doubted && !p.app.quiet()
}

// needsCheck reports whether a check from here would make it usable.
func (p *Pod) needsCheck() bool {
	if p.gone || p.endpoint.Terminating {
		return false
	}
	return p.doubted || p.endpoint.Probeable && !p.endpoint.Ready && !p.proven
}

func (p *Pod) checkIfNeeded() {
	switch needs := p.needsCheck(); {
	case needs && p.settled == nil:
		p.settled = make(chan struct{})
		p.app.d.options.Prober.Probe(p, p.settled)
	case !needs && p.settled != nil:
		close(p.settled)
		p.settled = nil
	}
}

func (p *Pod) leave() {
	p.gone = true
	p.checkIfNeeded()
}

// Checks is what must hold for the pod to be usable, from when on that may be looked at, and whether it
// still has to be checked. A pod that Kubernetes calls ready and that refused a connection needs no more
// than to take one again: the ports of its checks may be closed to this load balancer.
func (p *Pod) Checks() (probes []routing.Probe, from time.Time, needed bool) {
	p.app.mu.Lock()
	defer p.app.mu.Unlock()
	if p.endpoint.Ready {
		return nil, time.Time{}, p.needsCheck()
	}
	from = p.said
	for _, probe := range p.endpoint.Probes { // all must be good, so none counts before the last may be made
		from = later(from, p.said.Add(probe.Delay))
	}
	return p.endpoint.Probes, from, p.needsCheck()
}

// MustConnect reports whether a connection to the pod's own address is part of the check: for one that
// refused a connection, and for one without readiness checks.
func (p *Pod) MustConnect() bool {
	p.app.mu.Lock()
	defer p.app.mu.Unlock()
	return p.doubted || len(p.endpoint.Probes) == 0
}

// Proven says that all checks were good; who waits is let in before it returns.
func (p *Pod) Proven() {
	a := p.app
	a.mu.Lock()
	defer a.mu.Unlock()
	if !p.needsCheck() {
		return
	}
	now := a.d.options.Now()
	p.proven, p.doubted = true, false
	p.startRamp(now)
	if w := a.wake; w != nil {
		w.note(&w.FirstProbeAt, now)
	}
	p.checkIfNeeded()
	a.update(now)
}

// refused: no connection could be made to it.
func (p *Pod) refused() {
	p.doubted, p.proven = true, false
	p.balanced.ResetRamp()
	p.balanced.SetUsable(false)
}

// why says why it is usable, or why not.
func (p *Pod) why(now time.Time) string {
	switch {
	case p.endpoint.Terminating:
		return "terminating"
	case p.doubted:
		return "refused a connection: checked until it takes one"
	case p.app.quiet():
		return "the application is falling asleep"
	case (p.endpoint.Ready || p.proven) && p.balanced.Ejected(now):
		return "ejected: it failed, and others did not; it is tried again soon"
	case (p.endpoint.Ready || p.proven) && p.balanced.Draining(now):
		return "draining: it gets nothing new while another pod serves"
	case (p.endpoint.Ready || p.proven) && p.balanced.Busy(now):
		return "busy: it answered 429; it gets nothing new for a moment while another pod serves"
	case (p.endpoint.Ready || p.proven) && p.balanced.Ramping() > 0:
		return fmt.Sprintf("ramping up: at most %d at a time, more with its answers", p.balanced.Ramping())
	case p.endpoint.Ready:
		return "Kubernetes calls it ready"
	case p.proven:
		return "its readiness checks were good from here"
	case p.endpoint.Probeable:
		return "starting: its readiness checks are repeated from here"
	}
	return "not ready, and only Kubernetes can tell when it is"
}
