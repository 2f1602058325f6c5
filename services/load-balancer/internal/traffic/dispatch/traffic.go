package dispatch

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// counters are what an application's traffic is reported from.
type counters struct {
	inFlight  int
	streaming int
	requests  int64
	failures  int64
	rejected  int64
	latency   Sketch
	wakeUps   []WakeUp // ended, not reported yet
}

// count adds a visit that ends.
func (c *counters) count(v *Visit, o Outcome, now time.Time) {
	c.requests++
	if o.Broken || o.Status >= 500 {
		c.failures++
	}
	if v.streaming {
		c.streaming--
	}
	switch {
	case v.Pod != nil && !o.Ours:
		c.latency.add(now.Sub(v.SentAt))
	case o.Status != 0:
		c.rejected++
	}
}

// Sketch counts times in an exponential histogram: bucket i is for times in (2^((i-1)/8), 2^(i/8)]
// milliseconds. Merging two is adding counts; a percentile read from one is off by at most 9%.
type Sketch struct {
	Count   int64
	SumMs   float64
	Buckets [sketchBuckets]int64 // of the indices LowestBucket and up; what is outside counts at the end
}

// The buckets of a sketch: from 4 µs to 4 hours.
const (
	LowestBucket  = -64
	sketchBuckets = 256
)

func (s *Sketch) add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	index := 0
	if ms > 0 {
		index = int(math.Ceil(8*math.Log2(ms))) - LowestBucket
	}
	s.Buckets[min(max(index, 0), sketchBuckets-1)]++
	s.Count++
	s.SumMs += ms
}

func (s *Sketch) merge(other *Sketch) {
	s.Count += other.Count
	s.SumMs += other.SumMs
	for i, n := range other.Buckets {
		s.Buckets[i] += n
	}
}

// Traffic is what is reported to the controller of one application. Requests, failures and rejections are
// cumulative; Latency and WakeUps are what is new, and given back by Restore when they could not be
// delivered.
type Traffic struct {
	App          routing.Application
	InFlight     int
	Streaming    int
	Waiting      int
	WaitingBytes int64
	LastActivity time.Time // zero: none
	Requests     int64
	Failures     int64
	Rejected     int64
	Latency      *Sketch // nil: no request ended
	WakeUps      []WakeUp
}

// Report is the traffic of every application that ever had any, and the version of the routes that
// was followed before the counting began: an application that was to fall quiet by that version
// gets nothing new in the counts.
func (d *Dispatcher) Report() (version string, traffic []Traffic) {
	version = d.Version()
	for _, app := range d.Applications() {
		if t, ok := app.traffic(); ok {
			traffic = append(traffic, t)
		}
	}
	return version, traffic
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

func (a *Application) traffic() (Traffic, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := Traffic{
		App: a.ID, InFlight: a.counters.inFlight, Streaming: a.counters.streaming,
		Waiting: a.room.Len(), WaitingBytes: a.room.Bytes(),
		Requests: a.counters.requests, Failures: a.counters.failures, Rejected: a.counters.rejected,
	}
	if at := a.activity.Load(); at != 0 {
		t.LastActivity = time.Unix(0, at)
	}
	if a.counters.latency.Count > 0 {
		sketch := a.counters.latency
		t.Latency, a.counters.latency = &sketch, Sketch{}
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
	if t.Latency != nil {
		a.counters.latency.merge(t.Latency)
	}
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
