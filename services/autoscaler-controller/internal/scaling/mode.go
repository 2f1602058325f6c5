package scaling

import (
	"fmt"
	"time"
)

// Mode is what may be done to the Deployment.
type Mode string

// The modes; "" is Active.
const (
	Active  Mode = "Active"
	Observe Mode = "Observe" // decide and record, and touch nothing but to wake it
	Paused  Mode = "Paused"  // neither start nor stop
)

// severity orders the modes: of several the one that does less binds.
func (m Mode) severity() int {
	switch m {
	case Paused:
		return 2
	case Observe:
		return 1
	default:
		return 0
	}
}

// Acts tells whether what is decided is done.
func (m Mode) Acts() bool { return m.severity() == 0 }

// Cron says when something comes next.
type Cron interface {
	// Next is the first time after t; zero: never again.
	Next(t time.Time) time.Time
}

// Schedule sets bounds and a mode for times of the week.
type Schedule struct {
	Name       string
	Start, End Cron
	Min, Max   *int32 // nil: as they are
	Mode       Mode   // "": as it is
}

// active tells whether the schedule has begun and not ended: its next end comes before its next
// beginning. changes is when that turns.
func (s Schedule) active(now time.Time) (active bool, changes time.Time) {
	begins, ends := s.Start.Next(now), s.End.Next(now)
	switch {
	case ends.IsZero():
		return false, begins
	case begins.IsZero():
		return true, ends
	default:
		return ends.Before(begins), earliest(begins, ends)
	}
}

// ModeAt is the mode at a moment, as the schedules have it.
func (s Spec) ModeAt(now time.Time) Mode {
	at, _, _ := s.At(now)
	return at.Mode
}

// At is the spec as its schedules have it at a moment, who changed it, and when that turns.
func (s Spec) At(now time.Time) (at Spec, by []Reason, changes time.Time) {
	at = s
	var low, high *int32
	for _, sc := range s.Schedules {
		active, turns := sc.active(now)
		changes = earliest(changes, turns)
		if !active {
			continue
		}
		if sc.Min != nil && (low == nil || *sc.Min > *low) {
			low = sc.Min
		}
		if sc.Max != nil && (high == nil || *sc.Max < *high) {
			high = sc.Max
		}
		if sc.Mode.severity() > at.Mode.severity() || at.Mode == "" {
			at.Mode = sc.Mode
		}
		by = append(by, Reason{Rule: "Schedule:" + sc.Name, Effect: Note, Message: "the schedule " + sc.Name + " is active"})
	}
	if low != nil {
		at.MinReplicas = *low
	}
	if high != nil {
		at.MaxReplicas = *high
	}
	at.MinReplicas = min(at.MinReplicas, at.MaxReplicas)
	return at, by, changes
}

// paused holds what is there, or the count that the user gave.
func pause(spec Spec, s State, now time.Time) Decision {
	to := s.Replicas
	message := "mode is Paused"
	if spec.PausedReplicas != nil {
		to = *spec.PausedReplicas
		message = fmt.Sprintf("mode is Paused, with %d", to)
	}
	d := Decision{From: s.Replicas, To: to, Wished: to, Aim: to, Trigger: ByMode}
	effect := Hold
	if to != s.Replicas {
		effect = Wish
	}
	d.Reasons = []Reason{{Rule: "Mode", Effect: effect, Replicas: to, Message: message, Trigger: ByMode}}
	if to < s.Replicas {
		to = d.hold(spec, s, to, now)
	}
	d.To = to
	d.summarise()
	return d
}

// observe takes back what a decision would do, except that a request wakes it.
func (d *Decision) observe(s State) {
	if s.Replicas == 0 && d.Trigger == StartCall {
		return
	}
	d.Aim = s.Replicas // no way down begins, and one that is under way is called off
	if d.To == d.From {
		return
	}
	would := d.To
	d.Reasons = append(d.Reasons, Reason{Rule: "Mode", Effect: Hold, Replicas: s.Replicas, Message: fmt.Sprintf("mode is Observe: %d would be asked for", would)})
	d.To = s.Replicas
}
