package contract

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func object(spec map[string]any) map[string]any { return map[string]any{"spec": spec} }

func read(spec map[string]any) (Spec, error) { return ReadSpec(object(spec)) }

func targets(change map[string]any) []any {
	t := map[string]any{"name": "app", "apiPrefix": "/app", "port": "80"}
	maps.Copy(t, change)
	return []any{t}
}

func TestDecode_TakesTheContractsDefaults(t *testing.T) {
	a, err := read(map[string]any{"targetDeployments": targets(nil)})
	if err != nil {
		t.Fatal(err)
	}
	want := scaling.Spec{
		MaxReplicas: 10, IdleTime: 300 * time.Second, WakeUpTimeout: 120 * time.Second, DownWindow: time.Minute, MaxStarting: 100,
		Behavior: scaling.Behavior{Up: scaling.Pace{Stabilization: -1}, Down: scaling.Pace{Stabilization: -1}},
	}
	if diff := cmp.Diff(want, a.Scaling); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	target := []Target{{Name: "app", Prefix: "/app", Port: Port{Number: 80}, StripPrefix: true, RewriteAnswers: true}}
	if diff := cmp.Diff(Spec{Scaling: want, Restore: true, Waiting: fleet.Waiting{While: "Hold"}, Targets: target}, a); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecode_ReadsRules(t *testing.T) {
	a, err := read(map[string]any{"targetDeployments": targets(nil), "scaleUpWindow": int64(5), "scaleDownWindow": int64(0), "scalingRules": []any{
		map[string]any{"name": "night", "action": "DECREASE_INSTANCES_TO_ZERO", "thresholds": []any{
			map[string]any{"metricType": "CPU_USAGE", "operator": "LESS_THAN", "value": 2.5, "duration": int64(60)},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []scaling.Rule{{Name: "night", Action: scaling.DecreaseToZero, Thresholds: []scaling.Threshold{{Metric: scaling.CPU, Operator: scaling.LessThan, Value: 2.5, For: time.Minute}}}}
	if diff := cmp.Diff(want, a.Scaling.Rules); diff != "" || a.Scaling.UpWindow != 5*time.Second || a.Scaling.DownWindow != 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecode_NamesWhatIsMalformed(t *testing.T) {
	for name, c := range map[string]struct {
		spec map[string]any
		says string
	}{
		"a list that is none": {map[string]any{"targetDeployments": "x"}, "targetDeployments"},
		"no name":             {map[string]any{"targetDeployments": targets(map[string]any{"name": ""})}, "targetDeployments[0].name"},
		"port too large":      {map[string]any{"targetDeployments": targets(map[string]any{"port": "65536"})}, `targetDeployments[0].port: "65536"`},
		"port zero":           {map[string]any{"targetDeployments": targets(map[string]any{"port": "0"})}, "targetDeployments[0].port"},
		"port of no kind":     {map[string]any{"targetDeployments": targets(map[string]any{"port": "Web"})}, `targetDeployments[0].port: "Web"`},
		"no prefix":           {map[string]any{"targetDeployments": targets(map[string]any{"apiPrefix": "app"})}, "targetDeployments[0].apiPrefix"},
		"min over max":        {map[string]any{"targetDeployments": targets(nil), "minReplicas": int64(4), "maxReplicas": int64(3)}, "spec.maxReplicas: 3"},
		"negative":            {map[string]any{"targetDeployments": targets(nil), "minReplicas": int64(-1)}, "spec.minReplicas: -1"},
		"a rule of an unknown metric": {map[string]any{"targetDeployments": targets(nil), "scalingRules": []any{map[string]any{
			"name": "r", "action": "INCREASE_INSTANCES", "thresholds": []any{map[string]any{"metricType": "LUCK", "operator": "LESS_THAN"}},
		}}}, `spec.scalingRules[r].metricType: "LUCK"`},
		"a rule without thresholds": {map[string]any{"targetDeployments": targets(nil), "scalingRules": []any{map[string]any{"name": "r", "action": "INCREASE_INSTANCES"}}}, "spec.scalingRules[r].thresholds"},
		"idle at once":              {map[string]any{"targetDeployments": targets(nil), "idleTime": int64(0)}, "spec.idleTime"},
	} {
		if _, err := read(c.spec); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", name, err, c.says)
		}
	}
}

func TestReadPort(t *testing.T) {
	for text, want := range map[string]Port{
		"1": {Number: 1}, "65535": {Number: 65535}, "http": {Name: "http"}, "8080-tcp": {Name: "8080-tcp"}, "a": {Name: "a"}, "fifteen-letters": {Name: "fifteen-letters"},
	} {
		if got, err := readPort(text); got != want || err != nil || got.String() != text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"": "a port's name", "0": "from 1 to 65535", "080": "from 1 to 65535", "65536": "from 1 to 65535", "99999999999999999999": "from 1 to 65535",
		"-1": "a port's name", "HTTP": "a port's name", "-http": "a port's name", "http-": "a port's name", "ht--tp": "a port's name",
		"8-0": "a letter among them", "more-than-fifteen": "at most 15", "ht tp": "a port's name", "hé": "a port's name",
	} {
		if got, err := readPort(text); err == nil || !strings.Contains(err.Error(), says) || got != (Port{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzReadSpec(f *testing.F) {
	f.Add([]byte(`{"spec":{"targetDeployments":[{"name":"x","apiPrefix":"/x","port":"80"},{"name":"x","apiPrefix":"/y","port":"http"}]}}`))
	f.Add([]byte(`{"spec":{"targetDeployments":null,"schedules":[{"name":"s","start":"* * * * *","end":"60 * * * *","timeZone":"Z"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var object map[string]any
		if json.Unmarshal(raw, &object) != nil {
			t.Skip()
		}
		s, err := ReadSpec(object)
		if err != nil {
			return
		}
		if s.Scaling.MaxReplicas < 1 || s.Scaling.MinReplicas > s.Scaling.MaxReplicas || s.Scaling.IdleTime < time.Second {
			t.Errorf("taken: %+v", s)
		}
		for _, target := range s.Targets {
			if target.Port.Number <= 0 == (target.Port.Name == "") {
				t.Errorf("taken: %+v", target)
			}
		}
	})
}
