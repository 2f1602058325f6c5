package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// flows takes an application's part of a report into what the load balancer brings to it.
func (f *Fleet) flows(a *application, b *balancer, t Traffic, name string, now time.Time) {
	l, known := a.flows[name]
	switch {
	case known:
		l.advance(l.sumsOf(t, now), t.Summed, now)
	case b.last.IsZero() || b.awaited || a.firstSeen.After(b.last):
		// It has counted since who knows when.
		l = &flow{at: now}
		l.knows(l.sumsOf(t, now), t.Summed, now)
		a.flows[name] = l
	default: // its last report named what had ever had traffic, and this application was not among them
		l = newFlow(later(b.since, a.firstSeen), b.last)
		l.summed = t.Summed
		l.advance(l.sumsOf(t, now), t.Summed, now)
		a.flows[name] = l
	}
}

// demand is what the application is asked to do.
func (f *Fleet) demand(a *application, live []string, now time.Time) scaling.Demand {
	d := scaling.Demand{PodConcurrency: a.learned.podConcurrency()}
	for _, name := range live {
		t, b := a.traffic[name], f.balancers[name]
		d.Waiting += t.Waiting
		d.InFlight += t.InFlight
		d.Streaming += t.Streaming
		d.Tunnels += t.Tunnels
		d.Age = max(d.Age, now.Sub(b.last))
		d.Unknown = d.Unknown || a.flows[name].unknown(b.last)
	}
	total := f.total(a, live)
	short, long := total[0], total[1]
	d.Arrivals = scaling.Windows{Short: short.arrivals, Long: long.arrivals}
	d.Concurrency = scaling.Windows{Short: short.occupied, Long: long.occupied}
	d.ServiceTime = a.learned.serviceTime()
	if t, ok := serviceTime(long); ok {
		d.ServiceTime = t
	}
	f.working(a, &d, now)
	return d
}

// total is what all live load balancers bring per second, over each window. What one has told last
// counts as going on until it is stale.
func (f *Fleet) total(a *application, live []string) (total [len(windows)]sums) {
	for _, name := range live {
		if l, ok := a.flows[name]; ok {
			for i, m := range l.means(f.balancers[name].last) {
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
