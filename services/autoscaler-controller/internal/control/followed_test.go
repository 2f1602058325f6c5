package control

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// changes are those that were told.
type changes struct {
	urgent  []bool
	removed int
}

func (c *changes) Changed(_ fleet.Key, urgent bool) { c.urgent = append(c.urgent, urgent) }
func (c *changes) Removed(fleet.Key)                { c.removed++ }
func (c *changes) Decided(fleet.Record)             {}

// followed is a world whose changes are told to somebody.
func followed(replicas int32) (*world, *changes) {
	w, told := &world{scale: fleet.Scale{Replicas: replicas, Version: 10}}, &changes{}
	w.loop = New(Options{
		Fleet: fleet.New("e"), Scaler: w, Marker: w, Recorder: w, Observer: w, Log: slog.New(slog.DiscardHandler), Epoch: "e",
		Missing: w.lacks, Awaited: w.before, Changes: told,
	})
	return w, told
}

// A pod that is measured no more is news, though nothing says so: whoever looks sees it.
func TestInsight_TellsWhereAConditionIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, told := followed(1)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.loop.Run(ctx) }()
		defer func() { stop(); <-ended }()
		w.spec = func(s *scaling.Spec) { s.CPUThreshold = 700 }
		w.observe(ready("a"))
		w.use(50, "a")
		for _, step := range []struct {
			name string
			wait time.Duration
			want []bool
		}{
			{"it is looked at first", 0, nil}, {"as it was", time.Second, nil}, {"the measurement is too old", time.Minute, []bool{false}}, {"still", time.Second, nil},
		} {
			time.Sleep(step.wait)
			synctest.Wait()
			told.urgent = nil
			if w.loop.Insight(key); !slices.Equal(told.urgent, step.want) {
				t.Errorf("%s: told %v, want %v", step.name, told.urgent, step.want)
			}
		}
	})
}

// A wake-up is a dozen observations, each of which would have every open page asked and told at once.
func TestObserve_IsUrgentWhereTheStateIsAnother(t *testing.T) {
	w, told := followed(0)
	starting := fleet.Pod{Name: "a"}
	ready, second := fleet.Pod{Name: "a", Ready: true, Address: "10.0.0.1:80"}, fleet.Pod{Name: "b"}
	for _, step := range []struct {
		name     string
		replicas int32
		pods     []fleet.Pod
		want     string
	}{
		{"it is new", 0, nil, "urgent"},
		{"nothing is new", 0, nil, "nothing"},
		{"it wakes", 1, nil, "urgent"},
		{"a pod is made", 1, []fleet.Pod{starting}, "ordinary"},
		{"it is awake", 1, []fleet.Pod{ready}, "urgent"},
		{"another pod is made", 2, []fleet.Pod{ready, second}, "ordinary"},
		{"it sleeps", 0, []fleet.Pod{ready}, "urgent"},
		{"its pod ends", 0, nil, "ordinary"},
	} {
		told.urgent = nil
		w.scale.Replicas = step.replicas
		w.scale.Version++
		w.observe(step.pods...)
		got := "nothing"
		if len(told.urgent) > 0 {
			got = map[bool]string{true: "urgent", false: "ordinary"}[slices.Contains(told.urgent, true)]
		}
		if got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
	w.loop.Forget(key)
	if told.removed != 1 {
		t.Errorf("%d removed", told.removed)
	}
}
