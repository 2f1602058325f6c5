package scaling

import (
	"fmt"
	"slices"
	"time"
)

// Decide returns how many pods the application should have at now, and why. A wish that has to wait
// is in the reasons, with a hold that says for what.
//
// To is within [MinReplicas, MaxReplicas], or From when a hold forbids the way down, or when
// somebody else scales the Deployment.
func Decide(spec Spec, s State, now time.Time) Decision {
	at, schedules, changes := spec.At(now)
	d := at.decide(s, now)
	for _, r := range schedules {
		r.Replicas = d.To
		d.Reasons = append(d.Reasons, r)
	}
	d.Due = earliest(earliest(d.Due, changes), s.Until)
	d.Reasons = d.Reasons[:min(len(d.Reasons), MaxReasons)]
	return d
}

func (spec Spec) decide(s State, now time.Time) Decision {
	d := Decision{From: s.Replicas, To: s.Replicas, Wished: s.Replicas, Aim: s.Replicas, Trigger: Reconcile, History: s.History}
	if !s.Found {
		d.Reasons = []Reason{{Rule: "Target", Effect: Hold, Replicas: s.Replicas, Message: "the Deployment does not exist"}}
		d.Summary = "nothing to scale: the Deployment does not exist"
		return d
	}
	if s.Contest.Who != "" {
		d := yield(s, "Contested", Contested(s.Contest.Who))
		d.Due = s.Contest.Until
		return d
	}
	if spec.Mode == Paused {
		return pause(spec, s, now)
	}
	if s.Owner != "" {
		return wake(spec, s, now)
	}
	d.Wished = d.wish(spec, s, now)
	to := d.clamp(spec, d.Wished)
	to = d.surge(spec, s, to)
	to = d.clamp(spec, d.paced(spec, s, to, now))
	d.Aim = to
	switch {
	case to < s.Replicas:
		to = d.hold(spec, s, to, now)
	case to > s.Replicas && d.Stride > 0:
		to = d.clamp(spec, d.settle(spec, s, to, now))
	}
	d.To = to
	if spec.Mode == Observe {
		d.observe(s)
	}
	d.summarise()
	return d
}

// wish takes the largest wish, and its rule as the trigger.
func (d *Decision) wish(spec Spec, s State, now time.Time) int32 {
	d.add(start(spec, s, now))
	d.add(together(spec, s, now))
	idles, due := idle(spec, s, now)
	d.add(idles, due)
	d.add(working(spec, s, now))

	h := holding{before: s.Since, after: map[string]time.Time{}, replicas: s.Replicas, now: now, tries: s.History.tries()}
	for _, ask := range []func(Spec, State) ([]Reason, time.Time){h.demand, h.thresholds, h.rules} {
		reasons, due := ask(spec, s)
		if len(idles) > 0 {
			reasons, due = overruled(reasons), time.Time{}
		}
		d.add(reasons, due)
	}
	d.Since, d.History.Tries = h.after, h.tries
	if !slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Effect == Wish }) {
		d.Reasons = slices.Insert(d.Reasons, 0, keep(spec, s))
	}
	best := int32(-1)
	for _, r := range d.Reasons {
		if r.Effect == Wish && r.Replicas > best {
			best, d.Trigger, d.Stride = r.Replicas, r.Trigger, r.Stride
		}
	}
	return best
}

func (d *Decision) add(reasons []Reason, due time.Time) {
	d.Reasons = append(d.Reasons, reasons...)
	d.Due = earliest(d.Due, due)
}

// overruled turns what thresholds and rules say into notes.
func overruled(reasons []Reason) []Reason {
	for i := range reasons {
		reasons[i].Effect = Note
	}
	return reasons
}

// settle lets a pod be added only when the last one is alive, or should have been for long.
func (d *Decision) settle(spec Spec, s State, to int32, now time.Time) int32 {
	until := s.Start.Since.Add(startsFor(spec, s))
	if s.Ready >= s.Replicas || s.Start.Since.IsZero() || !now.Before(until) {
		return to
	}
	d.Due = earliest(d.Due, until)
	d.Reasons = append(d.Reasons, Reason{
		Rule: "Settle", Effect: Hold, Replicas: s.Replicas,
		Message: Count(s.Replicas-s.Ready, "pod is", "pods are") + " not alive yet",
		Inputs:  []Input{{Name: "ready", Value: float64(s.Ready), Unit: "pods"}, {Name: "replicas", Value: float64(s.Replicas), Unit: "pods"}},
	})
	return s.Replicas
}

// clamp binds the wish to the user's bounds.
func (d *Decision) clamp(spec Spec, wished int32) int32 {
	for _, bound := range []struct {
		rule string
		to   int32
	}{
		{"MinReplicas", max(wished, spec.MinReplicas)},
		{"MaxReplicas", min(max(wished, spec.MinReplicas), spec.MaxReplicas)},
	} {
		if bound.to == wished {
			continue
		}
		if d.Trigger == Reconcile {
			d.Trigger = Bounds
		}
		limit := spec.MinReplicas
		if bound.rule == "MaxReplicas" {
			limit = spec.MaxReplicas
		}
		d.Reasons = append(d.Reasons, Reason{
			Rule: bound.rule, Effect: Clamp, Replicas: bound.to,
			Message: fmt.Sprintf("%s is %d", lower(bound.rule), limit),
			Inputs:  []Input{{Name: lower(bound.rule), Value: float64(limit), Unit: "pods"}},
		})
		wished = bound.to
	}
	return wished
}

// hold asks everyone who may forbid the way down.
func (d *Decision) hold(spec Spec, s State, to int32, now time.Time) int32 {
	held := to
	for _, h := range holds {
		if h.concerns != nil && !h.concerns(*d) {
			continue
		}
		why, due := h.forbid(spec, s, to, now)
		if why == "" {
			continue
		}
		held = s.Replicas
		d.Due = earliest(d.Due, due)
		d.Reasons = append(d.Reasons, Reason{
			Rule: h.name, Effect: Hold, Replicas: held, Message: why,
			Inputs: []Input{
				{Name: "liveBalancers", Value: float64(len(s.Traffic.Live)), Age: s.Traffic.Age},
				{Name: "staleBalancers", Value: float64(len(s.Traffic.Stale))},
			},
		})
	}
	return held
}

// Explain adds what lifecycle has to say, and says the whole anew.
func (d *Decision) Explain(reasons ...Reason) {
	d.Reasons = append(d.Reasons[:min(len(d.Reasons), MaxReasons-len(reasons))], reasons...)
	d.summarise()
}

// summarise says the decision in one sentence: the last word that changed it, or the wish.
func (d *Decision) summarise() {
	why := ""
	for _, r := range d.Reasons {
		if r.Effect == Wish && (why == "" || r.Trigger == d.Trigger) {
			why = r.brief()
		}
	}
	for _, r := range d.Reasons {
		if r.Effect == Hold || (r.Effect == Clamp && (d.Trigger == Bounds || d.To != 0)) || r.News {
			if why != "" {
				why += ", but "
			}
			why += r.brief()
			if r.Effect == Clamp && d.Trigger == Bounds {
				why = r.Message
			}
		}
	}
	if d.From == d.To {
		d.Summary = cut(fmt.Sprintf("stays at %d: %s", d.To, why))
		return
	}
	d.Summary = cut(fmt.Sprintf("%d → %d: %s", d.From, d.To, why))
}

func lower(rule string) string { return string(rule[0]|0x20) + rule[1:] }

// cut bounds a summary to what the contract allows.
func cut(s string) string {
	const limit = 1000
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
