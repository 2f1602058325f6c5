package fleet

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Most of what is heard changes no decision. So an application remembers the class (scaling.Class) of what
// the last decision went by, and news that leaves it as it was is no news for anybody who decides. What is
// not in the class is always news: what the cluster says, what was told, who reports, and everything while
// a way down is led.

// decided is what the last decision went by.
type decided struct {
	known  bool // else no decision was made since there was news
	class  scaling.Class
	same   time.Time // until when what was heard since left the class as it was
	pooled pooled
}

// pooled is what thresholds, rules and demand look at of the pods' values, as sums, so that the word of one
// pod costs nothing of the others. It is made anew when one of the values is too old to count, or the
// pods are others.
type pooled struct {
	known           bool
	until           time.Time // one of them is too old to count then; zero: there is none
	asked           time.Time // the same, of those that are asked for
	metrics         []scaling.Metric
	sums            []pool // of each
	running, queued float64
	still           bool
}

// pool is the sum of a metric over the pods that count.
type pool struct {
	value         float64
	pods, missing int32
}

func (p pool) plus(q pool, times int32) pool {
	return pool{p.value + float64(times)*q.value, p.pods + times*q.pods, p.missing + times*q.missing}
}

// decides notes that a decision is made by what is known now.
func (a *application) decides(r *roster, w *watch, now time.Time) {
	a.decided.same = time.Time{}
	a.decided.pooled.known = false
	a.decided.class = a.class(r, w, now)
	a.decided.known = true
}

// stirred notes that something has changed that is not in the class.
func (a *application) stirred() { a.decided.known, a.decided.pooled.known = false, false }

// until is when what rules look at of the pods is another thing by the mere passing of time; zero: never.
func (a *application) until(now time.Time) time.Time {
	p := &a.decided.pooled
	if i := slices.Index(p.metrics, scaling.ResponseTime); i >= 0 && p.sums[i].pods == 0 {
		if _, _, ok := a.answers.recent(now); ok { // the load balancers measure
			return sooner(p.asked, now.Truncate(slotWidth).Add(slotWidth))
		}
	}
	return p.asked
}

// heard tells whether what was heard is to be decided on.
func (a *application) heard(r *roster, w *watch, now time.Time) bool {
	if a.decided.known && a.quiet.told.nothing() && a.class(r, w, now) == a.decided.class {
		a.decided.same = now
		return false
	}
	a.decided.known = false
	return true
}

// class is what a decision would go by now.
func (a *application) class(r *roster, w *watch, now time.Time) scaling.Class {
	s := scaling.State{Replicas: a.seen.Deployment.Replicas, Ready: a.ready(), Rest: a.rest}
	s.Traffic.QuietSince = r.quietSince(a, *w, now)
	s.Traffic.IdleSince = a.idleSince(s.Traffic.QuietSince)
	if len(a.traffic) == 0 && len(a.pods) == 0 {
		return scaling.ClassOf(a.seen.Spec, s, now)
	}
	if len(a.traffic) > 0 {
		for _, b := range w.live {
			t := a.of(b)
			s.Traffic.Waiting += t.Waiting
			s.Traffic.InFlight += t.InFlight
			s.Traffic.Streaming += t.Streaming
		}
	}
	a.demanded(&s.Demand, *w, now)
	a.pool(now)
	p := &a.decided.pooled
	s.Demand.Running, s.Demand.Queued, s.Demand.Still = p.running, p.queued, p.still
	if len(p.metrics) > 0 {
		s.Means = make([]scaling.Mean, len(p.metrics))
	}
	for i, metric := range p.metrics {
		m := scaling.Mean{Metric: metric, Pods: p.sums[i].pods, Missing: p.sums[i].missing}
		if m.Pods > 0 {
			m.Value = p.sums[i].value / float64(m.Pods)
		}
		if metric == scaling.ResponseTime {
			m = answered(m, a, now)
		}
		s.Means[i] = m
	}
	return scaling.ClassOf(a.seen.Spec, s, now)
}

// pool sums up the pods' values, if they have to be.
func (a *application) pool(now time.Time) {
	p := &a.decided.pooled
	if p.current(now) {
		return
	}
	*p = pooled{known: true, metrics: a.seen.Spec.Measures()}
	p.sums = make([]pool, len(p.metrics))
	var d scaling.Demand
	a.working(&d, now)
	p.running, p.queued, p.still, p.until = d.Running, d.Queued, d.Still, d.WorkingUntil
	for i := range a.seen.Pods {
		pod := &a.seen.Pods[i]
		known := a.pods[pod.Name]
		for j, metric := range p.metrics {
			one, until := a.share(pod, known, metric, now)
			p.sums[j] = p.sums[j].plus(one, 1)
			p.asked = sooner(p.asked, until)
		}
	}
	p.until = sooner(p.until, p.asked)
}

// current tells whether the sums are still those of the values that count.
func (p *pooled) current(now time.Time) bool {
	return p.known && (p.until.IsZero() || now.Before(p.until))
}

// measure takes a measurement of one of the application's pods. It returns whether it is news.
func (a *application) measure(m Measurement, now time.Time) bool {
	known, p := a.pods[m.Pod.Name], &a.decided.pooled
	if known == nil {
		return false
	}
	i, found := slices.BinarySearchFunc(a.seen.Pods, m.Pod.Name, func(p Pod, name string) int { return strings.Compare(p.Name, name) })
	if !found || !p.current(now) || p.still {
		p.known = false
		return a.take(known, m)
	}
	a.repool(&a.seen.Pods[i], known, -1, now)
	taken := a.take(known, m)
	a.repool(&a.seen.Pods[i], known, 1, now)
	return taken
}

func (a *application) take(known *podMemory, m Measurement) bool {
	if !known.take(m) {
		return false
	}
	if m.Source == Sidecar {
		a.works(known)
	}
	return true
}

// repool adds what a pod says to the sums, so many times.
func (a *application) repool(pod *Pod, known *podMemory, times int32, now time.Time) {
	p := &a.decided.pooled
	for j, metric := range p.metrics {
		one, until := a.share(pod, known, metric, now)
		p.sums[j] = p.sums[j].plus(one, times)
		if times > 0 {
			p.asked, p.until = sooner(p.asked, until), sooner(p.until, until)
		}
	}
	if pod.Exists() {
		if running, queued, counts := known.busy(now); counts {
			p.running = settle(p.running + float64(times)*running)
			p.queued = settle(p.queued + float64(times)*queued)
			p.until = sooner(p.until, known.sidecar.at.Add(known.sidecar.validFor))
		}
	}
}

// settle takes away what adding and taking away leaves of nothing.
func settle(v float64) float64 {
	if math.Abs(v) < 1e-9 {
		return 0
	}
	return v
}

// share is what a pod brings to a metric, and until when it counts.
func (a *application) share(p *Pod, known *podMemory, metric scaling.Metric, now time.Time) (one pool, until time.Time) {
	if p.Terminating || a.draining(*p) || !known.isReady(*p) {
		return pool{}, until // one that drains does nothing new, and is no capacity
	}
	v, value, ok := known.counts(gaugeOf[metric], now, a.speaks(p, known, metric))
	if !ok {
		return pool{missing: 1}, until
	}
	return pool{value: value * scaleOf(metric), pods: 1}, v.at.Add(v.validFor + 1) // at validFor it still counts
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
