package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A plain directory stands in for a hierarchy: the calls are those of a file system.
func TestLeft_ListsParentsFirstAndRemoveTakesChildrenFirst(t *testing.T) {
	hierarchies := []Hierarchy{{Path: t.TempDir()}, {Path: t.TempDir()}}
	if left := Left(hierarchies, "ours"); len(left) != 0 {
		t.Errorf("left of nothing: %v", left)
	}
	var want []string
	for _, hierarchy := range hierarchies {
		top := filepath.Join(hierarchy.Path, "ours")
		if err := os.MkdirAll(filepath.Join(top, "pods", "one"), 0o755); err != nil {
			t.Fatal(err)
		}
		want = append(want, top, filepath.Join(top, "pods"), filepath.Join(top, "pods", "one"))
	}
	if left := Left(hierarchies, "ours"); !slices.Equal(left, want) {
		t.Errorf("left: %v, want %v", left, want)
	}
	if err := Remove(hierarchies, "ours"); err != nil {
		t.Fatal(err)
	}
	if left := Left(hierarchies, "ours"); len(left) != 0 {
		t.Errorf("left after Remove: %v", left)
	}
	if _, err := os.Stat(hierarchies[0].Path); err != nil {
		t.Errorf("the hierarchy itself: %v", err)
	}
}

func TestRemove_SaysWhatStays(t *testing.T) {
	hierarchy := Hierarchy{Path: t.TempDir()}
	busy := filepath.Join(hierarchy.Path, "ours")
	if err := os.MkdirAll(busy, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(busy, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove([]Hierarchy{hierarchy}, "ours"); err == nil {
		t.Error("a group that cannot be removed was reported removed")
	}
}

// file stands in for one of the kernel's files.
func file(t *testing.T, content string, elements ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(elements...), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCreate_MovesTheProcessBesideThePodsInEveryHierarchy(t *testing.T) {
	second, cpuset := Hierarchy{Path: t.TempDir()}, Hierarchy{Path: t.TempDir(), Controllers: []string{"cpuset"}}
	file(t, "memory pids", second.Path, "cgroup.controllers")
	file(t, "", second.Path, "cgroup.subtree_control")
	file(t, "0-3", cpuset.Path, "cpuset.cpus")
	file(t, "0", cpuset.Path, "cpuset.mems")
	if err := Create([]Hierarchy{second, cpuset}, "ours", 4711); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(second.Path, "ours", Parts, "cgroup.procs"): "4711",
		filepath.Join(cpuset.Path, "ours", Parts, "cgroup.procs"): "4711",
		filepath.Join(cpuset.Path, "ours", Parts, "cpuset.cpus"):  "0-3",
		filepath.Join(cpuset.Path, "ours", "cpuset.mems"):         "0",
		// The kernel's file takes one controller after the other; a plain one keeps the last.
		filepath.Join(second.Path, "cgroup.subtree_control"): "+pids",
	} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if string(got) != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(second.Path, "ours", "cgroup.procs")); err == nil {
		t.Error("a process was put beside the children of the group, which version 2 refuses")
	}
}

func TestCreate_NeedsAHierarchy(t *testing.T) {
	if err := Create(nil, "ours", 1); err == nil {
		t.Error("a process was moved nowhere, without an error")
	}
}
