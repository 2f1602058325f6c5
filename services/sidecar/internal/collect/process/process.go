// Package process adds up what the processes of a pod use, where the pod shares one process
// namespace (shareProcessNamespace: true), so that each of its containers sees them all. It needs no
// rights: /proc/PID/stat and status are for everybody to read.
//
// Memory is what the kernel could not take back by forgetting files: the anonymous memory of all
// processes, and the shared memory of the one that has most of it, since the others share that. (Pages
// of programs and libraries belong to whichever pod of the node read them first; after a fork, pages
// that nobody has written to since count for both.) Of CPU time, a process that ended and was waited for lives on in its parent's figures; account.go
// keeps the sum from jumping when that happens.
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// maxProcesses bounds what is read for one measurement.
const maxProcesses = 8192

// attempts is how often the processes are read again when some went away meanwhile.
const attempts = 3

// tick is the unit of CPU time in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Pod are the processes of one pod.
type Pod struct {
	proc    fs.FS
	account account
}

// errNotShared says what to do.
var errNotShared = errors.New("the processes of the other containers are not visible: set shareProcessNamespace: true in the pod's spec")

// Open looks whether proc, a /proc, shows the processes of one pod, all of them and no others. The
// first process of a shared namespace is the pod's own pause process. Where it is this program the
// namespace is not shared; where it is another, this is the node's (hostPID), whose processes are not
// the pod's.
func Open(proc fs.FS, self int) (*Pod, error) {
	if self == 1 {
		return nil, errNotShared
	}
	raw, err := fs.ReadFile(proc, "1/comm")
	if err != nil {
		return nil, err
	}
	if first := strings.TrimSpace(string(raw)); first != "pause" {
		return nil, fmt.Errorf("the first process is %q and not the pod's pause process: these may be the node's processes (hostPID)", first)
	}
	return &Pod{proc: proc}, nil
}

// Read is the CPU time that the processes have used since the first reading, and their memory in
// bytes. The time never falls.
func (p *Pod) Read() (cpu time.Duration, bytes uint64, err error) {
	var all map[key]times
	for range attempts {
		var whole bool
		all, bytes, whole, err = p.processes()
		if err != nil {
			return 0, 0, err
		}
		if whole {
			break
		}
	}
	used := p.account.add(all)
	return time.Duration(used) * tick, bytes, nil //nolint:gosec // G115: ticks of one pod's life
}

// processes reads every process once. It is whole when all that were there at first are there at the
// end: one that ended in between may have been counted twice, with itself and its parent, or not at
// all.
func (p *Pod) processes() (all map[key]times, used uint64, whole bool, err error) {
	pids, err := p.pids()
	if err != nil {
		return nil, 0, false, err
	}
	all = make(map[key]times, len(pids))
	whole = true
	var shared uint64
	for _, pid := range pids {
		k, t, m, err := p.process(pid)
		if err != nil {
			if !gone(err) {
				return nil, 0, false, fmt.Errorf("process %d: %w", pid, err)
			}
			whole = false
			continue
		}
		all[k] = t
		used += m.anonymous
		shared = max(shared, m.shared)
	}
	used += shared
	if whole {
		whole, err = p.stillThere(pids)
	}
	return all, used, whole, err
}

func (p *Pod) process(pid int) (k key, t times, m memory, err error) {
	folder := strconv.Itoa(pid)
	raw, err := fs.ReadFile(p.proc, path.Join(folder, "stat"))
	if err != nil {
		return k, t, m, err
	}
	start, t, err := parseStat(raw)
	if err != nil {
		return k, t, m, err
	}
	raw, err = fs.ReadFile(p.proc, path.Join(folder, "status"))
	if err != nil {
		return k, t, m, err
	}
	m, err = parseStatus(raw)
	return key{pid, start}, t, m, err
}

// pids are the numbers of the processes, ascending.
func (p *Pod) pids() ([]int, error) {
	entries, err := fs.ReadDir(p.proc, ".")
	if err != nil {
		return nil, err
	}
	pids := make([]int, 0, len(entries))
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	if len(pids) > maxProcesses {
		return nil, fmt.Errorf("the pod has %d processes, and no more than %d are read", len(pids), maxProcesses)
	}
	return pids, nil
}

func (p *Pod) stillThere(pids []int) (bool, error) {
	now, err := p.pids()
	if err != nil {
		return false, err
	}
	here := make(map[int]bool, len(now))
	for _, pid := range now {
		here[pid] = true
	}
	for _, pid := range pids {
		if !here[pid] {
			return false, nil
		}
	}
	return true, nil
}

// gone: the process ended between the look at the folder and the look into it.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoSuchProcess)
}
