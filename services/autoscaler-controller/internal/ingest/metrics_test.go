package ingest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

type scale struct {
	got     []fleet.Measurement
	counted int
	refused int
}

func newMetrics(tb testing.TB, s *scale) *Metrics {
	tb.Helper()
	m, err := NewMetrics(s, s, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func (s *scale) Refused(items int) { s.refused += items }

func (s *scale) Measure(list []fleet.Measurement)   { s.got = list }
func (s *scale) Measured(_ fleet.Source, taken int) { s.counted = taken }

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
	if _, err := m.SubmitPodMetrics(t.Context(), autoscaler.SubmitPodMetricsRequestObject{Body: &body}); err != nil || len(s.got) != 1 || s.counted != 1 {
		t.Errorf("%v, got %+v, counted %d", err, s.got, s.counted)
	}
}
