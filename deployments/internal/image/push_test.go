package image_test

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/nemesis-scaling/nemesis/deployments/internal/image"
)

// newRegistry answers referrers by the API of OCI 1.1, or knows nothing of them.
func newRegistry(t *testing.T, referrers bool) (host string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func platforms(t *testing.T, tag string) []image.Platform {
	t.Helper()
	var all []image.Platform
	for _, arch := range []string{"amd64", "arm64"} {
		spec := newSpec(t, "binary for "+arch)
		spec.Tag, spec.Arch = tag, arch
		all = append(all, image.Platform{Spec: spec, Document: image.Document{MediaType: "application/spdx+json", Content: []byte(`{"of":"` + arch + `"}`)}})
	}
	return all
}

func TestPush_OneIndexForAllProcessorsWithADocumentOnEach(t *testing.T) {
	for what, referrers := range map[string]bool{"referrers": true, "a registry of before": false} {
		t.Run(what, func(t *testing.T) {
			tag := newRegistry(t, referrers) + "/nemesis/sample:dev"
			address, err := image.Push(t.Context(), platforms(t, tag))
			if err != nil {
				t.Fatal(err)
			}
			again, err := image.Push(t.Context(), platforms(t, tag))
			if err != nil || again != address {
				t.Errorf("the same images are %s, and %s when pushed again (%v)", address, again, err)
			}
			reference, err := name.NewDigest(address)
			if err != nil {
				t.Fatal(err)
			}
			index, err := remote.Index(reference)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, described := range manifest.Manifests {
				found = append(found, described.Platform.String()+" "+document(t, reference.Context().Digest(described.Digest.String())))
			}
			if diff := cmp.Diff([]string{`linux/amd64 {"of":"amd64"}`, `linux/arm64 {"of":"arm64"}`}, found); diff != "" {
				t.Errorf("platforms (-want +got):\n%s", diff)
			}
			img, err := index.Image(manifest.Manifests[0].Digest)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, img)
		})
	}
}

// document is the one that is attached to a manifest.
func document(t *testing.T, subject name.Digest) string {
	t.Helper()
	referrers, err := remote.Referrers(subject)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := referrers.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%d documents (%v), want 1", len(manifest.Manifests), err)
	}
	if got := manifest.Manifests[0].ArtifactType; got != "application/spdx+json" {
		t.Errorf("it is of the type %q", got)
	}
	attached, err := remote.Image(subject.Context().Digest(manifest.Manifests[0].Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := attached.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v), want 1", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPush_Refuses(t *testing.T) {
	tag := newRegistry(t, true) + "/nemesis/sample:dev"
	other := platforms(t, tag)
	other[1].Tag = "nemesis/other:dev"
	missing := platforms(t, tag)
	missing[1].Files = map[string]string{"/a": "/does/not/exist"}
	wrong := platforms(t, "Not A Tag")
	for want, all := range map[string][]image.Platform{
		"no image to push": nil, `and "nemesis/other:dev"`: other, "/does/not/exist": missing, "Not A Tag": wrong,
	} {
		if _, err := image.Push(t.Context(), all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one that names %q", err, want)
		}
	}
	reference, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Index(reference); err == nil {
		t.Error("the tag names an index that is not whole")
	}
}
