package dispatch

import (
	"cmp"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Pod is one pod of an application, as this load balancer sees it:
//
//	starting ──own check good, or Kubernetes says ready──▶ usable
//	usable ──refuses a connection──▶ in doubt ──connects again, and its checks are good unless Kubernetes says ready──▶ usable
//	usable ──connections break in a row──▶ ejected ──its time is over──▶ usable
//	any ──terminating, or ready no more──▶ unusable
type Pod struct {
	Name    string
	Address string // IP:port
	app     *Application

	// Below app.mu.
	endpoint routing.Endpoint
	proven   bool // its checks were good here
	doubted  bool // it refused a connection since
	gone     bool
	settled  chan struct{} // open while it is checked; else nil
	inFlight int
	ejection balance.Ejection
	ramp     balance.RampUp
}

func newPod(a *Application, e routing.Endpoint) *Pod {
	return &Pod{Name: e.Pod, Address: e.Address, app: a, endpoint: e}
}

func byName(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
}

func (p *Pod) follow(e routing.Endpoint, now time.Time) {
	was := p.endpoint
	p.endpoint = e
	switch {
	case e.Ready && !was.Ready:
		p.doubted = false // Kubernetes has just looked
		p.ejection.Succeeded()
		p.ramp.Start(now)
	case !e.Ready && (was.Ready || !e.Probeable):
		p.proven = false
		p.ramp.Reset()
	}
}

// usable reports whether requests may be sent to it, ejection apart.
func (p *Pod) usable() bool {
	return (p.endpoint.Ready || p.proven) && !p.endpoint.Terminating && !p.doubted &&
		p.app.Route().State != routing.FallingAsleep
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

// limit is how many requests it may have now; 0 is no limit.
func (p *Pod) limit(now time.Time) int {
	limit, ramp := p.app.Route().Concurrency, p.ramp.Limit(now)
	if limit == 0 || ramp > 0 && ramp < limit {
		return ramp
	}
	return limit
}

// Checks is what must hold for the pod to be usable, and whether it still has to be checked. A pod
// that Kubernetes calls ready and that refused a connection needs no more than to take one again:
// the ports of its checks may be closed to this load balancer.
func (p *Pod) Checks() ([]routing.Probe, bool) {
	p.app.mu.Lock()
	defer p.app.mu.Unlock()
	if p.endpoint.Ready {
		return nil, p.needsCheck()
	}
	return p.endpoint.Probes, p.needsCheck()
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
	p.ramp.Start(now)
	if w := a.wake; w != nil {
		w.note(&w.FirstProbeAt, now)
	}
	p.checkIfNeeded()
	a.update(now)
}

// refused: no connection could be made to it.
func (p *Pod) refused() {
	p.doubted, p.proven = true, false
	p.ramp.Reset()
}

// why says why it is usable, or why not.
func (p *Pod) why(now time.Time) string {
	switch {
	case p.endpoint.Terminating:
		return "terminating"
	case p.doubted:
		return "refused a connection: checked until it takes one"
	case p.app.Route().State == routing.FallingAsleep:
		return "the application is falling asleep"
	case (p.endpoint.Ready || p.proven) && p.ejection.Active(now):
		return "ejected: connections to it broke"
	case p.endpoint.Ready:
		return "Kubernetes calls it ready"
	case p.proven:
		return "its readiness checks were good from here"
	case p.endpoint.Probeable:
		return "starting: its readiness checks are repeated from here"
	}
	return "not ready, and only Kubernetes can tell when it is"
}
