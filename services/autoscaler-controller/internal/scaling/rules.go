package scaling

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Rule is a rule of the user's own: when all its thresholds hold, it acts.
type Rule struct {
	Name       string
	Thresholds []Threshold
	Action     Action
	Step       int32 // pods that are added or removed at once; 0 is 1
}

// Threshold compares a metric with a value.
type Threshold struct {
	Metric   Metric
	Operator Operator
	Value    float64
	For      time.Duration // how long it must hold without a break
}

// Operator compares.
type Operator string

// The operators. EqualTo holds within 1% of the value: no two measurements are the same.
const (
	GreaterThan Operator = "GREATER_THAN"
	LessThan    Operator = "LESS_THAN"
	EqualTo     Operator = "EQUAL_TO"
)

// Action is what a rule does.
type Action string

// The actions.
const (
	Increase       Action = "INCREASE_INSTANCES"
	Decrease       Action = "DECREASE_INSTANCES"
	DecreaseToZero Action = "DECREASE_INSTANCES_TO_ZERO"
)

const tolerance = 0.01

// holds compares. A value that is not known compares with nothing; on the way up a pod that says
// nothing counts as one that uses nothing, on the way down it forbids the rule.
func (t Threshold) holds(m Mean, action Action) bool {
	if m.Pods == 0 || action != Increase && m.Missing > 0 {
		return false
	}
	switch t.Operator {
	case GreaterThan:
		return m.certain() > t.Value
	case LessThan:
		return m.Value < t.Value
	default:
		return math.Abs(m.Value-t.Value) <= tolerance*t.Value
	}
}

func (t Threshold) say() string {
	text := fmt.Sprintf("%s %s %s", t.Metric.word(), map[Operator]string{GreaterThan: ">", LessThan: "<", EqualTo: "="}[t.Operator], t.Metric.amount(t.Value))
	if t.For > 0 {
		text += " for " + Seconds(t.For)
	}
	return text
}

// rules lets each rule have its say.
func (h *holding) rules(spec Spec, s State) (reasons []Reason, due time.Time) {
	if s.Replicas == 0 {
		return nil, time.Time{}
	}
	for _, r := range spec.Rules {
		reason, at := h.rule(r, s)
		reasons, due = append(reasons, reason), earliest(due, at)
	}
	return reasons, due
}

func (r Rule) step() int32 { return max(r.Step, 1) }

// growing is the first threshold that more pods are to lower; false when there is none.
func (r Rule) growing(s State) (Mean, bool) {
	for _, t := range r.Thresholds {
		if r.Action == Increase && t.Operator == GreaterThan {
			return s.mean(t.Metric), true
		}
	}
	return Mean{}, false
}

func (h *holding) rule(r Rule, s State) (Reason, time.Time) {
	var due time.Time
	all, asked, found := true, make([]string, 0, len(r.Thresholds)), make([]string, 0, len(r.Thresholds))
	inputs := make([]Input, 0, 2*len(r.Thresholds))
	for i, t := range r.Thresholds {
		m := s.mean(t.Metric)
		if r.Action != Increase {
			m = s.undrained(m)
		}
		passed, at := h.passed(h.since(fmt.Sprintf("rule/%s/%d", r.Name, i), t.holds(m, r.Action)), t.For)
		due = earliest(due, at)
		all = all && passed
		asked, found = append(asked, t.say()), append(found, m.say())
		inputs = append(inputs, m.input(), Input{Name: "threshold", Value: t.Value, Unit: t.Metric.Unit()})
	}
	reason := Reason{
		Rule: rulePrefix + r.Name, Effect: Note, Replicas: s.Replicas, Inputs: inputs[:min(len(inputs), maxInputs)],
		Trigger: ByRule, Stride: r.step(),
		Message: fmt.Sprintf("%s: %s", strings.Join(asked, " and "), strings.Join(found, ", ")),
	}
	if m, ok := r.growing(s); ok && !h.worthwhile(reason.Rule, m, s, all) {
		reason.Message += futile
		return reason, due
	}
	if !all {
		return reason, due
	}
	reason.Effect = Wish
	switch r.Action {
	case Increase:
		reason.Replicas = s.Replicas - s.Draining + r.step() // first of all it calls off what drains
	case Decrease:
		reason.Replicas = max(s.Replicas-r.step(), 1)
		if s.Replicas == 1 {
			reason.Effect = Note
			reason.Message += "; the last pod is for idleTime or " + string(DecreaseToZero)
		}
	case DecreaseToZero:
		reason.Replicas = 0
	}
	return reason, due
}

// RuleNames are what the thresholds and rules of a spec are called in the reasons of decisions.
func (s Spec) RuleNames() []string {
	list := thresholdsOf(s)
	if len(list)+len(s.Rules) == 0 {
		return nil
	}
	names := make([]string, 0, len(list)+len(s.Rules))
	for _, t := range list {
		names = append(names, t.rule)
	}
	for _, r := range s.Rules {
		names = append(names, rulePrefix+r.Name)
	}
	return names
}

const (
	rulePrefix = "Rule:"
	maxInputs  = 16
)
