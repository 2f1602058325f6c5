package contract

import (
	"math"
	"reflect"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// What is no reason to write a status anew: ten thousand objects that say every minute what they have
// said before would keep the API server busy with nothing.
const (
	// activityRepeat is how old the written time of the last traffic may get before it alone is a reason.
	activityRepeat = time.Minute
	// learnedTolerance is the part by which what was learned may differ from what is written.
	learnedTolerance = 0.1
)

// Covers tells whether it says all that another one does, but for what changes all the time: the time of
// the last traffic, numbers within texts, and what was learned, by a little. A text with other numbers is
// written when there is another reason.
func (s Status) Covers(other Status) bool {
	for _, t := range value(other.said.Targets, nil) {
		if was := s.target(t.Name); activityNews(was, t) || learnedNews(was.Learned, t.Learned) {
			return false
		}
	}
	a, errA := s.fields()
	b, errB := other.fields()
	if errA != nil || errB != nil {
		return false
	}
	withoutTrifles(a)
	withoutTrifles(b)
	return reflect.DeepEqual(a, b)
}

// SameStanding tells whether another one has the same state and conditions: what people wait for when
// they watch an object. So has it since when what is asked for, which is not to be lost with this process. The rest
// may be written a little later.
func (s Status) SameStanding(other Status) bool {
	if value(s.said.State, "") != value(other.said.State, "") || !sameConditions(s.said.Conditions, other.said.Conditions) || !s.sameClaims(other) {
		return false
	}
	for _, t := range value(other.said.Targets, nil) {
		was := s.target(t.Name)
		if was.State != t.State || !sameConditions(was.Conditions, t.Conditions) {
			return false
		}
	}
	return true
}

func sameConditions(a, b *[]autoscaler.Condition) bool {
	before, after := value(a, nil), value(b, nil)
	for _, c := range after {
		if find(before, c.Type).Status != c.Status {
			return false
		}
	}
	return len(before) == len(after)
}

// activityNews tells whether the time of the last traffic alone is a reason to write. It is none of an
// application that sleeps.
func activityNews(was, is autoscaler.TargetStatus) bool {
	return value(is.Replicas, 0) > 0 && is.LastActivityTime != nil && is.LastActivityTime.Sub(value(was.LastActivityTime, time.Time{})) >= activityRepeat
}

// learnedNews tells whether what was learned is another thing than what is written.
func learnedNews(was, is *autoscaler.Learned) bool {
	if was == nil || is == nil {
		return was != is
	}
	return !reflect.DeepEqual(was.StartSeconds, is.StartSeconds) || !about(was.PodConcurrency, is.PodConcurrency) || !about(was.ServiceSeconds, is.ServiceSeconds)
}

// about tells whether two numbers are about the same.
func about(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return math.Abs(*a-*b) <= learnedTolerance*math.Max(math.Abs(*a), math.Abs(*b))
}

// withoutTrifles leaves out of a status what is looked at apart, and the numbers of its texts.
func withoutTrifles(status map[string]any) {
	wordings(status)
	targets, _ := status["targets"].([]any)
	for _, t := range targets {
		if m, ok := t.(map[string]any); ok {
			delete(m, "lastActivityTime")
			delete(m, "learned")
			wordings(m)
		}
	}
}

// wordings leaves the numbers out of the message, and of the conditions' messages.
func wordings(m map[string]any) {
	wording(m)
	conditions, _ := m["conditions"].([]any)
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok {
			wording(condition)
		}
	}
}

func wording(m map[string]any) {
	if text, ok := m["message"].(string); ok {
		m["message"] = scaling.Wording(text)
	}
}
