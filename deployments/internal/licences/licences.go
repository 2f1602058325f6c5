// Package licences reads under which licences Go modules stand, from the texts that they bring. It
// knows the texts (google/licensecheck); which licences are fine is decided elsewhere.
package licences

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// enough of a file must be the text of known licences, in percent; below it more may be said than what
// was recognised.
const enough = 75

// named are the files that hold a module's licence. NOTICE and PATENTS add to one and are none.
var named = regexp.MustCompile(`(?i)^(licen[sc]e|copying|unlicense)([-._].*)?$`)

// source is a program: its name may begin like a licence's.
var source = regexp.MustCompile(`\.(go|s|sh|py|ya?ml|json|tmpl|tpl|header)$`)

// Between collects the licences in a folder and in those above it, up to root. Each is named as SPDX
// does; they are sorted. A text that is not known, and a module without one, is an error.
func Between(folder, root string) ([]string, error) {
	if !within(folder, root) {
		return nil, fmt.Errorf("%s is not below %s", folder, root)
	}
	var found []string
	for at := folder; ; at = filepath.Dir(at) {
		ids, err := in(at)
		if err != nil {
			return nil, err
		}
		found = append(found, ids...)
		if at == root {
			break
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no file with a licence", root)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// OfModule are the licences at a module's root.
func OfModule(root string) ([]string, error) { return Between(root, root) }

// Expression is these licences as one of SPDX: each text that a module brings counts.
func Expression(ids []string) string { return strings.Join(ids, " AND ") }

func within(folder, root string) bool {
	relative, err := filepath.Rel(root, folder)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// in are the licences in the files of one folder.
func in(folder string) (found []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.IsDir() || !named.MatchString(entry.Name()) || source.MatchString(entry.Name()) {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		text, err := os.ReadFile(path) //nolint:gosec // a module that this repository is built with
		if err != nil {
			return nil, err
		}
		coverage := licensecheck.Scan(text)
		if len(coverage.Match) == 0 || coverage.Percent < enough {
			return nil, fmt.Errorf("%s holds no licence that is known (%.0f%% of it recognised)", path, coverage.Percent)
		}
		for _, match := range coverage.Match {
			found = append(found, match.ID)
		}
	}
	return found, nil
}
