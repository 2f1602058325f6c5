package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// firstFlow is what a load balancer brings to an application, as it is named for the first time.
func (a *application) firstFlow(b *balancer, t *Traffic, now time.Time) flow {
	if b.last.IsZero() || b.awaited || a.firstSeen.After(b.last) {
		// It has counted since who knows when.
		l := flow{at: now}
		l.knows(l.sumsOf(t, now), t.Summed, now)
		return l
	}
	// Its last report named what had ever had traffic, and this application was not among them.
	l := newFlow(later(b.since, a.firstSeen), b.last)
	l.summed = t.Summed
	l.advance(l.sumsOf(t, now), t.Summed, now)
	l.began = l.last.arrivals
	return l
}

// demand is what the application is asked to do.
func (a *application) demand(w watch, now time.Time) (d scaling.Demand) {
	a.demanded(&d, w, now)
	a.working(&d, now)
	return d
}

// demanded is what the load balancers say of it.
func (a *application) demanded(d *scaling.Demand, w watch, now time.Time) {
	d.PodConcurrency = a.learned.podConcurrency()
	for _, b := range w.live {
		d.Age = max(d.Age, now.Sub(b.last))
		t, ok := a.traffic[b]
		if !ok {
			continue
		}
		d.Waiting += t.Waiting
		d.InFlight += t.InFlight
		d.Streaming += t.Streaming
		d.Tunnels += t.Tunnels
		d.Unknown = d.Unknown || t.flow.unknown(b.last)
	}
	total := a.total(w)
	short, long := total[0], total[1]
	d.Arrivals = scaling.Windows{Short: short.arrivals, Long: long.arrivals}
	d.Concurrency = scaling.Windows{Short: short.occupied, Long: long.occupied}
	d.ServiceTime = a.learned.serviceTime()
	if t, ok := serviceTime(long); ok {
		d.ServiceTime = t
	}
}

// total is what all live load balancers bring per second, over each window. What one has told last
// counts as going on until it is stale.
func (a *application) total(w watch) (total [len(windows)]sums) {
	if len(a.traffic) == 0 {
		return total
	}
	for _, b := range w.live {
		if t, ok := a.traffic[b]; ok {
			for i, m := range t.flow.means(b.last) {
				total[i] = total[i].plus(m, 1)
			}
		}
	}
	return total
}

// leastFinished is how many requests must have ended within the long window before their mean time on
// a pod says something.
const leastFinished = 3

// serviceTime is how long a request is on a pod, by Little's law: what is on pods on average, over
// what leaves them.
func serviceTime(s sums) (time.Duration, bool) {
	if s.finished*scaling.LongWindow.Seconds() < leastFinished {
		return 0, false
	}
	const most = 24 * time.Hour
	seconds := s.occupied / s.finished
	if seconds >= most.Seconds() {
		return most, true
	}
	return time.Duration(seconds * float64(time.Second)), true
}
