package scaling

import (
	"fmt"
	"slices"
	"time"
)

// Behavior is how fast it may go up and down, in the form of a HorizontalPodAutoscaler's.
type Behavior struct{ Up, Down Pace }

// Pace is how fast it may go one way.
type Pace struct {
	Stabilization time.Duration // of the wishes within it the most careful one counts; negative: the default
	Select        Select
	Policies      []Policy
}

// Select says which of several policies binds.
type Select string

// The ways to select. SelectMax, the policy that allows most, is the default.
const (
	SelectMax      Select = "Max"
	SelectMin      Select = "Min"
	SelectDisabled Select = "Disabled"
)

// Policy allows a change by so much within a period.
type Policy struct {
	Percent bool // of the pods at the beginning of the period; else pods
	Value   int32
	Period  time.Duration
}

// defaultStabilization is for the way down of what goes by demand; thresholds and rules have windows of
// their own.
const defaultStabilization = time.Minute

// keptCounts bounds what is remembered of wishes and of counts. Older ones of the same window are merged.
const keptCounts = 64

// Counted is a count at a moment.
type Counted struct {
	At       time.Time
	Replicas int32
}

// History is what a decision wants to have remembered for the next one: Decision.History is the next
// State.History. The zero value remembers nothing.
type History struct {
	Low, High []Counted        // the wishes of the longest window, as far as they can still be the smallest or the largest
	Counts    []Counted        // the counts that were asked for, when they changed
	Tries     map[string]Tried // what thresholds have tried, by rule
}

// paced holds a wish back: first to the most careful of the last while, then to what the policies allow.
// A start from zero, a way to zero because nobody is there, and the user's bounds are for neither.
func (d *Decision) paced(spec Spec, s State, to int32, now time.Time) int32 {
	if len(s.History.Counts) == 0 { // nothing is remembered, after a change of the leader say: what is there was wished for
		s.History.High = []Counted{{now, s.Replicas - s.Marked}}
	}
	d.History.Counts = remember(s.History.Counts, Counted{now, s.Replicas}, now.Add(-30*time.Minute))
	if s.Replicas == 0 || to == 0 || d.Trigger == Bounds {
		d.History.Low, d.History.High = nil, nil
		return to
	}
	s.History.Low, s.History.High = lasting(s.History.Low, s.Same), lasting(s.History.High, s.Same)
	d.History.Low = envelope(s.History.Low, Counted{now, to}, now.Add(-window(spec.Behavior.Up, 0)), func(old, new int32) bool { return old >= new })
	d.History.High = envelope(s.History.High, Counted{now, to}, now.Add(-window(spec.Behavior.Down, defaultStabilization)), func(old, new int32) bool { return old <= new })
	switch {
	case to > s.Replicas:
		return d.pace("scaleUp", spec.Behavior.Up, s, max(s.Replicas, min(to, d.History.Low[0].Replicas)), to, now, window(spec.Behavior.Up, 0))
	case to < s.Replicas && (d.Trigger == ByDemand || spec.Behavior.Down.Stabilization >= 0):
		return d.pace("scaleDown", spec.Behavior.Down, s, min(s.Replicas, max(to, d.History.High[0].Replicas)), to, now, window(spec.Behavior.Down, defaultStabilization))
	case to < s.Replicas:
		return d.pace("scaleDown", spec.Behavior.Down, s, to, to, now, 0)
	default:
		return to
	}
}

// pace says why the wish is held back, and returns what is left of it.
func (d *Decision) pace(which string, p Pace, s State, stable, to int32, now time.Time, over time.Duration) int32 {
	if stable != to {
		d.Reasons = append(d.Reasons, Reason{
			Rule: "Stabilization", Effect: Hold, Replicas: stable,
			Message: fmt.Sprintf("within the last %s %d were wished for", Seconds(over), stable),
			Brief:   fmt.Sprintf("within the last %s another count was wished for", Seconds(over)),
			Inputs:  []Input{{Name: which + ".stabilizationWindowSeconds", Value: over.Seconds(), Unit: "s"}},
		})
		list := d.History.Low
		if to < s.Replicas {
			list = d.History.High
		}
		d.Due = earliest(d.Due, list[0].At.Add(over))
	}
	limit, until, bound := p.limit(d.History.Counts, s.Replicas, to > s.Replicas, now)
	allowed := stable
	if bound && to > s.Replicas {
		allowed = max(s.Replicas, min(stable, limit))
	} else if bound {
		allowed = min(s.Replicas, max(stable, limit))
	}
	if allowed != stable {
		d.Due = earliest(d.Due, until)
		message := fmt.Sprintf("%s allows %d for now", which, allowed)
		if p.Select == SelectDisabled {
			message = which + " is disabled"
		}
		d.Reasons = append(d.Reasons, Reason{Rule: "Behavior", Effect: Hold, Replicas: allowed, Message: message})
	}
	return allowed
}

func window(p Pace, byDefault time.Duration) time.Duration {
	if p.Stabilization < 0 {
		return byDefault
	}
	return p.Stabilization
}

// limit is the count that the policies allow now, until when it stays, and whether there is one. As
// Kubernetes has it: each policy allows a change from the count at the beginning of its period on.
func (p Pace) limit(counts []Counted, replicas int32, up bool, now time.Time) (limit int32, until time.Time, bound bool) {
	if p.Select == SelectDisabled {
		return replicas, time.Time{}, true
	}
	for i, policy := range p.Policies {
		from, ends := began(counts, replicas, now.Add(-policy.Period))
		by := policy.Value
		if policy.Percent {
			by = max(1, int32((int64(from)*int64(policy.Value)+99)/100)) //nolint:gosec // G115: at most 10,000 times 10,000
		}
		allowed := from + by
		if !up {
			allowed = max(0, from-by)
		}
		more := (allowed > limit) == up
		if i == 0 || more == (p.Select != SelectMin) && allowed != limit {
			limit = allowed
		}
		if !ends.IsZero() {
			until = earliest(until, ends.Add(policy.Period))
		}
	}
	return limit, until, len(p.Policies) > 0
}

// began is the count at a moment, and when it changed for the first time after it.
func began(counts []Counted, replicas int32, moment time.Time) (int32, time.Time) {
	from := replicas
	for i, c := range counts {
		if i == 0 || !c.At.After(moment) {
			from = c.Replicas
			continue
		}
		return from, c.At
	}
	return from, time.Time{}
}

// remember appends a count that differs from the last, and forgets what ended before a moment; the one
// that held at that moment stays.
func remember(counts []Counted, c Counted, before time.Time) []Counted {
	counts = slices.Clone(counts)
	if n := len(counts); n == 0 || counts[n-1].Replicas != c.Replicas {
		counts = append(counts, c)
	}
	for len(counts) > 1 && !counts[1].At.After(before) || len(counts) > keptCounts {
		counts = counts[1:]
	}
	return counts
}

// lasting has the last wish last until what was heard left it as it was, as if it had been wished for again.
func lasting(wishes []Counted, until time.Time) []Counted {
	n := len(wishes)
	if n == 0 || !until.After(wishes[n-1].At) {
		return wishes
	}
	wishes = slices.Clone(wishes)
	wishes[n-1].At = until
	return wishes
}

// envelope keeps the wishes since a moment of which each may still become the most careful one: those
// that a newer one outdoes are dropped. The first is the most careful of all.
func envelope(wishes []Counted, c Counted, since time.Time, outdone func(old, new int32) bool) []Counted {
	kept := make([]Counted, 0, len(wishes)+1)
	for _, w := range wishes {
		if w.At.After(since) && !outdone(w.Replicas, c.Replicas) {
			kept = append(kept, w)
		}
	}
	if kept = append(kept, c); len(kept) > keptCounts {
		kept = slices.Delete(kept, 1, 2) // the most careful one and the newest ones say most
	}
	return kept
}
