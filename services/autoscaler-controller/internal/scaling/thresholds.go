package scaling

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// threshold is one of the three that a CustomAutoscaler has.
//
// The way down has hysteresis, so that what is removed is not added again a moment later: a metric
// must be below `low` of its threshold, and CPU, which is shared out among the pods that are left,
// must be so on one pod less. Memory stays with its pod; a response time says little about the
// pods to come, and so has to be far below.
type threshold struct {
	rule, field string
	metric      Metric
	limit       float64
	low         float64
	shared      bool
}

func thresholdsOf(spec Spec) []threshold {
	list := make([]threshold, 0, 3)
	for _, t := range []threshold{
		{"CPUThreshold", "cpuThreshold", CPU, float64(spec.CPUThreshold), 0.8, true},
		{"MemoryThreshold", "memoryThreshold", Memory, float64(spec.MemoryThreshold), 0.8, false},
		{"ResponseTimeThreshold", "responseTimeThreshold", ResponseTime, float64(spec.ResponseTimeThreshold), 0.5, false},
	} {
		if t.limit > 0 {
			list = append(list, t)
		}
	}
	return list
}

// missingGrace is how long a young pod may say nothing before that is worth a word.
const missingGrace = 30 * time.Second

// thresholds asks for one pod more when a threshold is passed, and for one less when all are met by
// far. It never asks for the last pod: that is for idle, and for rules.
func (h *holding) thresholds(spec Spec, s State) (reasons []Reason, due time.Time) {
	list := thresholdsOf(spec)
	if len(list) == 0 || s.Replicas == 0 {
		return nil, time.Time{}
	}
	allLow, why, inputs := true, []string{}, []Input{}
	for _, t := range list {
		m := s.mean(t.metric)
		high := m.certain() > t.limit
		up, at := h.passed(h.since(t.field+"/high", high), spec.UpWindow)
		due = earliest(due, at)
		r := Reason{
			Rule: t.rule, Effect: Note, Replicas: s.Replicas, Message: t.say(m, s.Replicas), Trigger: ByMetric, Stride: 1,
			Inputs: []Input{m.input(), {Name: t.field, Value: t.limit, Unit: t.metric.Unit()}},
		}
		worthwhile := h.worthwhile(t.rule, m, s, high)
		switch {
		case up && !worthwhile:
			r.Message = fmt.Sprintf("%s, above %s %s%s", m.say(), t.field, t.metric.amount(t.limit), futile)
		case up:
			r.Effect, r.Replicas = Wish, s.Replicas-s.Draining+1 // first of all it calls off what drains
			r.Message = fmt.Sprintf("%s, above %s %s", m.say(), t.field, t.metric.amount(t.limit))
		case high:
			r.Message = fmt.Sprintf("%s, above %s %s, and acts after %s of it", m.say(), t.field, t.metric.amount(t.limit), Seconds(spec.UpWindow))
		case m.Missing > 0:
			r.Message = fmt.Sprintf("no fresh %s value of %s: nothing is removed", t.metric.word(), Count(m.Missing, "ready pod", "ready pods"))
			var late bool
			late, at = h.passed(h.since(t.field+"/missing", true), missingGrace)
			if due = earliest(due, at); late && s.Replicas > 1 {
				r.Effect = Hold
			}
		case t.unanswered(m, s.Traffic):
			r.Message = "requests are in flight and none was answered lately: nothing is removed"
		}
		reasons = append(reasons, r)
		before := s.undrained(m)
		allLow = allLow && t.isLow(before, s.Replicas) && !t.unanswered(m, s.Traffic)
		why, inputs = append(why, t.say(before, s.Replicas)), append(inputs, r.Inputs...)
	}
	down, at := h.passed(h.since("thresholds/low", allLow && s.Replicas > 1), spec.DownWindow)
	due = earliest(due, at)
	if down {
		return []Reason{{
			Rule: "Thresholds", Effect: Wish, Replicas: s.Replicas - 1, Inputs: inputs, Trigger: ByMetric, Stride: 1,
			Message: fmt.Sprintf("for %s %s", Seconds(spec.DownWindow), strings.Join(why, ", and ")),
		}}, due
	}
	if spec.demanding(s.Demand) && !allLow && !slices.ContainsFunc(reasons, func(r Reason) bool { return r.Effect == Wish }) {
		// Demand alone might ask for fewer, and what is used would then be too much again.
		reasons = append(reasons, Reason{
			Rule: "Thresholds", Effect: Wish, Replicas: s.Replicas, Trigger: Reconcile, Message: "not every threshold is met by far",
		})
	}
	return reasons, due
}

// onLess is what the mean would be on one pod less.
func (t threshold) onLess(m Mean, replicas int32) float64 {
	if !t.shared || replicas < 2 {
		return m.Value
	}
	return m.Value * float64(replicas) / float64(replicas-1)
}

// unanswered: how long the answers take is not known yet, for they are still being made.
func (t threshold) unanswered(m Mean, traffic Traffic) bool {
	return t.metric == ResponseTime && m.Pods == 0 && busy(traffic)
}

// isLow tells whether a metric allows a pod to go. Where nobody asks, no answers at all are quick
// answers; of the other metrics nothing known is nothing known.
func (t threshold) isLow(m Mean, replicas int32) bool {
	if m.Pods == 0 {
		return m.Missing == 0 && t.metric == ResponseTime
	}
	return m.Missing == 0 && t.onLess(m, replicas) < t.low*t.limit
}

// say compares a mean with its threshold.
func (t threshold) say(m Mean, replicas int32) string {
	if m.Pods == 0 {
		return m.say()
	}
	text := m.say()
	if t.shared && replicas > 1 {
		text = fmt.Sprintf("%s would be %s on one pod less", t.metric.word(), t.metric.amount(t.onLess(m, replicas)))
	}
	if t.isLow(m, replicas) {
		return fmt.Sprintf("%s, below %v%% of %s %s", text, t.low*100, t.field, t.metric.amount(t.limit))
	}
	if m.Value > t.limit {
		return fmt.Sprintf("%s, above %s %s", m.say(), t.field, t.metric.amount(t.limit))
	}
	return fmt.Sprintf("%s, within %s %s", text, t.field, t.metric.amount(t.limit))
}
