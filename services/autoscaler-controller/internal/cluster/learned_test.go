package cluster

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestLearned_ComesBackFromTheStatusAsItWentIn(t *testing.T) {
	for _, want := range []fleet.Learned{
		{},
		{Starts: []time.Duration{1500 * time.Millisecond, 2 * time.Second}},
		{PodConcurrency: 4, ServiceTime: 123 * time.Millisecond},
		{PodConcurrency: 5.7, ServiceTime: 24 * time.Hour, Starts: []time.Duration{time.Millisecond}},
	} {
		written, err := plain(map[string]any{"learned": learnedStatus(want)})
		if err != nil {
			t.Fatal(err)
		}
		m, _ := written["learned"].(map[string]any)
		if diff := cmp.Diff(want, learnedOf(m)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestLearned_OfWhatCannotBeIsNone(t *testing.T) {
	for _, v := range []any{nil, "x", -1.0, int64(-1), math.NaN(), math.Inf(1), 1e18, []any{}, 0.0} {
		m := map[string]any{"startSeconds": []any{v}, "podConcurrency": v, "serviceSeconds": v}
		if diff := cmp.Diff(fleet.Learned{}, learnedOf(m)); diff != "" {
			t.Errorf("%v: %s", v, diff)
		}
	}
	if l := learnedOf(map[string]any{"startSeconds": make([]any, 100)}); len(l.Starts) != 0 {
		t.Errorf("%v", l)
	}
}
