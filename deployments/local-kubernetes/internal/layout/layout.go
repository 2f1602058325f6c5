// Package layout names every file, address and kernel object of one local cluster. All names are
// derived from the cache directory, so two cluster directories never share a cgroup or an
// interface, and taking a cluster down needs nothing but this package to find what is left of it.
//
// It touches nothing: creating and removing belong to the packages that own the things named here.
package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Addresses of the cluster. The node lives in a network namespace of its own, joined to the host by
// one link; pods and Services are routed over it. They are the same for every cluster, so one host
// network namespace can reach one cluster at a time.
const (
	NodeName      = "nemesis-node"
	HostAddress   = "10.87.0.1"
	NodeAddress   = "10.87.0.2"
	LinkRange     = "10.87.0.0/30"
	LinkBits      = 30
	PodRange      = "10.88.0.0/16"
	PodGateway    = "10.88.0.1"
	ServiceRange  = "10.96.0.0/16"
	APIAddress    = "10.96.0.1"
	DNSAddress    = "10.96.0.10"
	ClusterDomain = "cluster.local"
	APIPort       = 6443
)

// Layout is where one cluster and the binaries it runs are kept.
type Layout struct {
	cache string
	id    string
}

// New places a cluster under the absolute directory cache.
func New(cache string) Layout {
	sum := sha256.Sum256([]byte(cache))
	return Layout{cache: cache, id: hex.EncodeToString(sum[:3])}
}

// FromEnvironment places the cluster under NEMESIS_CACHE, or else in the folder nemesis of the
// user's cache directory (XDG_CACHE_HOME, or .cache in the home directory).
func FromEnvironment() (Layout, error) {
	cache := os.Getenv("NEMESIS_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return Layout{}, fmt.Errorf("no cache directory: %w; set NEMESIS_CACHE", err)
		}
		cache = filepath.Join(base, "nemesis")
	}
	if !filepath.IsAbs(cache) {
		return Layout{}, errors.New("NEMESIS_CACHE must be an absolute path, it is " + cache)
	}
	return New(filepath.Clean(cache)), nil
}

// Cache is the directory of everything: the binaries, which outlive the cluster, and the cluster.
func (l Layout) Cache() string { return l.cache }

// Bin is the path of a built binary.
func (l Layout) Bin(name string) string { return filepath.Join(l.cache, "bin", name) }

// BinDir is the folder of the built binaries.
func (l Layout) BinDir() string { return filepath.Join(l.cache, "bin") }

// Cluster is a path in the cluster's own directory, which `down` removes.
func (l Layout) Cluster(elements ...string) string {
	return filepath.Join(append([]string{l.cache, "cluster"}, elements...)...)
}

// Kubeconfig is the administrator's kubeconfig.
func (l Layout) Kubeconfig() string { return l.Cluster("kubeconfig") }

// Log is the log file of a part of the cluster.
func (l Layout) Log(part string) string { return l.Cluster("logs", part+".log") }

// Record is the file that says which process is the node.
func (l Layout) Record() string { return l.Cluster("node.json") }

// Lock is the file that is locked while the cluster is being changed. It lies outside the
// cluster's directory because that directory is removed under the lock.
func (l Layout) Lock() string { return filepath.Join(l.cache, "cluster.lock") }

// Cgroup is the name of the cluster's cgroup, just below the root of each hierarchy.
func (l Layout) Cgroup() string { return "nemesis-" + l.id }

// Link is the host's end of the link to the node (at most 15 bytes, the kernel's limit).
func (l Layout) Link() string { return "nemesis-" + l.id }

// ContainerdSocket is containerd's socket as the node sees it.
const ContainerdSocket = "/run/containerd/containerd.sock"

// SocketFromHost is containerd's socket as the host sees it: /run of the node is in a mount
// namespace of its own, reached through its first process.
func SocketFromHost(pid int) string {
	return fmt.Sprintf("/proc/%d/root%s", pid, ContainerdSocket)
}
