package addons

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/pki"
)

var update = flag.Bool("update", false, "write the golden file")

func TestManifests_AreGolden(t *testing.T) {
	directory := t.TempDir()
	for _, file := range []string{pki.ClusterCA + ".crt", pki.MetricsServer + ".crt", pki.MetricsServer + ".key"} {
		if err := os.WriteFile(filepath.Join(directory, file), []byte("the content of "+file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Manifests("nemesis.local/kubernetes:test", directory)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "manifests.yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got), -update writes it:\n%s", diff)
	}
	if bytes.Contains(got, []byte("<no value>")) {
		t.Error("a value is missing")
	}
}

func TestManifests_NeedTheCertificates(t *testing.T) {
	if _, err := Manifests("image", t.TempDir()); err == nil || !strings.Contains(err.Error(), ".crt") && !strings.Contains(err.Error(), ".key") {
		t.Errorf("without certificates: %v", err)
	}
}
