package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/nemesis-scaling/nemesis/deployments/internal/image"
)

func newSpec(t *testing.T, content string) image.Spec {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return image.Spec{
		Tag:        "nemesis/sample:dev",
		Files:      map[string]string{"/opt/bin/sample": program, "/sample": program},
		Entrypoint: []string{"/sample"},
		User:       "65532:65532",
		Arch:       "amd64",
		Labels:     map[string]string{"org.opencontainers.image.title": "sample"},
	}
}

func write(t *testing.T, path string, spec image.Spec) bool {
	t.Helper()
	written, err := image.Write(path, spec)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func TestWrite_ArchiveIsAValidImage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.tar")
	write(t, path, newSpec(t, "binary"))

	tag, err := name.NewTag("docker.io/nemesis/sample:dev")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	checkConfig(t, img)
	want := []string{"opt/ 755", "opt/bin/ 755", "opt/bin/sample 755 binary", "sample 755 binary"}
	if diff := cmp.Diff(want, entries(t, img)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

func TestWrite_SameInputGivesSameBytes(t *testing.T) {
	spec := newSpec(t, "binary")
	first, second := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")
	write(t, first, spec)
	// Another time of modification, as after a new build of the same source.
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(spec.Files["/sample"], later, later); err != nil {
		t.Fatal(err)
	}
	write(t, second, spec)
	if sum(t, first) != sum(t, second) {
		t.Error("two archives of the same files differ")
	}
}

func TestWrite_LeavesAnUnchangedArchiveAlone(t *testing.T) {
	spec := newSpec(t, "binary")
	path := filepath.Join(t.TempDir(), "sample.tar")
	if !write(t, path, spec) {
		t.Error("the first write did nothing")
	}
	if write(t, path, spec) {
		t.Error("an unchanged image was written again")
	}
	changes := map[string]func(*image.Spec){
		"label": func(s *image.Spec) { s.Labels = map[string]string{"a": "b"} },
		"user":  func(s *image.Spec) { s.User = "1" },
		"tag":   func(s *image.Spec) { s.Tag = "nemesis/other:dev" },
		"file":  func(s *image.Spec) { s.Files = newSpec(t, "another binary").Files },
	}
	for what, change := range changes {
		changed := spec
		change(&changed)
		write(t, path, spec)
		if !write(t, path, changed) {
			t.Errorf("a changed %s was not noticed", what)
		}
	}
}

func TestWrite_ReplacesABrokenArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.tar")
	if err := os.WriteFile(path, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !write(t, path, newSpec(t, "binary")) {
		t.Error("a broken archive was taken for the image")
	}
}

func TestWrite_RefusesAndLeavesNothing(t *testing.T) {
	faults := map[string]struct {
		change func(*image.Spec)
		want   string
	}{
		"missing file":  {func(s *image.Spec) { s.Files = map[string]string{"/a": "/does/not/exist"} }, "/does/not/exist"},
		"folder":        {func(s *image.Spec) { s.Files = map[string]string{"/a": t.TempDir()} }, "not a regular file"},
		"relative path": {func(s *image.Spec) { s.Files["a"] = s.Files["/sample"] }, `"a"`},
		"tag":           {func(s *image.Spec) { s.Tag = "Not A Tag" }, "Not A Tag"},
	}
	for what, fault := range faults {
		t.Run(what, func(t *testing.T) {
			spec := newSpec(t, "binary")
			fault.change(&spec)
			folder := t.TempDir()
			_, err := image.Write(filepath.Join(folder, "sample.tar"), spec)
			if err == nil || !strings.Contains(err.Error(), fault.want) {
				t.Errorf("error is %v, want one that names %q", err, fault.want)
			}
			left, err := os.ReadDir(folder)
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

func checkConfig(t *testing.T, img v1.Image) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"/sample"}, User: "65532:65532", WorkingDir: "/",
		Labels: map[string]string{"org.opencontainers.image.title": "sample"},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture != "amd64" {
		t.Errorf("platform is %s/%s, want linux/amd64", config.OS, config.Architecture)
	}
}

func entries(t *testing.T, img v1.Image) []string {
	t.Helper()
	content := mutateExtract(t, img)
	defer content.Close()
	var found []string
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		line := header.Name + " " + header.FileInfo().Mode().Perm().String()
		found = append(found, strings.TrimSpace(strings.Replace(line, "-rwxr-xr-x", "755", 1)+" "+string(bytes.TrimSpace(text))))
	}
}

func mutateExtract(t *testing.T, img v1.Image) io.ReadCloser {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v), want 1", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func sum(t *testing.T, path string) [32]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}
