package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// StillFor is how long what the sidecar of a pod says of running requests may stay the same and count.
// Some gauges leak, and never come back to zero; a request that takes longer is a load balancer's to know.
const StillFor = time.Hour

// steady is since when a pod's sidecar has said the same of what it has to do.
type steady struct {
	amount float64
	since  time.Time
}

// todo is how much a sidecar says that its pod has to do.
func (v *values) todo() (running, queued float64) {
	running, _ = v.value(InFlight)
	queued, _ = v.value(Queued)
	return max(running, 0), max(queued, 0)
}

// busy is what a pod has to do, and whether that counts.
func (p *podMemory) busy(now time.Time) (running, queued float64, counts bool) {
	if p.sidecar == nil || now.Sub(p.sidecar.at) >= p.sidecar.validFor {
		return 0, 0, false
	}
	running, queued = p.sidecar.todo()
	return running, queued, running > 0 || queued > 0
}

// works takes note of a pod that has something to do, as its sidecar says: the application is not idle
// then. While nothing changes for too long it is no sign of anything.
func (a *application) works(p *podMemory) {
	running, queued := p.sidecar.todo()
	switch amount := running + queued; {
	case amount <= 0:
		p.same = nil
		return
	case p.same == nil || p.same.amount != amount:
		p.same = &steady{amount, p.sidecar.at}
	}
	if p.sidecar.at.Sub(p.same.since) < StillFor {
		a.worked = later(a.worked, p.sidecar.at)
	}
}

// working adds what the sidecars say of an application's pods, while their word is fresh.
func (a *application) working(d *scaling.Demand, now time.Time) {
	still := true
	for i := range a.seen.Pods {
		p := &a.seen.Pods[i]
		known := a.pods[p.Name]
		if !p.Exists() {
			continue
		}
		running, queued, counts := known.busy(now)
		if !counts {
			continue
		}
		d.Running += running
		d.Queued += queued
		d.SidecarAge = max(d.SidecarAge, now.Sub(known.sidecar.at))
		still = still && now.Sub(known.same.since) >= StillFor
		if until := known.sidecar.at.Add(known.sidecar.validFor); d.WorkingUntil.IsZero() || until.Before(d.WorkingUntil) {
			d.WorkingUntil = until
		}
	}
	d.Still = still && d.Running+d.Queued > 0
}
