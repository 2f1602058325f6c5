package contract

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// specWith is one with one target and more.
func specWith(more map[string]any) map[string]any {
	s := map[string]any{"targetDeployments": []any{map[string]any{"name": "app", "apiPrefix": "/app", "port": "80"}}}
	maps.Copy(s, more)
	return s
}

func TestDecode_HowItIsScaledByDemandAndWhen(t *testing.T) {
	a, err := read(specWith(map[string]any{
		"containerConcurrency": int64(4), "targetConcurrency": 2.5, "targetRequestRate": 30.0, "learnConcurrency": true, "maxStartingPods": int64(7),
		"mode": "Observe", "pausedReplicas": int64(0), "wakeTogether": true, "onDelete": "Keep", "probeEarly": true, "drainTimeoutSeconds": int64(0),
		"behavior": map[string]any{"scaleDown": map[string]any{
			"stabilizationWindowSeconds": int64(0), "selectPolicy": "Min",
			"policies": []any{map[string]any{"type": "Percent", "value": int64(50), "periodSeconds": int64(60)}, map[string]any{"type": "Pods", "value": int64(2), "periodSeconds": int64(15)}},
		}},
		"scalingRules": []any{map[string]any{"name": "r", "action": "INCREASE_INSTANCES", "step": int64(3), "thresholds": []any{
			map[string]any{"metricType": "CACHE_USAGE", "operator": "GREATER_THAN", "value": 80.0},
		}}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	zero := int32(0)
	want := scaling.Spec{
		DrainTimeout: new(time.Duration(0)),
		MaxReplicas:  10, IdleTime: 300 * time.Second, WakeUpTimeout: 120 * time.Second, DownWindow: time.Minute,
		ContainerConcurrency: 4, TargetConcurrency: 2.5, TargetRequestRate: 30, Learn: true, MaxStarting: 7,
		Mode: scaling.Observe, PausedReplicas: &zero, Together: true,
		Behavior: scaling.Behavior{
			Up: scaling.Pace{Stabilization: -1},
			Down: scaling.Pace{Select: scaling.SelectMin, Policies: []scaling.Policy{
				{Percent: true, Value: 50, Period: time.Minute}, {Value: 2, Period: 15 * time.Second},
			}},
		},
		Rules: []scaling.Rule{{Name: "r", Action: scaling.Increase, Step: 3, Thresholds: []scaling.Threshold{{Metric: scaling.CacheUsage, Operator: scaling.GreaterThan, Value: 80}}}},
	}
	if diff := cmp.Diff(want, a.Scaling); diff != "" {
		t.Error(diff)
	}
	if a.Restore || !a.ProbeEarly {
		t.Error("onDelete is Keep, and probeEarly true")
	}
}

func scheduled(fields map[string]any) map[string]any {
	s := map[string]any{"name": "s", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "minReplicas": int64(2)}
	maps.Copy(s, fields)
	return map[string]any{"schedules": []any{s}}
}

func TestDecode_ASchedulesTimesAreThoseOfItsZoneAlsoWhenTheClocksChange(t *testing.T) {
	a, err := read(specWith(scheduled(map[string]any{"timeZone": "Europe/Berlin"})))
	if err != nil {
		t.Fatal(err)
	}
	for utc, want := range map[string]int32{
		"2026-01-05T06:59:00Z": 0, "2026-01-05T07:00:00Z": 2, "2026-01-05T16:59:00Z": 2, "2026-01-05T17:00:00Z": 0, // winter: an hour ahead
		"2026-07-06T05:59:00Z": 0, "2026-07-06T06:00:00Z": 2, "2026-07-06T16:00:00Z": 0, // summer: two
		"2026-01-04T12:00:00Z": 0, // a Sunday
	} {
		at, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := a.Scaling.At(at); got.MinReplicas != want {
			t.Errorf("%s: at least %d, want %d", utc, got.MinReplicas, want)
		}
	}
}

func TestDecode_RefusesWhatCouldDoHarmAndNamesTheField(t *testing.T) {
	for name, c := range map[string]struct {
		spec map[string]any
		says []string
	}{
		"a mode that is none":   {map[string]any{"mode": "Off"}, []string{"spec.mode", `"Off"`, "Active, Observe or Paused"}},
		"fewer than no pods":    {map[string]any{"pausedReplicas": int64(-1)}, []string{"spec.pausedReplicas", "-1"}},
		"a negative target":     {map[string]any{"targetConcurrency": -1.0}, []string{"spec.targetConcurrency", "-1"}},
		"too long a drain":      {map[string]any{"drainTimeoutSeconds": int64(86401)}, []string{"spec.drainTimeoutSeconds", "86401"}},
		"a negative rate":       {map[string]any{"targetRequestRate": -1.0}, []string{"spec.targetRequestRate", "-1"}},
		"none may start":        {map[string]any{"maxStartingPods": int64(0)}, []string{"spec.maxStartingPods", "0"}},
		"a policy that is none": {map[string]any{"behavior": map[string]any{"scaleUp": map[string]any{"selectPolicy": "All"}}}, []string{"spec.behavior.scaleUp.selectPolicy", `"All"`}},
		"a window before now":   {map[string]any{"behavior": map[string]any{"scaleUp": map[string]any{"stabilizationWindowSeconds": int64(-1)}}}, []string{"stabilizationWindowSeconds", "-1"}},
		"a type that is none":   {map[string]any{"behavior": map[string]any{"scaleDown": map[string]any{"policies": []any{map[string]any{"type": "Nodes", "value": int64(0), "periodSeconds": int64(0)}}}}}, []string{"policies[0].type", "policies[0].value", "policies[0].periodSeconds"}},
		"four fields":           {scheduled(map[string]any{"start": "0 8 * *"}), []string{"spec.schedules[s].start", `"0 8 * *"`, "five fields"}},
		"a 60th minute":         {scheduled(map[string]any{"end": "60 8 * * *"}), []string{"spec.schedules[s].end", "60"}},
		"a descriptor":          {scheduled(map[string]any{"start": "@daily"}), []string{"spec.schedules[s].start"}},
		"a zone in the text":    {scheduled(map[string]any{"start": "CRON_TZ=UTC 8 * * *"}), []string{"spec.schedules[s].start"}},
		"a zone that is none":   {scheduled(map[string]any{"timeZone": "Berlin"}), []string{"spec.schedules[s].timeZone", `"Berlin"`, "IANA"}},
		"a schedule's mode":     {scheduled(map[string]any{"mode": "Sleep"}), []string{"spec.schedules[s].mode", `"Sleep"`}},
		"a metric that is none": {map[string]any{"scalingRules": []any{map[string]any{"name": "r", "action": "INCREASE_INSTANCES", "thresholds": []any{map[string]any{"metricType": "LUCK", "operator": "GREATER_THAN", "value": 1.0}}}}}, []string{"spec.scalingRules[r].metricType", `"LUCK"`}},
	} {
		_, err := read(specWith(c.spec))
		if err == nil {
			t.Errorf("%s is taken", name)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v does not say %s", name, err, s)
			}
		}
	}
}
