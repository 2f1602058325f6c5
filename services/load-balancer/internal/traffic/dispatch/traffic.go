package dispatch

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// counters are what an application's traffic is reported from.
type counters struct {
	working   busy // requests on pods of whose answer nothing has come
	flowing   busy // answers that have begun and not ended
	tunnelled busy
	arrivals  int64
	requests  int64
	failures  int64
	rejected  int64
	times     Times
	wakeUps   []WakeUp // ended, not reported yet
}

// began notes that an answer begins.
func (c *counters) began(v *Visit, at int64, now time.Time) {
	switch v.Answer {
	case Tunnel:
		c.move(v, tunnelled, at)
		return
	case Stream:
		addTo(&c.times.Streams, now.Sub(v.SentAt))
	case Whole:
		addTo(&c.times.WholeBegun, now.Sub(v.SentAt))
	case StreamToCome:
	}
	c.move(v, flowing, at)
}

// count adds a visit that ends.
func (c *counters) count(v *Visit, o Outcome, now time.Time) {
	c.requests++
	if o.Broken || o.Status >= 500 {
		c.failures++
	}
	switch {
	case v.Pod == nil || o.Ours:
		if o.Status != 0 {
			c.rejected++
		}
	case o.Left:
	case v.Answer == Whole:
		addTo(&c.times.Whole, now.Sub(v.SentAt))
	case v.Answer == StreamToCome: // it ended without a byte
		addTo(&c.times.Streams, now.Sub(v.SentAt))
	}
}

// Traffic is what is reported to the controller of one application. What is counted and what is summed
// up over time is so since the start; Times and WakeUps are what is new, and given back by Restore when
// they could not be delivered.
type Traffic struct {
	App           routing.Application
	InFlight      int // requests on pods
	Streaming     int // of these, answers that have begun and not ended
	Tunnels       int // of these, tunnels
	Waiting       int
	WaitingBytes  int64
	LastActivity  time.Time // zero: none
	Arrivals      int64
	Requests      int64
	Failures      int64
	Rejected      int64
	BusySeconds   float64 // of requests on pods whose answer has not begun
	StreamSeconds float64 // of answers that have begun, tunnels apart
	TunnelSeconds float64
	Times         Times
	WakeUps       []WakeUp
	Pods          []PodTraffic // with requests on them; nil: not said, for there is at most one pod
}

// Report is the traffic of every application that ever had any, and the version of the routes that
// was followed before the counting began: an application that was to fall quiet by that version
// gets nothing new in the counts.
func (d *Dispatcher) Report() (version string, traffic []Traffic) {
	version = d.Version()
	d.changes.take() // all are looked at
	return version, d.traffic(d.Applications())
}

// Restore gives back what a report that failed has taken.
func (d *Dispatcher) Restore(traffic []Traffic) {
	for _, t := range traffic {
		d.mu.Lock()
		app, ok := d.applications[t.App]
		d.mu.Unlock()
		if ok {
			app.restore(t)
		}
	}
}

func (a *Application) traffic(now time.Time) (Traffic, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, at := &a.counters, a.d.sinceStart(now)
	t := Traffic{
		App: a.ID, InFlight: c.inFlight(), Streaming: c.streaming(), Tunnels: int(c.tunnelled.now),
		Waiting: a.room.Len(), WaitingBytes: a.room.Bytes(),
		Arrivals: c.arrivals, Requests: c.requests, Failures: c.failures, Rejected: c.rejected,
		BusySeconds: c.working.seconds(at), StreamSeconds: c.flowing.seconds(at), TunnelSeconds: c.tunnelled.seconds(at),
		Times: c.times, Pods: a.podTraffic(now),
	}
	c.times = Times{}
	if at := a.activity.Load(); at != 0 {
		t.LastActivity = time.Unix(0, at)
	}
	t.WakeUps, a.counters.wakeUps = a.counters.wakeUps, nil
	if a.wake != nil && a.wake.dirty && len(t.WakeUps) < keptWakeUps {
		t.WakeUps = append(t.WakeUps, *a.wake)
		a.wake.dirty = false
	}
	return t, !t.LastActivity.IsZero()
}

func (a *Application) restore(t Traffic) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mark()
	a.counters.times.restore(t.Times)
	kept := make([]WakeUp, 0, keptWakeUps)
	for _, w := range t.WakeUps {
		if w.Outcome != WakePending {
			kept = append(kept, w)
		} else if a.wake != nil {
			a.wake.dirty = true
		}
	}
	kept = append(kept, a.counters.wakeUps...)
	a.counters.wakeUps = kept[max(0, len(kept)-keptWakeUps):]
}
