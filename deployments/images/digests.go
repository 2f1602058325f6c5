package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// The file of digests has a line "NAME ADDRESS@sha256:…" for each image that was pushed, the last one by its
// name. Signing and deploying go by it, so that neither takes what somebody put under a tag meanwhile. Beside
// it stands the same as a component of kustomize, for overlays.

var recording sync.Mutex

// record writes where an image was pushed.
func record(path, image, address string) error {
	recording.Lock()
	defer recording.Unlock()
	all, err := pushed(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if all == nil {
		all = map[string]name.Digest{}
	}
	if all[image], err = name.NewDigest(address); err != nil {
		return err
	}
	var lines, component strings.Builder
	component.WriteString("# Written by make push-images: its images, by digest.\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:\n")
	for _, one := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintln(&lines, one, all[one])
		fmt.Fprintf(&component, "  - { name: nemesis/%s, newName: %q, digest: %q }\n", one, all[one].Context(), all[one].DigestStr())
	}
	if err := replace(path, []byte(lines.String())); err != nil {
		return err
	}
	return replace(filepath.Join(filepath.Dir(path), "kustomization.yaml"), []byte(component.String()))
}

// pushed reads the file of digests.
func pushed(path string) (map[string]name.Digest, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the caller names it
	if err != nil {
		return nil, fmt.Errorf("what was pushed is not known: %w", err)
	}
	all := map[string]name.Digest{}
	for i, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		image, address, _ := strings.Cut(strings.TrimSpace(line), " ")
		digest, err := name.NewDigest(address)
		if err != nil || !slices.Contains(known(), image) {
			return nil, fmt.Errorf("%s, line %d is %q; it must be the name of an image and its address by digest, as load-balancer registry.example.com/team/load-balancer@sha256:…", path, i+1, line)
		}
		all[image] = digest
	}
	return all, nil
}

// wanted are those of the pushed images that are named, all when none is, sorted.
func wanted(path string, names []string) (images []string, all map[string]name.Digest, err error) {
	if all, err = pushed(path); err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		return slices.Sorted(maps.Keys(all)), all, nil
	}
	for _, one := range names {
		if _, ok := all[one]; !ok {
			return nil, nil, fmt.Errorf("%s was not pushed: %s has no line for it", one, path)
		}
	}
	return names, all, nil
}
