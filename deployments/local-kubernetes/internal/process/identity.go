// Package process tells one process from another that later got the same number, so that nothing is
// ever ended by a number alone.
package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Identity names one process for as long as the machine runs.
type Identity struct {
	PID int `json:"pid"`
	// StartTicks is the start time in clock ticks since boot, from /proc/PID/stat.
	StartTicks uint64 `json:"startTicks"`
	BootID     string `json:"bootID"`
}

// Of reads the identity of a running process.
func Of(pid int) (Identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, err
	}
	_, ticks, err := parseStat(string(stat))
	if err != nil {
		return Identity{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, err
	}
	return Identity{PID: pid, StartTicks: ticks, BootID: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether the very process still runs; a zombie does not.
func (i Identity) Alive() bool {
	if i.PID <= 0 {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", i.PID))
	if err != nil {
		return false
	}
	state, _, err := parseStat(string(stat))
	if err != nil || state == 'Z' || state == 'X' {
		return false
	}
	now, err := Of(i.PID)
	return err == nil && now == i
}

// Kill ends the process. It is no error if that process is gone already, whoever has its number
// now: the handle is taken first and the identity checked after, so the number cannot change owner
// in between.
func (i Identity) Kill() error {
	handle, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", i.PID, err)
	}
	defer unix.Close(handle)
	if !i.Alive() {
		return nil
	}
	err = unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", i.PID, err)
	}
	return nil
}

// parseStat reads the state and the start time out of a /proc/PID/stat line. The program's name, in
// parentheses, may itself hold spaces and parentheses, so fields are counted from the last one.
func parseStat(line string) (state byte, startTicks uint64, err error) {
	const startTimeAfterName = 19 // field 22 of proc(5), counted from field 3
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return 0, 0, errors.New("no program name in parentheses")
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) <= startTimeAfterName || len(fields[0]) != 1 {
		return 0, 0, fmt.Errorf("%d fields after the program name, at least %d expected", len(fields), startTimeAfterName+1)
	}
	startTicks, err = strconv.ParseUint(fields[startTimeAfterName], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("start time: %w", err)
	}
	return fields[0][0], startTicks, nil
}
