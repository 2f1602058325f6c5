package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// testPackage is a package that has tests.
type testPackage struct {
	path   string // its import path
	folder string
}

// withTests is the line that go list writes of a package that has tests, and nothing of another.
const withTests = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{"\t"}}{{.Dir}}{{end}}`

// list finds the packages of a module that have tests.
func list(ctx context.Context, module string, o options) ([]testPackage, error) {
	folder, err := filepath.Abs(module)
	if err != nil {
		return nil, err
	}
	//nolint:gosec // the caller's own packages
	command := exec.CommandContext(ctx, "go", "list", "-tags", o.tags, "-f", withTests, o.pattern)
	command.Dir = folder
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list %s of %s: %w\n%s", o.pattern, module, err, bytes.TrimSpace(said.Bytes()))
	}
	return readList(string(out)), nil
}

func readList(text string) []testPackage {
	var packages []testPackage
	for line := range strings.Lines(text) {
		if path, folder, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			packages = append(packages, testPackage{path, folder})
		}
	}
	return packages
}
