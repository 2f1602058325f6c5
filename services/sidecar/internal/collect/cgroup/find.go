package cgroup

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// How far a pod's group is looked for. A node has some hundreds of pods, and no kubelet puts them
// deeper.
const (
	maxDepth   = 8
	maxFolders = 20_000
)

// find walks the hierarchy breadth first. The kubelet names a pod's group podUID (cgroupfs driver) or
// …-podUID.slice with underscores in the UID (systemd driver), somewhere below kubepods; where that
// is depends on the node.
func find(hierarchy fs.FS, uid string) (string, error) {
	level := []string{"."}
	seen := 0
	for range maxDepth {
		var below []string
		for _, folder := range level {
			entries, err := fs.ReadDir(hierarchy, folder)
			if err != nil {
				continue // it ended meanwhile, or is not for us
			}
			for _, e := range entries {
				if !e.IsDir() {
					continue
				}
				if isPod(e.Name(), uid) {
					return path.Join(folder, e.Name()), nil
				}
				if seen++; seen > maxFolders {
					return "", fmt.Errorf("the pod %s was not found among %d control groups", uid, maxFolders)
				}
				if !isOther(e.Name()) {
					below = append(below, path.Join(folder, e.Name()))
				}
			}
		}
		level = below
	}
	return "", fmt.Errorf("there is no control group of the pod %s: it is not the node's /sys/fs/cgroup", uid)
}

func isPod(name, uid string) bool {
	return name == "pod"+uid || strings.HasSuffix(name, "-pod"+strings.ReplaceAll(uid, "-", "_")+".slice")
}

// isOther tells a group that is another pod's, or ends a branch: nothing of ours is below.
func isOther(name string) bool {
	return strings.HasPrefix(name, "pod") && strings.Count(name, "-") == 4 ||
		strings.Contains(name, "-pod") && strings.HasSuffix(name, ".slice") ||
		strings.HasSuffix(name, ".scope") || strings.HasSuffix(name, ".service") && !strings.Contains(name, "kube")
}
