package scaling

import (
	"strings"
	"testing"
	"time"
)

// Whoever may hold requests and is not heard keeps everything from going down, and that is said.
func TestDecide_HoldsForLoadBalancersThatAreNotHeard(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	spec := Spec{MaxReplicas: 3, IdleTime: time.Minute, WakeUpTimeout: time.Minute}
	for name, c := range map[string]struct {
		change func(*Traffic)
		rule   string
		says   string
	}{
		"one too many": {func(t *Traffic) { t.Unheard = 256 }, "Unheard", "more than 256 load balancers report"},
		"silent for long, but its pod is ready": {
			func(t *Traffic) { t.Stale = []Stale{{Name: "lb-2", Age: time.Hour, Alive: true}} }, "SilentReady", "nothing is heard from lb-2, though the pod runs and is ready",
		},
		"silent for a moment": {
			func(t *Traffic) { t.Stale = []Stale{{Name: "lb-2", Age: 20 * time.Second, Alive: true}} }, "StaleReport", "the last report is too old from lb-2",
		},
	} {
		s := State{Found: true, Replicas: 2, Ready: 2, Pods: 2, Traffic: Traffic{Live: []string{"lb"}, IdleSince: now.Add(-time.Hour)}}
		c.change(&s.Traffic)
		d := Decide(spec, s, now)
		if d.To != 2 || d.Wished != 0 || d.Drain != DrainNone || !strings.Contains(d.Summary, c.says) {
			t.Errorf("%s: %+v", name, d)
		}
		held := false
		for _, r := range d.Reasons {
			held = held || r.Rule == c.rule && r.Effect == Hold
		}
		if !held {
			t.Errorf("%s: the reasons are %+v", name, d.Reasons)
		}
	}
}
