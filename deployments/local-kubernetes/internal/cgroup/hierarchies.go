// Package cgroup makes, lists and removes the cgroup that everything of one local cluster runs in:
// its own parts and, below it, the pods. It speaks both versions of cgroups and knows nothing of
// what runs inside.
package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Hierarchy is one mounted cgroup tree: the only one of version 2, or one of many of version 1.
type Hierarchy struct {
	Path        string
	Controllers []string // of version 1; empty for version 2
}

// Mounted lists the hierarchies of this machine.
func Mounted() ([]Hierarchy, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hierarchies, err := parseMounts(file)
	if err != nil {
		return nil, err
	}
	if len(hierarchies) == 0 {
		return nil, fmt.Errorf("no cgroup file system is mounted")
	}
	return hierarchies, nil
}

// parseMounts reads the cgroup mounts out of a mountinfo file, see proc(5).
func parseMounts(mountinfo io.Reader) ([]Hierarchy, error) {
	var found []Hierarchy
	scanner := bufio.NewScanner(mountinfo)
	for scanner.Scan() {
		before, after, ok := strings.Cut(scanner.Text(), " - ")
		if !ok {
			continue
		}
		head, tail := strings.Fields(before), strings.Fields(after)
		if len(head) < 5 || len(tail) < 3 || head[3] != "/" {
			continue
		}
		path := unescape(head[4])
		switch tail[0] {
		case "cgroup2":
			found = append(found, Hierarchy{Path: path})
		case "cgroup":
			options := strings.Split(tail[2], ",")
			options = slices.DeleteFunc(options, func(option string) bool { return option == "rw" || option == "ro" })
			found = append(found, Hierarchy{Path: path, Controllers: options})
		}
	}
	return found, scanner.Err()
}

// unescape undoes mountinfo's octal escapes of blanks and backslashes.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
