// Package cgroup reads what a pod uses from the pod's own control group, version 1 or 2: the parent
// of its containers' groups. It needs the node's /sys/fs/cgroup, read-only, and the pod's UID. It
// reads numbers as they stand; what they mean over time is somebody else's business.
package cgroup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Pod is one pod's control group.
type Pod struct {
	root   fs.FS
	path   string // below a hierarchy's root
	cpu    string // the hierarchy that counts CPU time (version 1)
	memory string // the hierarchy that counts memory (version 1); "." is the one hierarchy of version 2
}

// Open finds the pod's group below root, which is a /sys/fs/cgroup.
func Open(root fs.FS, uid string) (*Pod, error) {
	if uid == "" {
		return nil, errors.New("the pod's UID is not known (pod-uid)")
	}
	p := &Pod{root: root, cpu: ".", memory: "."}
	if !exists(root, "cgroup.controllers") { // version 1, or both side by side
		var ok bool
		if p.memory, ok = first(root, "memory"); !ok {
			return nil, errors.New("there is no memory hierarchy: it is not the node's /sys/fs/cgroup")
		}
		if p.cpu, ok = first(root, "cpuacct", "cpu,cpuacct"); !ok {
			return nil, errors.New("there is no cpuacct hierarchy: it is not the node's /sys/fs/cgroup")
		}
	}
	hierarchy, err := fs.Sub(root, p.memory)
	if err != nil {
		return nil, err
	}
	p.path, err = find(hierarchy, uid)
	return p, err
}

// Path is where the group is, below the hierarchy's root.
func (p *Pod) Path() string { return p.path }

// Read is the CPU time that the pod has used since it began, and its working set in bytes: the
// memory that the kernel could not take back by forgetting files nobody reads.
func (p *Pod) Read() (cpu time.Duration, memory uint64, err error) {
	if cpu, err = p.readCPU(); err != nil {
		return 0, 0, err
	}
	memory, err = p.readMemory()
	return cpu, memory, err
}

func (p *Pod) readCPU() (time.Duration, error) {
	if p.cpu == "." {
		microseconds, err := p.entry(p.cpu, "cpu.stat", "usage_usec")
		return time.Duration(min(microseconds, maxMicroseconds)) * time.Microsecond, err
	}
	nanoseconds, err := p.number(p.cpu, "cpuacct.usage")
	return time.Duration(min(nanoseconds, maxNanoseconds)), err
}

// More than these is no time that a duration can hold.
const (
	maxNanoseconds  = 1<<63 - 1
	maxMicroseconds = maxNanoseconds / 1000
)

func (p *Pod) readMemory() (uint64, error) {
	usage, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if p.memory == "." {
		usage, inactive = "memory.current", "inactive_file"
	}
	used, err := p.number(p.memory, usage)
	if err != nil {
		return 0, err
	}
	idle, err := p.entry(p.memory, "memory.stat", inactive)
	if err != nil {
		return 0, err
	}
	return used - min(idle, used), nil
}

func (p *Pod) number(hierarchy, file string) (uint64, error) {
	raw, err := fs.ReadFile(p.root, p.file(hierarchy, file))
	if err != nil {
		return 0, err
	}
	return parseNumber(raw)
}

func (p *Pod) entry(hierarchy, file, key string) (uint64, error) {
	raw, err := fs.ReadFile(p.root, p.file(hierarchy, file))
	if err != nil {
		return 0, err
	}
	value, err := parseEntry(raw, key)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return value, nil
}

func (p *Pod) file(hierarchy, file string) string {
	return strings.TrimPrefix(hierarchy+"/"+p.path+"/"+file, "./")
}

// parseNumber reads a file that holds one number.
func parseNumber(raw []byte) (uint64, error) {
	return strconv.ParseUint(string(bytes.TrimSpace(raw)), 10, 64)
}

// parseEntry reads the number behind a key, in a file with "key number" lines.
func parseEntry(raw []byte, key string) (uint64, error) {
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && name == key {
			return strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("it has no line for %s", key)
}

func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}

func first(root fs.FS, names ...string) (string, bool) {
	for _, name := range names {
		if exists(root, name) {
			return name, true
		}
	}
	return "", false
}
