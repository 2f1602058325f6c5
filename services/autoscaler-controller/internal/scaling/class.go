package scaling

import (
	"math"
	"time"
)

// Class is what of a State a decision goes by, of all that reports and measurements change. Where the
// rest of the State is the same too (what the cluster says, who reports, what was told and remembered),
// two looks of one class decide the same: the same rules wish, for the same counts, and the same holds
// speak. So news that leaves the class as it was needs no decision. A number is in it as what follows
// from it: that requests wait and not how many, unless pods are asked for by that; the count that
// concurrency asks for and not the concurrency; that a threshold is passed and not by how much, unless
// what a further pod would lower is measured by it.
//
// What turns by the mere passing of time is not for Class: Decision.Due says when to look again.
type Class struct {
	Waiting, Busy, Working bool // requests wait, are on pods, are known to sidecars alone
	Idle, Quiet            bool // for idleTime nothing was heard; nothing but of the sidecars
	Rest                   bool // somebody wants it to sleep
	Unknown                bool // a load balancer was heard once only
	Start                  int32
	Concurrency, Rate      int32  // pods that the demand asks for
	Metrics                uint64 // how thresholds and rules stand
}

// ClassOf is the class of a State.
func ClassOf(spec Spec, s State, now time.Time) Class {
	if len(spec.Schedules) > 0 {
		spec, _, _ = spec.At(now)
	}
	c := Class{
		Waiting: s.Traffic.Waiting > 0, Busy: busy(s.Traffic), Working: s.Demand.Working(),
		Idle: passed(s.Traffic.IdleSince, spec.IdleTime, now), Quiet: passed(s.Traffic.QuietSince, spec.IdleTime, now),
		Rest: s.rests(),
	}
	if c.Waiting {
		c.Start = startCount(spec, s, s.Traffic.Waiting)
	}
	if s.Replicas == 0 {
		return c
	}
	c.Unknown = s.Demand.Unknown
	if target, ok := spec.byConcurrency(s.Demand); ok {
		c.Concurrency = concurrencyOf(spec, s, target).pods
	}
	if spec.TargetRequestRate > 0 {
		c.Rate = rateCount(spec, s.Demand)
	}
	c.Metrics = standing(spec, s)
	return c
}

func passed(since time.Time, span time.Duration, now time.Time) bool {
	return !since.IsZero() && now.Sub(since) >= span
}

// standing is how thresholds and rules stand, in one number.
func standing(spec Spec, s State) uint64 {
	sum := fold(offset)
	for _, t := range thresholdsOf(spec) {
		m := s.mean(t.metric)
		high := m.certain() > t.limit
		sum = sum.bits(high, m.Missing > 0, t.isLow(s.undrained(m), s.Replicas), t.unanswered(m, s.Traffic))
		if high { // whether another pod is worthwhile goes by these
			sum = sum.value(m.Value).value(s.Demand.load())
		}
	}
	for _, r := range spec.Rules {
		for _, t := range r.Thresholds {
			m := s.mean(t.Metric)
			if r.Action != Increase {
				m = s.undrained(m)
			}
			holds := t.holds(m, r.Action)
			sum = sum.bits(holds)
			if holds && r.Action == Increase && t.Operator == GreaterThan {
				sum = sum.value(m.Value).value(s.Demand.load())
			}
		}
	}
	return uint64(sum)
}

// fold makes one number of many, as FNV does.
type fold uint64

const offset = 14695981039346656037

func (f fold) word(w uint64) fold { return (f ^ fold(w)) * 1099511628211 }

func (f fold) value(v float64) fold { return f.word(math.Float64bits(v)) }

func (f fold) bits(list ...bool) fold {
	var w uint64 = 1
	for _, b := range list {
		w <<= 1
		if b {
			w |= 1
		}
	}
	return f.word(w)
}

// Measures tells which metrics the class is made from, beside those of the load balancers.
func (s Spec) Measures() []Metric {
	var list []Metric
	for _, m := range s.Asked() {
		if m != Concurrency && m != RequestRate {
			list = append(list, m)
		}
	}
	return list
}
