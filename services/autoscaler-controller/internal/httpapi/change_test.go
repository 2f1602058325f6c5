package httpapi

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestApplicationChange_NamesWhatBlocks(t *testing.T) {
	for want, v := range map[string]fleet.View{
		"":                 {},
		"ImagePullBackOff": {Blocked: fleet.Blocked{Reason: "ImagePullBackOff"}, Observation: fleet.Observation{Owner: "the HPA other"}},
		"Contested":        {Contest: "argocd-controller, 5 times", Observation: fleet.Observation{Owner: "the HPA other"}},
		"Conflict":         {Observation: fleet.Observation{Owner: "the HPA other"}},
	} {
		got := applicationChange(v)
		if (got.Blocked != nil) != (want != "") || value(got.BlockedReason, "") != want {
			t.Errorf("%q: blocked %v, reason %v", want, got.Blocked, got.BlockedReason)
		}
	}
}
