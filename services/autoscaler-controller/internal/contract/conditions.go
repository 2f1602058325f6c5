package contract

import (
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// The conditions that speak of the object itself; the others speak of its targets.
const (
	accepted = "Accepted"
	ready    = "Ready"
)

// needed is what Ready depends on, in the order in which people mend it.
var needed = []string{accepted, "TargetFound", "AbleToScale"}

// Standing is how a CustomAutoscaler itself stands.
type Standing struct {
	Generation int64
	Malformed  error
	Refused    []string // targets that others have, and why
	Foreign    bool     // among them some that another namespace has
	Claims     []Claim  // one for each target, in their order
}

// RefusedFor is the reason of a claim that is refused, for another namespace's sake or for an older one of the same.
func RefusedFor(foreign bool) string {
	if foreign {
		return string(autoscaler.ClaimRefused)
	}
	return string(autoscaler.RouteConflict)
}

func (s Standing) condition() fleet.Condition {
	switch {
	case s.Malformed != nil:
		return fleet.Condition{Type: accepted, Reason: "Malformed", Message: s.Malformed.Error()}
	case len(s.Refused) > 0:
		return fleet.Condition{Type: accepted, Reason: RefusedFor(s.Foreign), Message: strings.Join(s.Refused, "; ")}
	default:
		return fleet.Condition{Type: accepted, OK: true, Reason: "Accepted", Message: "every target is scaled and routed to"}
	}
}

// conditions are those of the whole: of the object, of all its targets together, and Ready over them.
func conditions(s Standing, targets []fleet.Target) []fleet.Condition {
	list := append([]fleet.Condition{s.condition()}, merge(targets)...)
	return append(list, readiness(list))
}

// readiness is True when all that is needed is.
func readiness(list []fleet.Condition) fleet.Condition {
	for _, name := range needed {
		i := slices.IndexFunc(list, func(c fleet.Condition) bool { return c.Type == name })
		if i < 0 {
			return fleet.Condition{Type: ready, Reason: "NotSeen", Message: "no target has been looked at yet"}
		}
		if c := list[i]; !c.OK {
			return fleet.Condition{Type: ready, Reason: c.Reason, Message: c.Message}
		}
	}
	return fleet.Condition{Type: ready, OK: true, Reason: "Ready", Message: "every target is there, and is scaled and routed to"}
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

// News are the events that are worth it when the stored status becomes another one: the object was
// refused, or somebody else scales a target too, or sets it back again and again. There is one for each
// time that it begins, however often it is written and whoever leads.
func News(s Standing, targets []fleet.Target, stored Status) []fleet.Event {
	var events []fleet.Event
	said := value(stored.said.Conditions, nil)
	if c, was := s.condition(), find(said, accepted); !c.OK && (was.Status != autoscaler.ConditionStatusFalse || scaling.Wording(value(was.Message, "")) != scaling.Wording(Cut(c.Message))) {
		events = append(events, fleet.Event{
			Warning: true, Reason: c.Reason, Message: c.Message, News: fleet.News{Kind: fleet.Refused, Message: c.Message},
		})
	}
	for _, t := range targets {
		for _, c := range t.Conditions {
			if !c.OK && (c.Reason == fleet.ConflictReason || c.Reason == fleet.ContestedReason) && !strings.Contains(scaling.Wording(value(find(said, c.Type).Message, "")), scaling.Wording(Cut(c.Message))) {
				events = append(events, fleet.Event{
					Warning: true, Reason: c.Reason, Message: t.Name + ": " + c.Message,
					News: fleet.News{Kind: fleet.Contested, Deployment: t.Name, Message: c.Message},
				})
			}
		}
	}
	return events
}

// Condition is a condition that has been so since c.Since.
func Condition(c fleet.Condition) autoscaler.Condition {
	status := autoscaler.ConditionStatusFalse
	if c.OK {
		status = autoscaler.ConditionStatusTrue
	}
	return autoscaler.Condition{
		Type: c.Type, Status: status, Reason: c.Reason, Message: optional(Cut(c.Message)), LastTransitionTime: c.Since.UTC(),
	}
}

// stored are conditions as a status has them: each since when it is as it is, by what was written before.
func storedConditions(list []fleet.Condition, before *[]autoscaler.Condition, generation int64, now time.Time) *[]autoscaler.Condition {
	out := make([]autoscaler.Condition, 0, len(list))
	for _, c := range list {
		condition := Condition(c)
		condition.ObservedGeneration, condition.LastTransitionTime = &generation, now.UTC().Truncate(time.Second)
		if was := find(value(before, nil), c.Type); was.Status == condition.Status {
			condition.LastTransitionTime = was.LastTransitionTime
		}
		out = append(out, condition)
	}
	return &out
}

// find is one of the conditions; the zero value when it is not among them.
func find(list []autoscaler.Condition, name string) autoscaler.Condition {
	for _, c := range list {
		if c.Type == name {
			return c
		}
	}
	return autoscaler.Condition{}
}
