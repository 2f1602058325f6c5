package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/cgroup"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/host"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/network"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/process"
)

// goneWithin is how long the kernel gets to remove a killed node: it ends every process first.
const goneWithin = 30 * time.Second

// Down removes the cluster and everything it made; the built programs stay. It works on whatever is
// left of a cluster, in any state, and is no error if there is none.
func (c *Cluster) Down() error {
	if err := host.CheckMachine(); err != nil {
		return err
	}
	release, err := c.lock()
	if err != nil {
		return err
	}
	defer release()
	found, err := c.remove()
	if err != nil {
		return err
	}
	if !found {
		c.printer.Line("there is no cluster")
		return nil
	}
	c.printer.Line("the cluster is gone; the built programs stay in %s", c.layout.BinDir())
	return nil
}

// remove takes the cluster down and reports whether there was anything of one. The lock is held.
func (c *Cluster) remove() (found bool, err error) {
	hierarchies, err := cgroup.Mounted()
	if err != nil {
		return false, err
	}
	if known := c.readRecord(); known != nil {
		found = true
		// The node's first process ends, and with it the kernel ends every process of the node and
		// drops its mounts, interfaces, firewall tables and sockets.
		if err := known.Node.Kill(); err != nil {
			return true, err
		}
	}
	// Without a record, or with one of a process that is gone, the cgroup tells who is ours.
	if err := c.endProcesses(hierarchies); err != nil {
		return true, err
	}
	if network.Exists(c.layout.Link()) {
		found = true
		if err := network.Disconnect(c.layout.Link()); err != nil {
			return true, err
		}
	}
	if len(cgroup.Left(hierarchies, c.layout.Cgroup())) > 0 {
		found = true
		if err := removeCgroup(hierarchies, c.layout.Cgroup()); err != nil {
			return true, err
		}
	}
	if _, err := os.Stat(c.layout.Cluster()); errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err := c.refuseMounts(); err != nil {
		return true, err
	}
	if err := os.RemoveAll(c.layout.Cluster()); err != nil {
		return true, fmt.Errorf("remove the cluster's files: %w", err)
	}
	return true, nil
}

// endProcesses waits until no process is left in the cluster's cgroup and helps those that stay.
func (c *Cluster) endProcesses(hierarchies []cgroup.Hierarchy) error {
	deadline := time.Now().Add(goneWithin)
	for {
		left, err := cgroup.Processes(hierarchies, c.layout.Cgroup())
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the cluster do not end (%s); they hang in the kernel, see /proc/PID/stack",
				len(left), numbers(left))
		}
		for _, one := range left {
			if err := one.Kill(); err != nil {
				return err
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// removeCgroup tries for a while: a group is busy for a moment after its last process has ended.
func removeCgroup(hierarchies []cgroup.Hierarchy, name string) error {
	deadline := time.Now().Add(goneWithin)
	for {
		err := cgroup.Remove(hierarchies, name)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// refuseMounts makes sure that removing the cluster's files removes nothing else: everything the
// cluster mounted was in its own namespace, so a mount that the host sees is somebody's.
func (c *Cluster) refuseMounts() error {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	prefix := c.layout.Cluster() + "/"
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4]+"/", prefix) {
			return fmt.Errorf("something is mounted at %s; unmount it first", fields[4])
		}
	}
	return nil
}

func numbers(processes []process.Identity) string {
	text := make([]string, 0, len(processes))
	for _, one := range processes {
		text = append(text, fmt.Sprint(one.PID))
	}
	return strings.Join(text, ", ")
}
