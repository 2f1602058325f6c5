package cluster

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestMark_IsReadAsItWasWritten(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	for name, c := range map[string]struct {
		on   map[string]string // before
		w    fleet.Marking
		want map[string]string
		cost int32
	}{
		"a new mark":                  {nil, fleet.Marking{Pod: "p", Cost: -10, Mark: fleet.Mark{Since: since}}, map[string]string{costAnnotation: "-10", sinceAnnotation: "2026-01-02T03:04:05.000000678Z"}, -10},
		"over a user's own cost":      {map[string]string{costAnnotation: "7"}, fleet.Marking{Pod: "p", Cost: -10, Mark: fleet.Mark{Since: since, Before: "7"}}, map[string]string{costAnnotation: "-10", sinceAnnotation: "2026-01-02T03:04:05.000000678Z", beforeAnnotation: "7"}, -10},
		"taken off":                   {map[string]string{costAnnotation: "-10", sinceAnnotation: "x", "other": "stays"}, fleet.Marking{Pod: "p"}, map[string]string{"other": "stays"}, 0},
		"taken off, the user's again": {map[string]string{costAnnotation: "-10", sinceAnnotation: "x", beforeAnnotation: "7"}, fleet.Marking{Pod: "p", Mark: fleet.Mark{Before: "7"}, Cost: 7}, map[string]string{costAnnotation: "7"}, 7},
	} {
		body, err := markPatch(c.w)
		if err != nil {
			t.Fatal(err)
		}
		var patch struct {
			Metadata struct {
				Annotations map[string]*string `json:"annotations"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(body, &patch); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for k, v := range c.on {
			if p, named := patch.Metadata.Annotations[k]; !named || p != nil {
				got[k] = v
			}
		}
		for k, v := range patch.Metadata.Annotations {
			if v != nil {
				got[k] = *v
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		cost, m := mark(got)
		if cost != c.cost || !c.w.Mark.Since.IsZero() && m != c.w.Mark || c.w.Mark.Since.IsZero() && m != (fleet.Mark{}) {
			t.Errorf("%s: read as %d, %+v", name, cost, m)
		}
	}
}

func TestMark_WhatKubernetesRefusesCountsAsNone(t *testing.T) {
	for _, text := range []string{"", "x", "1e3", "99999999999", "-"} {
		if cost, m := mark(map[string]string{costAnnotation: text, sinceAnnotation: text}); cost != 0 || m != (fleet.Mark{}) {
			t.Errorf("%q: %d, %+v", text, cost, m)
		}
	}
}

func TestKeepPod_KeepsItsMarks(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := keepPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		"large": "x", costAnnotation: "3", sinceAnnotation: since.Format(time.RFC3339Nano), beforeAnnotation: "7",
	}}})
	if want := (fleet.Mark{Since: since, Before: "7"}); p.cost != 3 || p.mark != want {
		t.Errorf("it keeps %d, %+v", p.cost, p.mark)
	}
}
