package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// StillFor is how long what the sidecars say of running requests may stay the same and count. Some
// gauges leak, and never come back to zero; a request that takes longer is a load balancer's to know.
const StillFor = time.Hour

// still is since when the sidecars have said the same.
type still struct {
	amount float64
	since  time.Time
}

// works takes note of a pod that has something to do, as its sidecar says: the application is not idle
// then. While nothing changes for too long it is no sign of anything.
func (a *application) works(m Measurement) {
	if m.Source == Sidecar && (m.Values[InFlight] > 0 || m.Values[Queued] > 0) && (a.still.since.IsZero() || m.At.Sub(a.still.since) < StillFor) {
		a.worked = later(a.worked, m.At)
	}
}

// working adds what the sidecars say of an application's pods, while their word is fresh.
func (f *Fleet) working(a *application, d *scaling.Demand, now time.Time) {
	for _, p := range a.seen.Pods {
		if !p.Exists() {
			continue
		}
		m, ok := f.uses[PodName{a.seen.Namespace, p.Name}][Sidecar]
		age := now.Sub(m.At)
		if !ok || age >= SidecarFreshFor {
			continue
		}
		running, queued := m.Values[InFlight], m.Values[Queued]
		if running <= 0 && queued <= 0 {
			continue
		}
		d.Running += max(running, 0)
		d.Queued += max(queued, 0)
		d.SidecarAge = max(d.SidecarAge, age)
		if until := m.At.Add(SidecarFreshFor); d.WorkingUntil.IsZero() || until.Before(d.WorkingUntil) {
			d.WorkingUntil = until
		}
	}
	if amount := d.Running + d.Queued; amount != a.still.amount || a.still.since.IsZero() {
		a.still = still{amount, now}
	}
	d.Still = now.Sub(a.still.since) >= StillFor
}
