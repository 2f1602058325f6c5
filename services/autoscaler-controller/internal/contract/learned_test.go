package contract

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestLearned_ComesBackFromTheStatusAsItWentIn(t *testing.T) {
	for _, want := range []fleet.Learned{
		{},
		{Starts: []time.Duration{1500 * time.Millisecond, 2 * time.Second}},
		{PodConcurrency: 4, ServiceTime: 123 * time.Millisecond},
		{PodConcurrency: 5.7, ServiceTime: 24 * time.Hour, Starts: []time.Duration{time.Millisecond}},
	} {
		written := NewStatus(Standing{}, []fleet.Target{{Name: "other"}, {Name: "app", Learned: want, Slept: 3}}, Status{}, day)
		if diff := cmp.Diff(Remembered{Slept: 3, Learned: want}, again(t, written).Remembered("app")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLearned_OfWhatCannotBeIsNone(t *testing.T) {
	for _, v := range []float64{-1, math.NaN(), math.Inf(1), 1e18, 0} {
		l := autoscaler.Learned{StartSeconds: &[]float64{v}, PodConcurrency: &v, ServiceSeconds: &v}
		if diff := cmp.Diff(fleet.Learned{}, readLearned(&l)); diff != "" {
			t.Errorf("%v: %s", v, diff)
		}
	}
	many := make([]float64, 100)
	for i := range many {
		many[i] = 1
	}
	if l := readLearned(&autoscaler.Learned{StartSeconds: &many}); len(l.Starts) != mostStarts {
		t.Errorf("%v", l)
	}
	for _, n := range []int32{-1, 0, maxReplicas + 1} {
		if r := (Status{autoscaler.CustomAutoscalerStatus{Targets: &[]autoscaler.TargetStatus{{Name: "app", ReplicasBeforeSleep: &n}}}}).Remembered("app"); r.Slept != 0 {
			t.Errorf("%d is taken", n)
		}
	}
	for name, object := range map[string]map[string]any{
		"no status": {}, "no object": {"status": "x"}, "a list of texts": {"status": map[string]any{"targets": []any{"x"}}},
		"another": {"status": map[string]any{"targets": []any{map[string]any{"name": "other", "state": "Awake", "replicasBeforeSleep": int64(2)}}}},
	} {
		if diff := cmp.Diff(Remembered{}, ReadStatus(object).Remembered("app")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// again is a status as it comes back from the API server.
func again(t *testing.T, s Status) Status {
	t.Helper()
	raw, err := s.Patch(Status{})
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	return ReadStatus(object)
}
