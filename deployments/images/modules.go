package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/mod/module"

	"github.com/nemesis-scaling/nemesis/deployments/internal/licences"
)

// moduleCache is where Go keeps the modules that it builds with.
var moduleCache = sync.OnceValues(func() (string, error) {
	said, err := exec.CommandContext(context.Background(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMODCACHE: %w", err)
	}
	return strings.TrimSpace(string(said)), nil
})

// moduleLicence reads the licence of a module that a program was built from: its text lies in the module
// cache, since the build needed the module. What cannot be read is said to be unknown, as SPDX has it;
// `make verify` is where an unknown licence fails.
func moduleLicence(path, version string) (string, error) {
	cache, err := moduleCache()
	if err != nil {
		return "", err
	}
	escaped, err := module.EscapePath(path)
	if err != nil {
		return "", err
	}
	escapedVersion, err := module.EscapeVersion(version)
	if err != nil {
		return "", err
	}
	ids, err := licences.OfModule(filepath.Join(cache, filepath.FromSlash(escaped)+"@"+escapedVersion))
	if err != nil {
		return "NOASSERTION", nil //nolint:nilerr // as above
	}
	return licences.Expression(ids), nil
}

// replace writes a file whole or not at all, and not when it holds this already.
func replace(path string, content []byte) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == string(content) { //nolint:gosec // a build output
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // build outputs are for everybody to read
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
