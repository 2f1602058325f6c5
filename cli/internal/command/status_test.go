package command

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestSummary_CountsThemByState(t *testing.T) {
	falling := awake()
	falling.State = autoscaler.ApplicationStateFallingAsleep
	unknown := asleep()
	unknown.State = autoscaler.ApplicationStateUnknown
	if got, want := summary([]autoscaler.Application{awake(), falling, asleep(), unknown}), "4 applications, 1 awake, 1 falling asleep, 1 asleep, 1 in an unknown state, 2 pods"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
