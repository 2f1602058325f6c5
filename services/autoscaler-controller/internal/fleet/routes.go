package fleet

import "time"

// Route is how requests reach one application.
type Route struct {
	Key
	Hash          uint64 // of what it says, see routehash.go; 0 until it is in the table
	Autoscaler    string
	Address       Address
	State         State
	WakeUpTimeout time.Duration
	Waiting       Waiting
	Uncounted     []UncountedRequest
	Blocked       Blocked
	ExpectedStart time.Duration // 0: not known
	AsleepUntil   time.Time     // while FallingAsleep: when that lapses; zero: never
	Endpoints     []Endpoint    // ordered by pod
}

// Endpoint is one pod that has an address.
type Endpoint struct {
	Pod         string
	Address     string
	AlsoAt      []string // IP:port for each of Address.AlsoAt; "" is none
	Ready       bool
	Terminating bool
	Probeable   bool
	Probes      []Probe
	Load        *Load     // nil: not known, or not of interest
	DrainsUntil time.Time // it was chosen to go, and is to get nothing new until then; zero: it was not
}

// publish puts the application's route into the table.
func (f *Fleet) publish(a *application) {
	r := Route{
		Key: a.seen.Key, Autoscaler: a.seen.Autoscaler, Address: a.seen.Address, State: a.state(),
		WakeUpTimeout: a.seen.Spec.WakeUpTimeout, ExpectedStart: a.starts.median(),
		Waiting: a.seen.Waiting, Uncounted: a.seen.Uncounted, Blocked: a.blocked,
	}
	if a.quiet.told.All {
		r.AsleepUntil = a.quiet.told.Until
		if since := a.quiet.told.Paused; !since.IsZero() && r.Blocked.Reason == "" {
			r.Blocked = Blocked{Reason: pausedReason, Message: pausedMessage, Since: since}
		}
	}
	for _, p := range a.seen.Pods {
		if p.Address == "" || p.Failed {
			continue
		}
		t := a.pods[p.Name]
		var drains time.Time
		if a.draining(p) {
			drains = a.quiet.told.Until
		}
		r.Endpoints = append(r.Endpoints, Endpoint{
			DrainsUntil: drains,
			Pod:         p.Name, Address: p.Address, AlsoAt: p.AlsoAt, Ready: t.isReady(p), Terminating: p.Terminating || t.doomed,
			Probeable: p.Probeable && !t.wasReady || p.Probeable && t.isReady(p), Probes: p.Probes,
			Load: a.loads.of(p.Name),
		})
	}
	f.routes.set(&r)
}
