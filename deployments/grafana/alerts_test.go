package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// promtool is Prometheus' own checker. Where there is none the tests that need it are skipped: no Go module
// brings it without the clients of every cloud.
func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool: deployments/prerequisites installs it where it can, or says how")
	}
	return path
}

// cases is a file of promtool's, as far as it is looked at here.
type cases struct {
	Tests []struct {
		Alerts []struct {
			Name     string           `json:"alertname"`
			Expected []map[string]any `json:"exp_alerts"`
			At       string           `json:"eval_time"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

// prepared writes the rules as promtool wants them beside their tests. Descriptions are left out, so that the
// tests name the summaries alone.
func prepared(t *testing.T, file string, r rules) (folder, tests string) {
	t.Helper()
	folder = t.TempDir()
	for _, g := range r.Groups {
		for _, a := range g.Rules {
			delete(a.Annotations, "description")
		}
	}
	raw, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(file, ".yaml")
	written, err := os.ReadFile(filepath.Join("testdata", name+".test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tests = name + ".test.yaml"
	for path, content := range map[string][]byte{name + ".rules.yaml": raw, tests: written} {
		if err := os.WriteFile(filepath.Join(folder, path), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder, tests
}

func TestAlerts_FireWhenTheyShouldAndNotOtherwise(t *testing.T) {
	tool := promtool(t)
	for file, r := range alerts(t) {
		t.Run(file, func(t *testing.T) {
			folder, tests := prepared(t, file, r)
			rules := strings.Replace(tests, ".test.", ".rules.", 1)
			for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", rules}, {"test", "rules", tests}} {
				c := exec.CommandContext(t.Context(), tool, args...)
				c.Dir = folder
				if said, err := c.CombinedOutput(); err != nil {
					t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
				}
			}
		})
	}
}

// No alert is left out, and each is tried both ways.
func TestAlerts_AreEachTestedBothWays(t *testing.T) {
	for file, r := range alerts(t) {
		raw, err := os.ReadFile(filepath.Join("testdata", strings.TrimSuffix(file, ".yaml")+".test.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var all cases
		if err := yaml.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
		fires, silent := map[string]bool{}, map[string]bool{}
		for _, one := range all.Tests {
			for _, a := range one.Alerts {
				fires[a.Name] = fires[a.Name] || len(a.Expected) > 0
				silent[a.Name] = silent[a.Name] || len(a.Expected) == 0
			}
		}
		for _, g := range r.Groups {
			for _, a := range g.Rules {
				if !fires[a.Alert] || a.For != "" && !silent[a.Alert] {
					t.Errorf("%s: no test has it fire, or none has it silent", a.Alert)
				}
				delete(fires, a.Alert)
			}
		}
		for name := range fires {
			t.Errorf("%s is tested, and there is no such alert", name)
		}
	}
}
