// Package image makes container images of a few files without any daemon: one layer,
// the same bytes for the same input on every machine. It writes docker-archive files, which
// containerd, Docker and Podman all load, and pushes to registries, for several processors under one tag. What goes into which image is
// decided elsewhere.
package image

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Spec is all that an image consists of.
type Spec struct {
	Tag        string            // "nemesis/fibonacci:dev"; without a registry, Docker's is meant, as everywhere
	Files      map[string]string // absolute path in the image -> file on this machine; all become mode 0755, root's
	Entrypoint []string
	Env        []string // "NAME=value"
	User       string   // "65532:65532"; empty means root
	Arch       string   // GOARCH of the files
	Labels     map[string]string
}

// epoch is the time of everything in an image: a real one would make every build a new image.
var epoch = time.Unix(0, 0).UTC()

// Write writes the image to a docker-archive, and reports whether it had to: an archive that already
// holds this very image is left as it is. The file appears whole or not at all.
func Write(path string, spec Spec) (written bool, err error) {
	tag, err := name.NewTag(spec.Tag)
	if err != nil {
		return false, fmt.Errorf("image %q: %w", spec.Tag, err)
	}
	img, err := build(spec, plainLayer)
	if err != nil {
		return false, err
	}
	same, err := holds(path, tag, img)
	if err != nil || same {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // build outputs are for everybody to read
		return false, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".image-*")
	if err != nil {
		return false, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := tarball.Write(tag, img, file); err != nil {
		return false, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	if err := file.Chmod(0o644); err != nil {
		return false, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	if err := file.Close(); err != nil {
		return false, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	return true, os.Rename(file.Name(), path)
}

// holds reports whether the archive at path already is this image under this tag: the name of its
// configuration is a digest that covers the layer too.
func holds(path string, tag name.Tag, img v1.Image) (bool, error) {
	want, err := img.ConfigName()
	if err != nil {
		return false, fmt.Errorf("image %s: %w", tag, err)
	}
	have, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		return false, nil //nolint:nilerr // none, a broken one, or another tag: write it
	}
	got, err := have.ConfigName()
	return err == nil && got == want, nil
}

func build(spec Spec, layerOf func(files map[string]string) (v1.Layer, error)) (v1.Image, error) {
	layer, err := layerOf(spec.Files)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	img, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "github.com/nemesis-scaling/nemesis/deployments"},
	})
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", spec.Arch
	config.Created = v1.Time{Time: epoch}
	config.Config.Entrypoint = spec.Entrypoint
	config.Config.Env = slices.Clone(spec.Env)
	config.Config.User = spec.User
	config.Config.WorkingDir = "/"
	config.Config.Labels = maps.Clone(spec.Labels)
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", spec.Tag, err)
	}
	return img, nil
}
