package parts

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() Values {
	return NewValues(layout.New("/cache"), "nemesis.local/pause:test", "/usr/sbin/runc", "overlayfs")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update writes it:\n%s", name, diff)
	}
}

func TestConfiguration_IsGolden(t *testing.T) {
	for source := range files {
		content, err := sample().render(source)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, source, string(content))
	}
}

func TestCommandLines_AreGolden(t *testing.T) {
	for _, name := range Names() {
		part := sample().Part(name)
		golden(t, name+".args", strings.Join(part.Args, "\n")+"\n")
	}
}

func TestParts_SeeNothingOfTheLaunchersEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example.test:3128")
	t.Setenv("KUBECONFIG", "/somewhere/else")
	for _, name := range Names() {
		for _, variable := range sample().Part(name).Env {
			key, value, _ := strings.Cut(variable, "=")
			switch key {
			case "PATH":
			case "HOME", "TMPDIR":
				if !strings.HasPrefix(value, "/cache/cluster/") {
					t.Errorf("%s: %s is outside of the cluster's directory", name, variable)
				}
			default:
				t.Errorf("%s sees %s", name, variable)
			}
		}
	}
}

func TestWriteConfig_WritesBelowTheCluster(t *testing.T) {
	values := NewValues(layout.New(t.TempDir()), "pause", "runc", "native")
	if err := values.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	for _, target := range files {
		if _, err := os.Stat(values.Layout.Cluster("config", target)); err != nil {
			t.Error(err)
		}
	}
}
