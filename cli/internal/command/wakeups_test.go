package command

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestWakeups_AnAnswerIsThereBeforeTheKubeletCallsThePodReady(t *testing.T) {
	u := *asleep().LastWakeUp
	u.Phases = append(u.Phases, autoscaler.WakeUpPhase{Phase: autoscaler.WakeUpPhasePhaseReady, SinceArrivalMs: 5900, SeenBy: autoscaler.AutoscalerController})
	if got := wokenInWords(u); got != "answered after 4.2 s, 2 requests waited" {
		t.Error(got)
	}
	u.Outcome, u.Phases = autoscaler.WakeUpOutcomeFailed, u.Phases[:3]
	if got := wokenInWords(u); got != "failed after 1.2 s, 2 requests waited" {
		t.Error(got)
	}
}

func TestWakeups_OfAllTheNewestFirst(t *testing.T) {
	w := newWorld(t)
	older, never := asleep(), awake()
	older.Deployment = "older"
	last := *older.LastWakeUp
	last.ArrivedAt = last.ArrivedAt.Add(-time.Hour)
	older.LastWakeUp, older.ExpectedStartSeconds, never.LastWakeUp = &last, new(5.5), nil
	w.apps = []autoscaler.Application{older, never, asleep()}
	golden(t, "wakeups-all.txt", w.run(t, "wakeups").ok(t))
	var all []woken
	if err := json.Unmarshal([]byte(w.run(t, "wakeups", "-A", "-o", "json").ok(t)), &all); err != nil || len(all) != 2 || all[1].Deployment != "older" {
		t.Errorf("%v %v", all, err)
	}
	w.apps = []autoscaler.Application{never}
	if got := w.run(t, "wakeups").ok(t); got != "Of shop no wake-up was seen since the controller started.\n" {
		t.Error(got)
	}
	if got := w.run(t, "wakeups", "-o", "json").ok(t); got != "[]\n" {
		t.Error(got)
	}
	w.run(t, "wakeups", "one", "two").fails(t, misused, "wakeups [APP]")
}

func TestLongest_IsThePhaseThatTookMostUntilTheFirstByte(t *testing.T) {
	first, ready := autoscaler.WakeUpPhasePhaseFirstByte, autoscaler.WakeUpPhasePhaseReady
	for name, c := range map[string]struct {
		phases []autoscaler.WakeUpPhase
		want   string
	}{
		"none":               {nil, "-"},
		"at once":            {[]autoscaler.WakeUpPhase{{Phase: first}}, "-"},
		"the one":            {[]autoscaler.WakeUpPhase{{Phase: ready, SinceArrivalMs: 900}, {Phase: first, SinceArrivalMs: 1000}}, "Ready 900 ms"},
		"called ready later": {[]autoscaler.WakeUpPhase{{Phase: first, SinceArrivalMs: 100}, {Phase: ready, SinceArrivalMs: 5000}}, "FirstByte 100 ms"},
	} {
		if got := longest(autoscaler.WakeUp{Phases: c.phases}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
