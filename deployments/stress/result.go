package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// result is what came of a package.
type result struct {
	path         string
	wanted, runs int
	failed       int
	failures     map[string]int // how often each test failed
	broken       string         // why there was no run at all
	kept         string         // folder with what failed runs said
	took         time.Duration
}

func (r result) ok() bool { return r.failed == 0 && r.broken == "" }

// String is the line of the package, and one for each test that failed.
func (r result) String() string {
	switch {
	case r.broken != "":
		return fmt.Sprintf("FAIL  %s %s", r.path, r.broken)
	case r.ok():
		return fmt.Sprintf("ok    %s %d runs (%.1f s)", r.path, r.runs, r.took.Seconds())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "FAIL  %s %d of %d runs failed (%.1f s); what they said is in %s", r.path, r.failed, r.runs, r.took.Seconds(), r.kept)
	for _, name := range slices.Sorted(maps.Keys(r.failures)) {
		fmt.Fprintf(&b, "\n      %4d × %s", r.failures[name], name)
	}
	return b.String()
}

// summary repeats what failed, since it may stand far above, and is an error when something has.
func summary(all []result, out io.Writer) error {
	runs, bad := 0, 0
	for _, r := range all {
		runs += r.runs
		if !r.ok() {
			bad++
		}
	}
	fmt.Fprintf(out, "\n%d packages, %d runs\n", len(all), runs)
	if bad == 0 {
		return nil
	}
	for _, r := range all {
		if !r.ok() {
			fmt.Fprintln(out, r)
		}
	}
	return fmt.Errorf("%d of %d packages failed", bad, len(all))
}

// nameLimit bounds what is shown of a panic, in bytes.
const nameLimit = 200

var (
	failedLine = regexp.MustCompile(`^--- FAIL: (\S+)`)
	// After "panic: test timed out" the tests that were running stand each on a line of its own.
	hangingLine = regexp.MustCompile(`^\t\t(\S+) \(.*\)$`)
)

// failedTests are the names of the tests that failed or hung, and else what ended the run: a panic, a
// race outside of a test, a signal.
func failedTests(said []byte, err error) []string {
	var names []string
	hanging, panicked := false, ""
	for line := range strings.Lines(string(said)) {
		line = strings.TrimRight(line, "\r\n")
		if match := failedLine.FindStringSubmatch(line); match != nil {
			names = append(names, match[1])
			continue
		}
		if rest, ok := strings.CutPrefix(line, "panic: "); ok && panicked == "" {
			panicked, hanging = rest[:min(len(rest), nameLimit)], strings.HasPrefix(rest, "test timed out")
			continue
		}
		if match := hangingLine.FindStringSubmatch(line); hanging && match != nil {
			names = append(names, match[1]+" (hangs)")
		}
		hanging = hanging && line != "" // the list ends with an empty line
	}
	switch {
	case len(names) > 0:
	case panicked != "":
		names = []string{"panic: " + panicked}
	case bytes.Contains(said, []byte("WARNING: DATA RACE")):
		names = []string{"a data race outside of a test"}
	default:
		names = []string{fmt.Sprintf("no test by its name: %v", err)}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
