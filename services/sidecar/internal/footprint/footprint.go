// Package footprint keeps what this program has of the node's memory small. A Go program of eight megabytes has nearly
// all of them mapped soon after its start, most for what it did once: setting itself up, and what lies beside what is
// needed. Those pages are the file's own, unchanged; given back they cost a moment when they are needed again.
package footprint

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// region is a part of the program's memory.
type region struct {
	start, end uintptr
	code       bool
}

// Release gives the pages of the program's own file back, as far as nothing can have changed them.
func Release() error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	defer func() { _ = maps.Close() }()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	regions, err := unchanged(maps, program)
	if err != nil {
		return err
	}
	var faults []error
	for _, r := range regions {
		// Not syscall.Madvise: it wants a slice of this memory.
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, r.start, r.end-r.start, syscall.MADV_DONTNEED); errno != 0 {
			faults = append(faults, fmt.Errorf("madvise: %w", errno))
		}
	}
	return errors.Join(faults...)
}

// unchanged are the mappings of a program's file that cannot be written. A program with libraries beside it was written
// to before it began, and some of that was then made read-only (RELRO), as the addresses of the libraries' functions: of such a
// one the code alone is surely as it is in the file.
func unchanged(maps io.Reader, program string) (all []region, err error) {
	linked := false
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// 00400000-0070e000 r-xp 00000000 00:2c 1234   /sidecar
		fields := bytes.Fields(lines.Bytes())
		const columns = 6
		if len(fields) >= columns && bytes.Contains(fields[columns-1], []byte(".so")) {
			linked = true
		}
		if len(fields) < columns || string(fields[columns-1]) != program || bytes.ContainsRune(fields[1], 'w') {
			continue
		}
		first, last, _ := bytes.Cut(fields[0], []byte("-"))
		start, err := strconv.ParseUint(string(first), 16, strconv.IntSize)
		if err != nil {
			return nil, fmt.Errorf("/proc/self/maps: %w", err)
		}
		end, err := strconv.ParseUint(string(last), 16, strconv.IntSize)
		if err != nil || end <= start {
			return nil, fmt.Errorf("/proc/self/maps: %q is no region", fields[0])
		}
		all = append(all, region{uintptr(start), uintptr(end), bytes.ContainsRune(fields[1], 'x')})
	}
	if linked {
		all = slices.DeleteFunc(all, func(r region) bool { return !r.code })
	}
	return all, lines.Err() //nolint:wrapcheck // of a scanner
}
