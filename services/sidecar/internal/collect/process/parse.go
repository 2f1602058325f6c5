package process

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"syscall"
)

// errNoSuchProcess is what reading an open file of a process gives that has ended.
var errNoSuchProcess error = syscall.ESRCH

// The fields of /proc/PID/stat behind the name, counted from 0 (proc(5) counts from 1, with the
// number and the name before them).
const (
	fieldUser = 14 - 3 + iota
	fieldSystem
	fieldChildrenUser
	fieldChildrenSystem
	fieldStart = 22 - 3
)

// parseStat reads when the process began and the CPU time it used, in ticks. The name stands in
// parentheses and may hold anything, parentheses too; the last one ends it.
func parseStat(raw []byte) (start uint64, t times, err error) {
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return 0, times{}, errors.New("stat has no name")
	}
	fields := bytes.Fields(raw[end+1:])
	if len(fields) <= fieldStart {
		return 0, times{}, fmt.Errorf("stat has %d fields behind the name, want more than %d", len(fields), fieldStart)
	}
	var n [fieldStart + 1]uint64
	for _, i := range []int{fieldUser, fieldSystem, fieldChildrenUser, fieldChildrenSystem, fieldStart} {
		if n[i], err = parseTicks(fields[i]); err != nil {
			return 0, times{}, fmt.Errorf("stat, field %d: %w", i+3, err)
		}
	}
	return n[fieldStart], times{n[fieldUser] + n[fieldSystem], n[fieldChildrenUser] + n[fieldChildrenSystem]}, nil
}

// parseTicks refuses what no pod can have used, so that sums do not overflow. The children's times
// are signed in the kernel; below 0 they mean nothing.
func parseTicks(field []byte) (uint64, error) {
	n, err := strconv.ParseInt(string(field), 10, 64)
	if err != nil {
		return 0, err
	}
	const most = 1 << 52
	if n < 0 || n > most {
		return 0, fmt.Errorf("%d is no time", n)
	}
	return uint64(n), nil
}

// memory is what a process has, in bytes.
type memory struct{ anonymous, shared uint64 }

// parseStatus reads the memory of a process. One that has ended and is not waited for has none.
func parseStatus(raw []byte) (m memory, err error) {
	for line := range bytes.Lines(raw) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "RssAnon":
			m.anonymous, err = parseKilobytes(value)
		case "RssShmem":
			m.shared, err = parseKilobytes(value)
		}
		if err != nil {
			return memory{}, fmt.Errorf("status, %s: %w", name, err)
		}
	}
	return m, nil
}

// parseKilobytes reads "  6356 kB"; no node has so many that sums of them overflow.
func parseKilobytes(value []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" kB"))), 10, 40)
	return n << 10, err
}
