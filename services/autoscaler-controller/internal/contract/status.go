package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Status is the status of a CustomAutoscaler. The zero value says nothing.
type Status struct {
	said autoscaler.CustomAutoscalerStatus
}

// ReadStatus reads the status of an object. One that does not fit the contract, which only another
// version can have written, says nothing.
func ReadStatus(object map[string]any) Status {
	raw, err := json.Marshal(object["status"])
	if err != nil {
		return Status{} // never: it was JSON
	}
	return DecodeStatus(raw)
}

// DecodeStatus is ReadStatus of a status as JSON.
func DecodeStatus(raw []byte) Status {
	var s Status
	if json.Unmarshal(raw, &s.said) != nil {
		return Status{}
	}
	for _, t := range value(s.said.Targets, nil) {
		if d := t.LastDecision; d != nil {
			d.Namespace, d.Deployment, d.Reasons = nil, nil, nil // of an older controller, or for an older resource
		}
	}
	return s
}

// ForOlderResource is the same with all that a CustomResourceDefinition of release 0.1 asks for.
func (s Status) ForOlderResource(namespace string) Status {
	targets := slices.Clone(value(s.said.Targets, nil))
	for i, t := range targets {
		if t.LastDecision != nil {
			d := *t.LastDecision
			d.Namespace, d.Deployment, d.Reasons = &namespace, &t.Name, &[]autoscaler.Reason{}
			targets[i].LastDecision = &d
		}
	}
	s.said.Targets = &targets
	return s
}

// NewStatus is how an object and its targets stand now. What stored says is kept where it still holds:
// since when a condition is as it is, and a decision that changed something while later ones changed
// nothing, for whoever looks wants to know why the application stands where it does.
func NewStatus(s Standing, targets []fleet.Target, stored Status, now time.Time) Status {
	message, messageAt := "", time.Time{}
	var replicas, ready int32
	list := make([]autoscaler.TargetStatus, 0, len(targets))
	for _, t := range targets {
		replicas += t.Replicas
		ready += t.Ready
		was := stored.target(t.Name)
		target, last := targetStatus(t), lastDecision(t.Last, was.LastDecision)
		target.Conditions = storedConditions(t.Conditions, was.Conditions, s.Generation, now)
		if target.LastDecision = last; last != nil && (message == "" || last.Time.After(messageAt)) {
			message, messageAt = last.Summary, last.Time
		}
		list = append(list, target)
	}
	if c := s.condition(); !c.OK {
		message = c.Message
	}
	state := autoscaler.ApplicationState(state(targets))
	return Status{autoscaler.CustomAutoscalerStatus{
		ObservedGeneration: &s.Generation, State: &state, Message: optional(Cut(message)),
		Replicas: &replicas, ReadyReplicas: &ready,
		Conditions: storedConditions(conditions(s, targets), stored.said.Conditions, s.Generation, now), Targets: &list, Claims: claimed(s.Claims),
	}}
}

func targetStatus(t fleet.Target) autoscaler.TargetStatus {
	out := autoscaler.TargetStatus{
		Name: t.Name, State: autoscaler.ApplicationState(t.State), Replicas: &t.Replicas, ReadyReplicas: &t.Ready, Learned: learned(t.Learned),
	}
	if t.Slept > 0 && t.Replicas == 0 {
		out.ReplicasBeforeSleep = &t.Slept
	}
	if !t.LastActivity.IsZero() {
		at := t.LastActivity.UTC().Truncate(time.Second)
		out.LastActivityTime = &at
	}
	return out
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

// target is what it says of one; the zero value when it says nothing.
func (s Status) target(name string) autoscaler.TargetStatus {
	for _, t := range value(s.said.Targets, nil) {
		if t.Name == name {
			return t
		}
	}
	return autoscaler.TargetStatus{}
}

// Patch is the JSON merge patch of an object that makes its status this one. Only the first level can
// lose a field: the lists are replaced as a whole.
func (s Status) Patch(stored Status) ([]byte, error) {
	before, err := stored.fields()
	if err != nil {
		return nil, err
	}
	after, err := s.fields()
	if err != nil {
		return nil, err
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			after[name] = nil
		}
	}
	return json.Marshal(map[string]any{"status": after})
}

// fields are those of its JSON.
func (s Status) fields() (map[string]any, error) {
	raw, err := json.Marshal(s.said)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	return m, nil
}

func optional[S ~string](s S) *S {
	if s == "" {
		return nil
	}
	return &s
}
