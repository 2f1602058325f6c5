package ingest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

type scale struct {
	got     []fleet.Measurement
	dropped int
	counted [2]int
	refused int
}

func newMetrics(tb testing.TB, s *scale) *Metrics {
	tb.Helper()
	m, err := NewMetrics(s, s)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func (s *scale) Refused(items int) { s.refused += items }

func (s *scale) Measure(list []fleet.Measurement) int        { s.got = list; return s.dropped }
func (s *scale) Measured(_ fleet.Source, taken, dropped int) { s.counted = [2]int{taken, dropped} }

func TestSubmitPodMetrics(t *testing.T) {
	var body common.PodMetrics
	if err := json.Unmarshal([]byte(`{"podName":"p","namespace":"ns","ageSeconds":2.5,"metrics":{"cpuUsage":412.5,"memoryUsage":0,"queued":3}}`), &body); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := fleet.Measurement{
		Pod: fleet.PodName{Namespace: "ns", Name: "p"}, Source: fleet.Sidecar, At: now.Add(-2500 * time.Millisecond),
		Values: map[fleet.Gauge]float64{fleet.CPUUsage: 412.5, fleet.MemoryUsage: 0, fleet.Queued: 3},
	}
	if diff := cmp.Diff(want, measurement(body, now), cmpopts.IgnoreUnexported(fleet.Measurement{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s := &scale{}
	m := newMetrics(t, s)
	if _, err := m.SubmitPodMetrics(t.Context(), autoscaler.SubmitPodMetricsRequestObject{Body: &body}); err != nil || len(s.got) != 1 || s.counted != [2]int{1, 0} {
		t.Errorf("%v, got %+v, counted %v", err, s.got, s.counted)
	}
	s.dropped = 1
	if _, err := m.SubmitPodMetrics(t.Context(), autoscaler.SubmitPodMetricsRequestObject{Body: &body}); !fault.Is(err, fault.TooMany) || s.counted != [2]int{0, 1} {
		t.Errorf("%v, counted %v", err, s.counted)
	}
}
