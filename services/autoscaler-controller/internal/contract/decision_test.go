package contract

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestDecision_TellsItsResultInTheContractsWords(t *testing.T) {
	for want, record := range map[autoscaler.DecisionResult]fleet.Record{
		autoscaler.DecisionResultApplied:   {Decision: scaling.Decision{From: 1, To: 2, Wished: 2}, Applied: true},
		autoscaler.DecisionResultHeld:      {Decision: scaling.Decision{From: 1, To: 1, Wished: 2}},
		autoscaler.DecisionResultFailed:    {Decision: scaling.Decision{From: 1, To: 2, Wished: 2}, Error: "conflict"},
		autoscaler.DecisionResultUnchanged: {Decision: scaling.Decision{From: 1, To: 1, Wished: 1}},
	} {
		if got := Decision(record).Result; got == nil || *got != want || !got.Valid() {
			t.Errorf("result = %v, want %s", got, want)
		}
	}
}
