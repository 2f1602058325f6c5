package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// accepted is the condition that speaks of the object itself; the others speak of its targets.
const accepted = "Accepted"

// standing is how a CustomAutoscaler itself stands.
type standing struct {
	generation int64
	malformed  error
	refused    []string // targets that older CustomAutoscalers have
}

func (w *Watcher) standing(a fleet.Autoscaler) standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return standing{generation: w.known[a].generation, malformed: w.known[a].malformed, refused: w.refused[a]}
}

func (s standing) condition() fleet.Condition {
	switch {
	case s.malformed != nil:
		return fleet.Condition{Type: accepted, Reason: "Malformed", Message: s.malformed.Error()}
	case len(s.refused) > 0:
		return fleet.Condition{Type: accepted, Reason: "RouteConflict", Message: strings.Join(s.refused, "; ")}
	default:
		return fleet.Condition{Type: accepted, OK: true, Reason: "Accepted", Message: "every target is scaled and routed to"}
	}
}

// news is the event that the condition Accepted is worth, when it turned.
func (s standing) news(before map[string]any) []fleet.Event {
	c := s.condition()
	was := conditionTimes(before)[accepted]
	if c.OK || was["status"] == "False" && was["message"] == cut(c.Message) {
		return nil
	}
	return []fleet.Event{{Warning: true, Reason: c.Reason, Message: c.Message}}
}

// conflicts are the events that a target is worth which somebody else scales too, or sets back again and
// again: one for each time that it begins, however often it is written and whoever leads.
func conflicts(targets []fleet.Target, before map[string]any) []fleet.Event {
	var events []fleet.Event
	for _, t := range targets {
		for _, c := range t.Conditions {
			said, _ := conditionTimes(before)[c.Type]["message"].(string)
			if !c.OK && (c.Reason == fleet.ConflictReason || c.Reason == fleet.ContestedReason) && !strings.Contains(said, cut(c.Message)) {
				events = append(events, fleet.Event{Warning: true, Reason: c.Reason, Message: t.Name + ": " + c.Message})
			}
		}
	}
	return events
}

// status is the status of a CustomAutoscaler, as its schema has it.
//
// A decision that changed nothing does not take the place of one that did: whoever looks wants to
// know why the application stands where it does, also after the controller was restarted.
func status(s standing, targets []fleet.Target, stored map[string]any, now time.Time) map[string]any {
	before, decisions := conditionTimes(stored), storedDecisions(stored)
	message, messageAt := "", time.Time{}
	var replicas, ready int32
	list := make([]any, 0, len(targets))
	for _, t := range targets {
		replicas += t.Replicas
		ready += t.Ready
		target, said := targetStatus(t), decisions[t.Name]
		if t.Last != nil && (said == nil || said["applied"] != true || telling(*t.Last)) {
			said = decision(*t.Last)
		}
		if said != nil {
			target["lastDecision"] = said
			text, _ := said["summary"].(string)
			if at := moment(said["time"]); message == "" || at.After(messageAt) {
				message, messageAt = text, at
			}
		}
		list = append(list, target)
	}
	conditions := make([]any, 0, 8)
	for _, c := range append([]fleet.Condition{s.condition()}, merge(targets)...) {
		conditions = append(conditions, conditionStatus(c, s.generation, before[c.Type], now))
	}
	status := map[string]any{
		"observedGeneration": s.generation, "state": string(state(targets)),
		"replicas": replicas, "readyReplicas": ready, "conditions": conditions, "targets": list,
	}
	switch c := s.condition(); {
	case !c.OK:
		status["message"] = cut(c.Message)
	case message != "":
		status["message"] = cut(message)
	}
	return status
}

func targetStatus(t fleet.Target) map[string]any {
	m := map[string]any{"name": t.Name, "state": string(t.State), "replicas": t.Replicas, "readyReplicas": t.Ready}
	if learned := learnedStatus(t.Learned); len(learned) > 0 {
		m["learned"] = learned
	}
	if t.Slept > 0 && t.Replicas == 0 {
		m["replicasBeforeSleep"] = t.Slept
	}
	if !t.LastActivity.IsZero() {
		m["lastActivityTime"] = t.LastActivity.UTC().Format(time.RFC3339)
	}
	return m
}

// telling: it did something, could not, or was kept from it.
func telling(r fleet.Record) bool {
	return r.Applied || r.Error != "" || slices.ContainsFunc(r.Reasons, func(reason scaling.Reason) bool { return reason.Effect == scaling.Hold })
}

// storedDecisions are the decisions that the status has already, by target.
func storedDecisions(status map[string]any) map[string]map[string]any {
	byTarget := map[string]map[string]any{}
	for _, t := range objectsIn(status["targets"]) {
		name, _ := t["name"].(string)
		if d, ok := t["lastDecision"].(map[string]any); ok {
			byTarget[name] = d
		}
	}
	return byTarget
}

func moment(text any) time.Time {
	s, _ := text.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func conditionStatus(c fleet.Condition, generation int64, before map[string]any, now time.Time) map[string]any {
	status, since := "False", now.UTC().Format(time.RFC3339)
	if c.OK {
		status = "True"
	}
	if text, ok := before["lastTransitionTime"].(string); ok && before["status"] == status {
		since = text
	}
	return map[string]any{
		"type": c.Type, "status": status, "reason": c.Reason, "message": cut(c.Message),
		"lastTransitionTime": since, "observedGeneration": generation,
	}
}

// merge joins the conditions of several targets: one that is not so makes the whole not so, but
// the whole is active, or contested, when any is.
func merge(targets []fleet.Target) []fleet.Condition {
	var order []string
	byType := map[string]fleet.Condition{}
	for _, t := range targets {
		for _, c := range t.Conditions {
			if len(targets) > 1 {
				c.Message = t.Name + ": " + c.Message
			}
			whole, known := byType[c.Type]
			switch {
			case !known:
				order = append(order, c.Type)
				byType[c.Type] = c
			case whole.OK == c.OK:
				whole.Message += "; " + c.Message
				byType[c.Type] = whole
			case c.OK == (c.Type == "Active" || c.Type == "Contested"):
				byType[c.Type] = c
			}
		}
	}
	list := make([]fleet.Condition, 0, len(order))
	for _, name := range order {
		list = append(list, byType[name])
	}
	return list
}

// state is the most awake of the targets' states.
func state(targets []fleet.Target) fleet.State {
	for _, s := range []fleet.State{fleet.Awake, fleet.Waking, fleet.FallingAsleep, fleet.Asleep} {
		for _, t := range targets {
			if t.State == s {
				return s
			}
		}
	}
	return fleet.Unknown
}

func decision(r fleet.Record) map[string]any {
	reasons := make([]any, 0, len(r.Reasons))
	for _, reason := range r.Reasons {
		reasons = append(reasons, reasonStatus(reason))
	}
	m := map[string]any{
		"id": r.ID, "time": r.Time.UTC().Format(time.RFC3339Nano), "namespace": r.Namespace, "deployment": r.Deployment,
		"from": r.From, "to": r.To, "trigger": string(r.Trigger), "applied": r.Applied, "summary": r.Summary, "reasons": reasons,
	}
	if r.Error != "" {
		m["error"] = cut(r.Error)
	}
	if r.TraceID != "" {
		m["traceId"] = r.TraceID
	}
	return m
}

func reasonStatus(r scaling.Reason) map[string]any {
	m := map[string]any{"rule": r.Rule, "effect": string(r.Effect), "replicas": r.Replicas, "message": cut(r.Message)}
	inputs := make([]any, 0, len(r.Inputs))
	for _, i := range r.Inputs {
		input := map[string]any{"name": i.Name, "value": i.Value}
		if i.Unit != "" {
			input["unit"] = i.Unit
		}
		if i.Age > 0 {
			input["ageSeconds"] = i.Age.Seconds()
		}
		inputs = append(inputs, input)
	}
	if len(inputs) > 0 {
		m["inputs"] = inputs
	}
	return m
}
