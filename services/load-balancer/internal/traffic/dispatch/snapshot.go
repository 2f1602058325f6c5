package dispatch

import (
	"slices"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Snapshot is what is known of an application at this moment, for people and metrics.
type Snapshot struct {
	Route        routing.Route // without Endpoints
	Algorithm    string        // that is followed: the route's, else the settings'
	InFlight     int
	Streaming    int
	Waiting      int
	WaitingBytes int64
	Pods         []PodSnapshot
	Sharing      Sharing // of its slots with other load balancers
}

// PodSnapshot is one pod of it.
type PodSnapshot struct {
	Name     string
	Address  string
	Usable   bool
	Why      string
	InFlight int
}

// Snapshots are those of all applications that have a route, ordered by name.
func (d *Dispatcher) Snapshots() []Snapshot {
	apps := d.Applications()
	snapshots := make([]Snapshot, 0, len(apps))
	for _, app := range apps {
		if s, ok := app.snapshot(); ok {
			snapshots = append(snapshots, s)
		}
	}
	return snapshots
}

func (a *Application) snapshot() (Snapshot, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.d.options.Now()
	s := Snapshot{
		Route: *a.Route(), Algorithm: a.named, InFlight: a.counters.inFlight(), Streaming: a.counters.streaming(),
		Waiting: a.room.Len(), WaitingBytes: a.room.Bytes(), Pods: make([]PodSnapshot, 0, len(a.pods)),
	}
	s.Route.ExpectedStart, s.Sharing = a.expected, a.sharing()
	pods := a.pods
	if a.service != nil {
		pods = append(slices.Clip(pods), a.service)
	}
	for _, p := range pods {
		s.Pods = append(s.Pods, PodSnapshot{
			Name: p.Name, Address: p.Address, InFlight: p.own(), Why: p.why(now),
			Usable: p.proven && p == a.service || p.usable() && !p.balanced.Ejected(now),
		})
	}
	return s, !a.removed
}
