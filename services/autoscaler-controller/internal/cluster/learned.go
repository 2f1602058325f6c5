package cluster

import (
	"math"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// longestLearned bounds what is read from a status as a time: anybody may have written it.
const longestLearned = 24 * time.Hour

// learnedStatus is what was learned of a target, as its status has it.
func learnedStatus(l fleet.Learned) map[string]any {
	m := map[string]any{}
	if len(l.Starts) > 0 {
		starts := make([]any, 0, len(l.Starts))
		for _, took := range l.Starts {
			starts = append(starts, took.Seconds())
		}
		m["startSeconds"] = starts
	}
	if l.PodConcurrency > 0 {
		m["podConcurrency"] = l.PodConcurrency
	}
	if l.ServiceTime > 0 {
		m["serviceSeconds"] = l.ServiceTime.Seconds()
	}
	return m
}

// learned is what the status of a CustomAutoscaler keeps of what was learned of an application.
func (w *Watcher) learned(k fleet.Key, autoscaler string) fleet.Learned {
	u, ok := w.object(fleet.Autoscaler{Namespace: k.Namespace, Name: autoscaler})
	if !ok {
		return fleet.Learned{}
	}
	targets, _, _ := unstructured.NestedSlice(u.Object, "status", "targets") // malformed is none
	for _, t := range objectsIn(targets) {
		if m, ok := t["learned"].(map[string]any); ok && t["name"] == k.Deployment {
			return learnedOf(m)
		}
	}
	return fleet.Learned{}
}

func learnedOf(m map[string]any) fleet.Learned {
	l := fleet.Learned{ServiceTime: learnedTime(m["serviceSeconds"])}
	if c := number(m["podConcurrency"]); c > 0 && c < 1e6 {
		l.PodConcurrency = c
	}
	starts, _ := m["startSeconds"].([]any)
	const most = 20 // as the contract has it
	for _, s := range starts[:min(len(starts), most)] {
		if took := learnedTime(s); took > 0 {
			l.Starts = append(l.Starts, took)
		}
	}
	return l
}

// learnedTime is a number of seconds; 0 if it is none that can be.
func learnedTime(v any) time.Duration {
	seconds := number(v)
	if !(seconds > 0) || seconds > longestLearned.Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}

// number is a number as JSON brings it; NaN if it is none.
func number(v any) float64 {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return math.NaN()
}
