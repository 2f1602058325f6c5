package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
)

func TestDecode_TheSidecarIsAskedForByBeingNamed(t *testing.T) {
	for name, c := range map[string]struct {
		sidecar any
		want    *injection.Sidecar
	}{
		"nothing is said": {nil, nil},
		"it is named":     {map[string]any{}, &injection.Sidecar{MetricsPath: "/metrics", ShareProcesses: true}},
		"and said":        {map[string]any{"enabled": true}, &injection.Sidecar{MetricsPath: "/metrics", ShareProcesses: true}},
		"it is switched off": {
			map[string]any{"enabled": false, "metricsPort": int64(80)}, nil,
		},
		"all of it": {
			map[string]any{"metricsPort": int64(8000), "metricsPath": "/stats", "shareProcesses": false},
			&injection.Sidecar{MetricsPort: 8000, MetricsPath: "/stats"},
		},
	} {
		spec := map[string]any{"targetDeployments": targets(nil)}
		if c.sidecar != nil {
			spec["sidecar"] = c.sidecar
		}
		got, err := read(spec)
		if diff := cmp.Diff(c.want, got.Sidecar); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestImpossible_IsWhatNoClusterAndNoVersionMakesRight(t *testing.T) {
	for name, c := range map[string]struct {
		spec any
		want string
	}{
		"nothing":               {nil, ""},
		"no schedules":          {map[string]any{"targetDeployments": targets(nil)}, ""},
		"a good one":            {scheduled(nil), ""},
		"a 29th of February":    {scheduled(map[string]any{"start": "0 8 29 2 *"}), ""},
		"another mode":          {scheduled(map[string]any{"mode": "Tomorrow"}), ""},
		"a port that is none":   {map[string]any{"targetDeployments": targets(map[string]any{"port": "x y"})}, ""},
		"a 32nd day":            {scheduled(map[string]any{"start": "0 8 32 * *"}), `spec.schedules[s].start: "0 8 32 * *" is not allowed`},
		"a 30th of February":    {scheduled(map[string]any{"end": "0 8 30 2 *"}), `spec.schedules[s].end: "0 8 30 2 *" is not allowed: there is no such day`},
		"a zone that is none":   {scheduled(map[string]any{"timeZone": "Berlin"}), `spec.schedules[s].timeZone: "Berlin" is not allowed`},
		"a spec that is none":   {1, "spec: "},
		"schedules as a number": {map[string]any{"schedules": int64(1)}, "spec: "},
	} {
		err := Impossible(map[string]any{"spec": c.spec})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := Impossible(nil); err != nil {
		t.Errorf("no object: %v", err)
	}
}
