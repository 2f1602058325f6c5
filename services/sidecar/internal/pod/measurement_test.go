package pod

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMeasurement_WhatMakesNoSenseIsMissingAndNeverZero(t *testing.T) {
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1.5} {
		m := New(time.Time{})
		m.Set(CacheUsage, value)
		if v, ok := m.Value(CacheUsage); ok {
			t.Errorf("%v was taken as %v", value, v)
		}
		if len(m.Missing()) != 1 {
			t.Errorf("%v: missing is %q", value, m.Missing())
		}
	}
}

func TestMeasurement_TellsKindsWithTheSameReasonTogetherAndInOrder(t *testing.T) {
	m := New(time.Time{})
	m.Miss(Queued, "no page")
	m.Miss(Disk, "no paths")
	m.Miss(ResponseTime, "no page")
	m.Set(Memory, 3)
	m.Miss(Memory, "never told, since it is there")
	want := []string{"diskUsage: no paths", "responseTime, queued: no page"}
	if diff := cmp.Diff(want, m.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestMeasurement_AReasonIsNoLongerThanTheContractAllows(t *testing.T) {
	m := New(time.Time{})
	m.Miss(Disk, strings.Repeat("é", 400))
	if got := m.Missing()[0]; len(got) > 512 || !strings.HasSuffix(got, "…") || !strings.HasPrefix(got, "diskUsage: é") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestMost_EveryKindHasAnUpperBound(t *testing.T) {
	for _, k := range Kinds {
		if most[k] <= 0 {
			t.Errorf("%s has none, so no value of it would be taken", k)
		}
	}
}
