package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/process"
)

// Parts is the child that the cluster's own programs run in, beside the pods' groups: version 2
// lets no process live in a group that has children with controllers.
const Parts = "parts"

// Create makes the group of that name and its child for the parts in every hierarchy, and moves the
// process into the child.
func Create(hierarchies []Hierarchy, name string, pid int) error {
	if len(hierarchies) == 0 {
		return errors.New("no cgroup hierarchy to run in")
	}
	for _, hierarchy := range hierarchies {
		top := filepath.Join(hierarchy.Path, name)
		child := filepath.Join(top, Parts)
		if len(hierarchy.Controllers) == 0 {
			enableControllers(hierarchy.Path)
		}
		for _, directory := range []string{top, child} {
			//nolint:gosec // G301: others may look, as on any node: a monitoring pod reads what its pod uses
			if err := os.Mkdir(directory, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("cgroup: %w", err)
			}
			if slices.Contains(hierarchy.Controllers, "cpuset") {
				inheritCPUs(directory)
			}
		}
		file := filepath.Join(child, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0o600); err != nil {
			return fmt.Errorf("move process %d to %s: %w", pid, child, err)
		}
	}
	return nil
}

// enableControllers lets children of a version 2 root have the controllers that pods need, each on
// its own: one that the kernel lacks must not keep the others off. The kubelet does the same below.
func enableControllers(root string) {
	available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")) //nolint:gosec // a file of the kernel
	if err != nil {
		return
	}
	for controller := range strings.FieldsSeq(string(available)) {
		_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+controller), 0o600)
	}
}

// inheritCPUs copies the parent's CPUs and memory nodes: a new version 1 cpuset has none, and takes
// no process until it has.
func inheritCPUs(directory string) {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(filepath.Dir(directory), file)) //nolint:gosec // a file of the kernel
		if err == nil {
			_ = os.WriteFile(filepath.Join(directory, file), value, 0o600) //nolint:gosec // a file of the kernel
		}
	}
}

// Processes lists who is in the group or below it, in any hierarchy.
func Processes(hierarchies []Hierarchy, name string) ([]process.Identity, error) {
	seen := map[int]bool{}
	var found []process.Identity
	for _, hierarchy := range hierarchies {
		for _, directory := range tree(filepath.Join(hierarchy.Path, name)) {
			text, err := os.ReadFile(filepath.Join(directory, "cgroup.procs")) //nolint:gosec // a file of the kernel
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for field := range strings.FieldsSeq(string(text)) {
				pid, err := strconv.Atoi(field)
				if err != nil || pid == 0 || seen[pid] {
					continue
				}
				seen[pid] = true
				if identity, err := process.Of(pid); err == nil {
					found = append(found, identity)
				}
			}
		}
	}
	return found, nil
}

// Remove removes the group and all below it. It fails while a process is left in it.
func Remove(hierarchies []Hierarchy, name string) error {
	var faults []error
	for _, hierarchy := range hierarchies {
		directories := tree(filepath.Join(hierarchy.Path, name))
		slices.Reverse(directories) // children first
		for _, directory := range directories {
			if err := unix.Rmdir(directory); err != nil && !errors.Is(err, unix.ENOENT) {
				faults = append(faults, fmt.Errorf("remove %s: %w", directory, err))
			}
		}
	}
	return errors.Join(faults...)
}

// Left lists the group's directories that still exist.
func Left(hierarchies []Hierarchy, name string) []string {
	left := make([]string, 0, len(hierarchies))
	for _, hierarchy := range hierarchies {
		left = append(left, tree(filepath.Join(hierarchy.Path, name))...)
	}
	return left
}

// tree lists a directory and all directories below it, parents first; nothing if it does not exist.
func tree(root string) []string {
	var found []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return fs.SkipDir
		}
		if entry.IsDir() {
			found = append(found, path)
		}
		return nil
	})
	return found
}
