// Package testsettings holds, for tests, the table of settings in a service's manual to the settings that it has.
package testsettings

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// usage finds a setting in what -help prints, and cell the names in a table's first cell.
var (
	usage = regexp.MustCompile(`(?m)^  -(\S+)(?: \w+)?\n.*environment NEMESIS_`)
	cell  = regexp.MustCompile("`-?([a-z0-9-]+)`")
)

// Documented fails the test unless the part of the page that begins with the heading "## Settings" has exactly
// the settings that these texts of -help name.
func Documented(tb testing.TB, page string, help ...string) {
	tb.Helper()
	text, err := os.ReadFile(page) //nolint:gosec // G304: the test names it
	if err != nil {
		tb.Fatal(err)
	}
	for _, fault := range differences(string(text), help...) {
		tb.Errorf("%s: %s", page, fault)
	}
}

func differences(page string, help ...string) (faults []string) {
	_, part, found := strings.Cut(page, "\n## Settings")
	if !found {
		return []string{"there is no part with the heading \"## Settings\""}
	}
	part, _, _ = strings.Cut(part, "\n## ")
	there, has := map[string]bool{}, map[string]bool{}
	for line := range strings.SplitSeq(part, "\n") {
		if first, rest, row := strings.Cut(strings.TrimPrefix(line, "|"), "|"); row && rest != "" {
			for _, name := range cell.FindAllStringSubmatch(first, -1) {
				there[name[1]] = true
			}
		}
	}
	for _, text := range help {
		for _, name := range usage.FindAllStringSubmatch(text, -1) {
			has[name[1]] = true
		}
	}
	if len(has) == 0 {
		return []string{"-help names no setting"}
	}
	for _, name := range slices.Sorted(maps.Keys(has)) {
		if !there[name] {
			faults = append(faults, "the setting "+name+" is not in the table")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if !has[name] {
			faults = append(faults, "the table has "+name+", which is no setting")
		}
	}
	return faults
}
