package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the time that the program and its children ran, in user space and in the kernel: utime and
// stime of /proc, from the clock behind them, which counts nanoseconds where /proc counts hundredths
// of a second.
func (p *Process) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p.tree {
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil { //nolint:gosec // G115: as the kernel makes the clock of a process
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// RSS is the memory of the program and its children, in bytes.
func (p *Process) RSS() (int64, error) {
	var sum int64
	for _, pid := range p.tree {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(raw))
		if len(fields) < 2 {
			return 0, fmt.Errorf("statm of process %d: %q", pid, raw)
		}
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("statm of process %d: %w", pid, err)
		}
		sum += pages * int64(os.Getpagesize())
	}
	return sum, nil
}

// descendants are the process and all below it.
func descendants(root int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, stat := range stats {
		raw, err := os.ReadFile(stat) //nolint:gosec // G304: of /proc
		if err != nil {
			continue // it has ended
		}
		pid, parent, ok := parents(raw)
		if ok {
			children[parent] = append(children[parent], pid)
		}
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// parents reads a line of /proc/PID/stat: "7 (a name) S 1 ...".
func parents(stat []byte) (pid, parent int, ok bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return 0, 0, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(stat[:open])))
	parent, err2 := strconv.Atoi(fields[1])
	return pid, parent, err == nil && err2 == nil
}
