package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
)

// source is a main package of this repository that becomes the image nemesis/NAME.
type source struct {
	name        string
	folder      string // of the main package, below the repository's root
	description string
	tags        string  // build tags, with commas between
	native      *native // for a program that needs C; nil: it does not
}

var sources = []source{
	{name: "autoscaler-controller", folder: "services/autoscaler-controller/cmd/autoscaler-controller", description: "Decides how many pods an application has, and wakes it"},
	{name: "load-balancer", folder: "services/load-balancer/cmd/load-balancer", description: "Routes requests to pods, and keeps them while an application wakes"},
	{name: "log-setup", folder: "services/load-balancer/cmd/log-setup", description: "Makes an Elasticsearch ready for the load balancers' log"},
	{name: "sidecar", folder: "services/sidecar/cmd/sidecar", description: "Measures its pod, and tells the autoscaler-controller", tags: small},
	{
		name: "sidecar-nvml", folder: "services/sidecar/cmd/sidecar", description: "Measures its pod, NVIDIA GPUs too, and tells the autoscaler-controller",
		tags: small + ",nvml", native: glibc,
	},
	{name: "metrics-collector", folder: "services/sidecar/cmd/metrics-collector", description: "Takes the pushes of sidecars nearby, and sends them on in batches"},
	{name: "fibonacci", folder: "e2e/apps/fibonacci", description: "Sample application: burns CPU"},
	{name: "echo", folder: "e2e/apps/echo", description: "Sample application: gives back what it gets, over gRPC and WebSocket too"},
	{name: "slot", folder: "e2e/apps/slot", description: "Sample application: works on one request at a time, and counts"},
	{name: "modelserver", folder: "e2e/apps/modelserver", description: "Sample application: pretends to serve a language model"},
}

// small is how a program is built that is to be small. Nobody speaks HTTP/2 with a sidecar, nor it with anybody.
const small = "nethttpomithttp2"

// choose gives the sources of these names; when there are none all that need no C compiler, which is what a local cluster
// runs.
func choose(names []string) ([]source, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return s.native != nil }), nil
	}
	var chosen []source
	for _, name := range names {
		i := slices.IndexFunc(sources, func(s source) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no image is called %q; there are %s", name, strings.Join(known(), ", "))
		}
		chosen = append(chosen, sources[i])
	}
	return chosen, nil
}

func known() []string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.name
	}
	return names
}

// repository finds the repository's root: the folder with go.work at or above the given one.
func repository(from string) (string, error) {
	folder, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.work")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("no go.work at or above this folder: run it inside the repository, or name it with -repository")
		}
		folder = parent
	}
}

// program says how to build the source: in the module of the nearest go.mod above the main package.
func (s source) program(root, arch string) (gobuild.Program, error) {
	target := filepath.Join(root, s.folder)
	for module := target; strings.HasPrefix(module, root); module = filepath.Dir(module) {
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err != nil {
			continue
		}
		relative, err := filepath.Rel(module, target)
		if err != nil {
			return gobuild.Program{}, err
		}
		p := gobuild.Program{Module: module, Package: "./" + filepath.ToSlash(relative), Arch: arch, Tags: s.tags}
		if s.native != nil {
			p.Compiler = compiler(arch)
		}
		return p, nil
	}
	return gobuild.Program{}, fmt.Errorf("%s: no go.mod at or above %s", s.name, target)
}
