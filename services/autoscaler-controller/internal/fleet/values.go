package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// gauges are all of them; a value stands where its gauge stands here.
var gauges = [...]Gauge{
	CPUUsage, MemoryUsage, DiskUsage, ResponseTime, GPUUsage, GPUMemoryUsage, GPUPower, InFlight, Queued, CacheUsage, RequestRate, TimeToFirstToken,
}

// place is where a gauge's value stands; -1: it is none.
func (g Gauge) place() int {
	for i, known := range gauges {
		if known == g {
			return i
		}
	}
	return -1
}

// values are what one source has last said of one pod. There is one for every pod that pushes, so it has
// a place for each gauge and no map.
type values struct {
	at, from time.Time // the measurement counts from then till then
	validFor time.Duration
	has      uint16 // which gauges were measured, a bit each
	list     [len(gauges)]float64
}

// firstWindow is how long a first measurement is taken to have lasted that does not say.
const firstWindow = 10 * time.Second

// newValues is what a measurement says. Without a word of its own it counts since the one before.
func newValues(m Measurement, before *values) values {
	v := values{at: m.At, from: m.From, validFor: m.validFor()}
	switch {
	case !v.from.IsZero():
	case before != nil:
		v.from = before.at
	default:
		v.from = v.at.Add(-firstWindow)
	}
	for g, value := range m.Values {
		if i := g.place(); i >= 0 {
			v.list[i] = value
			v.has |= 1 << i
		}
	}
	return v
}

// fresh tells whether they still count.
func (v *values) fresh(now time.Time) bool { return now.Sub(v.at) <= v.validFor }

func (v *values) value(g Gauge) (float64, bool) {
	i := g.place()
	if v == nil || i < 0 || v.has&(1<<i) == 0 {
		return 0, false
	}
	return v.list[i], true
}

// gauge is a value; nil: it was not measured.
func (v *values) gauge(g Gauge) *float64 {
	if value, ok := v.value(g); ok {
		return &value
	}
	return nil
}

// all are the values by name.
func (v *values) all() map[Gauge]float64 {
	all := make(map[Gauge]float64, len(gauges))
	for i, g := range gauges {
		if v.has&(1<<i) != 0 {
			all[g] = v.list[i]
		}
	}
	return all
}

// said is what a source has said of the pod; nil: nothing.
func (p *podMemory) said(s Source) *values {
	switch {
	case p == nil:
		return nil
	case s == Sidecar:
		return p.sidecar
	default:
		return p.kubernetes
	}
}

// take takes a measurement. It returns false for an older one that came late.
func (p *podMemory) take(m Measurement) bool {
	at := &p.kubernetes
	if m.Source == Sidecar {
		at = &p.sidecar
	}
	before := *at
	if before != nil && !m.At.After(before.at) {
		return false
	}
	if before == nil {
		*at = &values{}
	}
	**at = newValues(m, before)
	return true
}

// using is what is known of a pod: a sidecar's word while it is fresh, else the newest.
func (p *podMemory) using(now time.Time) *PodUse {
	var best *PodUse
	var of *values
	for _, source := range sources {
		v := p.said(source)
		if v == nil {
			continue
		}
		age := now.Sub(v.at)
		u := &PodUse{Source: source, Age: age, Fresh: v.fresh(now)}
		if best == nil || u.Fresh && !best.Fresh || !best.Fresh && u.Age < best.Age {
			best, of = u, v
		}
	}
	if best != nil {
		best.Values = of.all()
	}
	return best
}

var sources = [...]Source{Sidecar, Kubernetes}

// counts is one value of a pod, of the best source that has it and whose measurement counts.
func (p *podMemory) counts(g Gauge, now time.Time, counts func(*values) bool) (of *values, value float64, ok bool) {
	for _, source := range sources {
		v := p.said(source)
		if v == nil || !v.fresh(now) || !counts(v) {
			continue
		}
		if value, ok = v.value(g); ok {
			return v, value, true
		}
	}
	return nil, 0, false
}

// fresh is the same with its age.
func (p *podMemory) fresh(g Gauge, now time.Time, counts func(*values) bool) (value float64, age time.Duration, ok bool) {
	v, value, ok := p.counts(g, now, counts)
	if !ok {
		return 0, 0, false
	}
	return value, now.Sub(v.at), true
}

// measured tells whether a sidecar measures what the pod uses, which is what rules look at most. One that
// only reads the application's page leaves that to the Kubernetes metrics API.
func (p *podMemory) measured(now time.Time) bool {
	v := p.said(Sidecar)
	_, ok := v.value(CPUUsage)
	return ok && v.fresh(now)
}

func anyValues(*values) bool { return true }

// speaks tells which measurements of a pod a decision may look at: what was used before the pod was
// ready, to load a model say, is no load; and how long answers took with another number of pods says
// nothing of this one.
func (a *application) speaks(p *Pod, known *podMemory, metric scaling.Metric) func(*values) bool {
	switch metric {
	case scaling.CPU, scaling.Memory:
		ready := known.readySince(*p)
		return func(v *values) bool { return !v.from.Before(ready) }
	case scaling.ResponseTime:
		return func(v *values) bool {
			ms, _ := v.value(ResponseTime)
			took := time.Duration(min(ms, 1e9) * float64(time.Millisecond))
			return !v.from.Add(-took).Before(a.changed)
		}
	default:
		return anyValues
	}
}

// PodUse is what a pod uses, who says so, and how long ago.
type PodUse struct {
	Source Source
	Age    time.Duration
	Fresh  bool
	Values map[Gauge]float64
}
