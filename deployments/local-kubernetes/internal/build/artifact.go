// Package build makes the cluster's binaries from their Go modules, once: a binary is built again
// only when something that decides its content has changed. It does not know what the binaries are
// for, and starts none of them.
package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Artifact is what one `go build` makes: one or more programs of one module.
type Artifact struct {
	Name     string
	Module   string            // the module's folder
	Packages map[string]string // program -> package path
	LDFlags  string
	Usual    time.Duration // what a build from nothing took on two cores; shown to the waiting
	Into     string        // the folder for the programs
}

// stamp is kept beside the programs and says what they were built from.
type stamp struct {
	Hash string        `json:"hash"`
	Took time.Duration `json:"tookNanoseconds"`
}

func (a *Artifact) stampFile() string { return filepath.Join(a.Into, "."+a.Name+".stamp") }

func (a *Artifact) programs() []string {
	names := make([]string, 0, len(a.Packages))
	for name := range a.Packages {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// UpToDate reports whether the programs exist and were built from what is there now.
func (a *Artifact) UpToDate() (bool, error) {
	hash, err := a.Hash()
	if err != nil {
		return false, err
	}
	raw, err := os.ReadFile(a.stampFile())
	if err != nil {
		return false, nil //nolint:nilerr // no stamp: never built
	}
	var have stamp
	if err := json.Unmarshal(raw, &have); err != nil || have.Hash != hash {
		return false, nil //nolint:nilerr // a broken stamp, or one of another build
	}
	for _, name := range a.programs() {
		if _, err := os.Stat(filepath.Join(a.Into, name)); err != nil {
			return false, nil //nolint:nilerr // removed by hand: build again
		}
	}
	return true, nil
}

// Hash covers all that decides the programs' content: go.mod, go.sum and the module's own Go files,
// the toolchain, the flags and the packages. The dependencies' content is pinned by
// go.sum.
func (a *Artifact) Hash() (string, error) {
	files := []string{filepath.Join(a.Module, "go.mod"), filepath.Join(a.Module, "go.sum")}
	sources, err := goFiles(a.Module)
	if err != nil {
		return "", fmt.Errorf("sources of %s: %w", a.Name, err)
	}
	sum := sha256.New()
	for _, path := range append(files, sources...) {
		content, err := os.ReadFile(path) //nolint:gosec // a source file
		if err != nil {
			return "", fmt.Errorf("source of %s: %w", a.Name, err)
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.Base(path), len(content))
		sum.Write(content)
	}
	toolchain, err := a.toolchain()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(sum, "%s\n%s\n", toolchain, strings.Join(a.flags(), "\x00"))
	for _, name := range a.programs() {
		fmt.Fprintf(sum, "%s=%s\n", name, a.Packages[name])
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// goFiles lists the Go files of a module in a fixed order.
func goFiles(module string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".go" {
			found = append(found, path)
		}
		return err
	})
	slices.Sort(found)
	return found, err
}

func (a *Artifact) flags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-ldflags", a.LDFlags}
}

var goLine = regexp.MustCompile(`(?m)^go (\d+\.\d+\.\d+)$`)

// toolchain is the one that go.mod names, so that every machine builds with the same.
func (a *Artifact) toolchain() (string, error) {
	path := filepath.Join(a.Module, "go.mod")
	content, err := os.ReadFile(path) //nolint:gosec // a source file
	if err != nil {
		return "", fmt.Errorf("toolchain of %s: %w", a.Name, err)
	}
	match := goLine.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s: no line \"go X.Y.Z\"", path)
	}
	return "go" + string(match[1]), nil
}

func (a *Artifact) writeStamp(took time.Duration) error {
	hash, err := a.Hash()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(stamp{Hash: hash, Took: took})
	if err != nil {
		return fmt.Errorf("stamp of %s: %w", a.Name, err)
	}
	return os.WriteFile(a.stampFile(), append(raw, '\n'), 0o600)
}

// Tail keeps the last bytes written to it: what a failed command said.
type tail struct {
	limit int
	kept  []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = t.kept[over:]
	}
	return len(p), nil
}
