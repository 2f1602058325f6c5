package command

import (
	"testing"

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
