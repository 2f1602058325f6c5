package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// object is one of Kubernetes, as JSON has it.
type object = map[string]any

// objects are found by kind/name: no two of one name in two namespaces are shipped.
type objects map[string]object

func (o objects) ids() []string { return slices.Sorted(maps.Keys(o)) }

// overlay is a kustomization; its folders are below kustomize/.
type overlay struct {
	Resources  []string `json:"resources,omitempty"`
	Components []string `json:"components,omitempty"`
	Images     []image  `json:"images,omitempty"`
	Patches    []patch  `json:"patches,omitempty"`
}

type image struct {
	Name   string `json:"name"`
	NewTag string `json:"newTag"`
}

type patch struct {
	Patch string `json:"patch"`
}

// render makes what kubectl apply -k of this overlay would send.
func render(kustomize string, o overlay) (objects, error) {
	folder, err := os.MkdirTemp("", "chart-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if o.Resources, err = from(folder, kustomize, o.Resources); err != nil {
		return nil, err
	}
	if o.Components, err = from(folder, kustomize, o.Components); err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(o)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}
	found := objects{}
	for _, r := range made.Resources() {
		raw, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		if err := found.add(raw); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// from are the folders as kustomize wants them, relative to its own; it resolves its own folder's symlinks.
func from(folder, kustomize string, below []string) (paths []string, err error) {
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return nil, err
	}
	if kustomize, err = filepath.Abs(kustomize); err != nil {
		return nil, err
	}
	for _, b := range below {
		path, err := filepath.Rel(folder, filepath.Join(kustomize, b))
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// add reads one object of YAML.
func (o objects) add(raw []byte) error {
	var read object
	if err := yaml.Unmarshal(raw, &read); err != nil {
		return err
	}
	meta, _ := read["metadata"].(map[string]any)
	id := fmt.Sprintf("%v/%v", read["kind"], meta["name"])
	if _, there := o[id]; there || meta["name"] == nil {
		return fmt.Errorf("there are two of %s, or it has no name", id)
	}
	o[id] = read
	return nil
}

func encode(o object) ([]byte, error) { return yaml.Marshal(o) }

// untag takes the tag off the image: it is the chart's version or the values', and a release must not have to make all anew.
func untag(o object) {
	spec, _ := o["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	containers, _ := pod["containers"].([]any)
	for _, c := range containers {
		if c, ok := c.(map[string]any); ok {
			if name, ok := c["image"].(string); ok {
				c["image"], _, _ = strings.Cut(name, ":")
			}
		}
	}
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// added is what an object has that it had not before: new keys, new items of lists. Of a list whose one item is another now, as
// the containers of a pod, it is that item's. Whatever else changed is an error: the chart's templates can add, and not
// replace.
func added(before, after object) (object, error) {
	result := object{}
	for key, was := range before {
		is, there := after[key]
		if !there {
			return nil, fmt.Errorf("%s is gone, and a component of the chart can only add", key)
		}
		if equal(was, is) {
			continue
		}
		more, err := addedTo(was, is)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		result[key] = more
	}
	for key, is := range after {
		if _, there := before[key]; !there {
			result[key] = is
		}
	}
	return result, nil
}

func addedTo(was, is any) (any, error) {
	switch was := was.(type) {
	case map[string]any:
		if is, ok := is.(map[string]any); ok {
			return added(was, is)
		}
	case []any:
		is, ok := is.([]any)
		if !ok {
			break
		}
		if len(was) == 1 && len(is) == 1 {
			one, err := addedTo(was[0], is[0])
			return []any{one}, err
		}
		var more []any
		kept := 0
		for _, item := range is {
			if slices.ContainsFunc(was, func(old any) bool { return equal(old, item) }) {
				kept++
			} else {
				more = append(more, item)
			}
		}
		if kept == len(was) {
			return more, nil
		}
	}
	return nil, fmt.Errorf("%v became %v, and a component of the chart can only add", was, is)
}
