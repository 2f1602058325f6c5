// Package cluster brings the local cluster up, tells how it fares, gives it images and takes it
// down. It is the order of things; how each is done is in the packages beside.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/kube"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/parts"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/pki"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/process"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/progress"
)

// Cluster is the one cluster of a cache directory.
type Cluster struct {
	layout  layout.Layout
	modules string // the folder with the modules to build
	printer *progress.Printer
}

// New is the cluster at that place. modules is the folder with the nested Go modules kubernetes and
// containerd; only Up and Build need it.
func New(place layout.Layout, modules string, printer *progress.Printer) *Cluster {
	return &Cluster{layout: place, modules: modules, printer: printer}
}

// record is what is kept of a cluster that was started.
type record struct {
	// Node is the first process of the node; the cluster lives exactly as long.
	Node process.Identity `json:"node"`
	// Complete is set once everything was seen healthy.
	Complete bool `json:"complete"`
	// Started is when the node was.
	Started time.Time `json:"started"`
	// Builds are the hashes of what the programs were built from.
	Builds map[string]string `json:"builds"`
}

// readRecord gives nil when no cluster was started, or nothing useful is known of it.
func (c *Cluster) readRecord() *record {
	raw, err := os.ReadFile(c.layout.Record())
	if err != nil {
		return nil
	}
	var found record
	if json.Unmarshal(raw, &found) != nil {
		return nil
	}
	return &found
}

func (c *Cluster) writeRecord(r record) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fresh := c.layout.Record() + ".new"
	if err := os.WriteFile(fresh, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, c.layout.Record())
}

// running gives the record of a cluster that is up, nil if there is none.
func (c *Cluster) running() *record {
	found := c.readRecord()
	if found == nil || !found.Node.Alive() {
		return nil
	}
	return found
}

// lock makes sure that one program at a time changes the cluster. The kernel lets go of it with the
// process, however that ends.
func (c *Cluster) lock() (release func(), err error) {
	if err := os.MkdirAll(c.layout.Cache(), 0o750); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(c.layout.Lock(), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		holder := make([]byte, 64)
		n, _ := file.Read(holder)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another program (process %s) is changing this cluster; wait for it, or end it", holder[:n])
		}
		return nil, fmt.Errorf("lock %s: %w", c.layout.Lock(), err)
	}
	_ = file.Truncate(0)
	_, _ = fmt.Fprintf(file, "%d", os.Getpid())
	return func() { _ = file.Close() }, nil
}

// client speaks to the cluster's API server as its administrator.
func (c *Cluster) client() (*kube.Client, error) {
	return kube.NewClient(parts.Server(), c.credentials(pki.Admin))
}

func (c *Cluster) credentials(name string) kube.Files {
	return kube.Files{
		Authority:   c.layout.Cluster("pki", pki.ClusterCA+".crt"),
		Certificate: c.layout.Cluster("pki", name+".crt"),
		Key:         c.layout.Cluster("pki", name+".key"),
	}
}

// keepLogs saves the logs of a cluster that failed from being removed with it, and says where.
func (c *Cluster) keepLogs() string {
	kept := c.failedLogs()
	if err := os.RemoveAll(kept); err != nil {
		return c.layout.Cluster("logs")
	}
	if err := os.Rename(c.layout.Cluster("logs"), kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c.layout.Cluster("logs")
	}
	return kept
}

func (c *Cluster) failedLogs() string { return filepath.Join(c.layout.Cache(), "failed-logs") }

var errInterrupted = errors.New("interrupted")

// interrupted tells a cancelled context from a fault of a part.
func interrupted(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled)
}
