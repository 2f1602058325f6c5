package build

import (
	"path/filepath"
	"time"
)

// Versions of what is built. The go.mod files beside pin the same; the linker writes these into the
// programs, where clients look for them.
const (
	KubernetesVersion = "v1.36.3"
	ContainerdVersion = "v2.4.2"
	PluginsVersion    = "v1.9.1"
)

// Kubernetes is the one program that holds all Go components. modules is the folder with the nested
// modules, into the folder for the programs.
func Kubernetes(modules, into string) *Artifact {
	const (
		server = " -X k8s.io/component-base/version."
		client = " -X k8s.io/client-go/pkg/version."
	)
	return &Artifact{
		Name:     "kubernetes",
		Module:   filepath.Join(modules, "kubernetes"),
		Packages: map[string]string{"kubernetes": "."},
		LDFlags: "-s -w" +
			server + "gitVersion=" + KubernetesVersion + server + "gitMajor=1" + server + "gitMinor=36" + server + "gitTreeState=clean" +
			client + "gitVersion=" + KubernetesVersion + client + "gitMajor=1" + client + "gitMinor=36",
		Usual: 7 * time.Minute,
		Into:  into,
	}
}

// Runtime is everything that runs containers: containerd, its shim and client, the network plugins
// and the program of the pause image.
func Runtime(modules, into string) *Artifact {
	const (
		containerd = "github.com/containerd/containerd/v2"
		plugins    = "github.com/containernetworking/plugins"
	)
	return &Artifact{
		Name:   "containerd",
		Module: filepath.Join(modules, "containerd"),
		Packages: map[string]string{
			"containerd":              containerd + "/cmd/containerd",
			"containerd-shim-runc-v2": containerd + "/cmd/containerd-shim-runc-v2",
			"ctr":                     containerd + "/cmd/ctr",
			"ptp":                     plugins + "/plugins/main/ptp",
			"host-local":              plugins + "/plugins/ipam/host-local",
			"portmap":                 plugins + "/plugins/meta/portmap",
			"pause":                   "./pause",
		},
		LDFlags: "-s -w -X " + containerd + "/version.Version=" + ContainerdVersion +
			" -X " + plugins + "/pkg/utils/buildversion.BuildVersion=" + PluginsVersion,
		Usual: 90 * time.Second,
		Into:  into,
	}
}
