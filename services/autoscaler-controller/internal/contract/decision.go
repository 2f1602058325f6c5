package contract

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Decision is a decision with all its reasons.
func Decision(r fleet.Record) autoscaler.Decision {
	result := autoscaler.DecisionResult(r.Result())
	out := autoscaler.Decision{
		Id: r.ID, Time: r.Time.UTC(), Namespace: r.Namespace, Deployment: r.Deployment, From: r.From, To: r.To,
		Trigger: string(r.Trigger), Applied: r.Applied, Error: optional(Cut(r.Error)), TraceId: optional(r.TraceID),
		Summary: r.Summary, Result: &result, Reasons: make([]autoscaler.Reason, len(r.Reasons)),
	}
	for i, reason := range r.Reasons {
		out.Reasons[i] = autoscaler.Reason{
			Rule: reason.Rule, Effect: autoscaler.ReasonEffect(reason.Effect), Replicas: reason.Replicas, Message: Cut(reason.Message),
		}
		if len(reason.Inputs) == 0 {
			continue
		}
		inputs := make([]struct {
			AgeSeconds *float64 `json:"ageSeconds,omitempty"`
			Name       string   `json:"name"`
			Unit       *string  `json:"unit,omitempty"`
			Value      float64  `json:"value"`
		}, len(reason.Inputs))
		for j, in := range reason.Inputs {
			inputs[j].Name, inputs[j].Value, inputs[j].Unit, inputs[j].AgeSeconds = in.Name, in.Value, optional(in.Unit), positive(in.Age)
		}
		out.Reasons[i].Inputs = &inputs
	}
	return out
}

// lastDecision is what a target's status keeps: the last decision, unless that says less than the one
// that is stored, or the same: each new leader decides anew on what sleeps, and finds that it sleeps.
func lastDecision(last *fleet.Record, stored *autoscaler.LastDecision) *autoscaler.LastDecision {
	if last == nil || stored != nil && stored.Applied && !telling(*last) {
		return stored
	}
	result := autoscaler.LastDecisionResult(last.Result())
	d := &autoscaler.LastDecision{
		Id: last.ID, Time: last.Time.UTC(), From: last.From, To: last.To, Trigger: string(last.Trigger), Applied: last.Applied,
		Result: &result, Error: optional(Cut(last.Error)), TraceId: optional(last.TraceID), Summary: Cut(last.Summary),
	}
	if stored != nil && !last.Applied && saysTheSame(*d, *stored) {
		return stored
	}
	return d
}

// saysTheSame tells whether two decisions differ in when they were made alone.
func saysTheSame(a, b autoscaler.LastDecision) bool {
	return a.From == b.From && a.To == b.To && a.Trigger == b.Trigger && a.Applied == b.Applied && value(a.Result, "") == value(b.Result, "") &&
		scaling.Wording(a.Summary) == scaling.Wording(b.Summary) && scaling.Wording(value(a.Error, "")) == scaling.Wording(value(b.Error, ""))
}

// telling: it did something, could not, or was kept from it.
func telling(r fleet.Record) bool {
	return r.Applied || r.Error != "" || slices.ContainsFunc(r.Reasons, func(reason scaling.Reason) bool { return reason.Effect == scaling.Hold })
}

func positive(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}
