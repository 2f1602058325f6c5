package shipping

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// apply gives the script's manifests to a kubectl that writes down what it is given.
func apply(t *testing.T, manifests string, env ...string) (applied string, err error) {
	t.Helper()
	bin := t.TempDir()
	kubectl := "#!/bin/sh\ncat > '" + bin + "/applied'\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o700); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(root, "deployments/apply"))
	command.Env = append(os.Environ(), append(env, "PATH="+bin+":"+os.Getenv("PATH"))...)
	command.Stdin = strings.NewReader(manifests)
	said, err := command.CombinedOutput()
	content, readErr := os.ReadFile(filepath.Join(bin, "applied"))
	if readErr != nil {
		return string(said), err
	}
	return string(content), err
}

const pods = "  - image: nemesis/load-balancer:0.1.0\n    name: a\n  - image: nemesis/sidecar:0.1.0\n  - image: other/sidecar:1\n"

func TestApply_TakesImagesFromARegistryOrByDigest(t *testing.T) {
	digests := filepath.Join(t.TempDir(), "digests")
	lines := "load-balancer reg.example/lb@sha256:12\nsidecar reg.example/sc@sha256:34\n"
	if err := os.WriteFile(digests, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for env, want := range map[string]string{
		"NOTHING=":                      pods,
		"NEMESIS_REGISTRY=reg.example/": strings.ReplaceAll(pods, "image: nemesis/", "image: reg.example/"),
		"NEMESIS_DIGESTS=" + digests:    "  - image: reg.example/lb@sha256:12\n    name: a\n  - image: reg.example/sc@sha256:34\n  - image: other/sidecar:1\n",
	} {
		if got, err := apply(t, pods, env); err != nil || got != want {
			t.Errorf("%s: got (%v)\n%s\nwant\n%s", env, err, got, want)
		}
	}
	if said, err := apply(t, pods+"  - image: nemesis/log-setup:0.1.0\n", "NEMESIS_DIGESTS="+digests); err == nil || !strings.Contains(said, "no line for the image log-setup") {
		t.Errorf("an image without a digest: %v\n%s", err, said)
	}
	if said, err := apply(t, pods, "NEMESIS_DIGESTS=/does/not/exist"); err == nil || strings.Contains(said, "image:") {
		t.Errorf("a missing file: %v\n%s", err, said)
	}
}
