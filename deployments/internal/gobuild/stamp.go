package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Stamp is what a program of this repository says about itself, and its image with it.
type Stamp struct {
	Version  string // the file VERSION at the repository's root
	Revision string // the commit, "-dirty" added when files have changed since; "unknown" without git
}

// semantic is a version without the "v" that tags begin with.
var semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// ReadStamp says what is built when it is built from this repository now.
func ReadStamp(ctx context.Context, root string) (Stamp, error) {
	path := filepath.Join(root, "VERSION")
	content, err := os.ReadFile(path) //nolint:gosec // a file of this repository
	if err != nil {
		return Stamp{}, err
	}
	version := strings.TrimSpace(string(content))
	if !semantic.MatchString(version) {
		return Stamp{}, fmt.Errorf("%s holds %q; it must be one version such as 1.2.3 or 1.2.3-rc.1", path, version)
	}
	return Stamp{Version: version, Revision: revision(ctx, root)}, nil
}

// revision asks git, and is content without: a downloaded source has none. A repository around the
// root knows nothing of it.
func revision(ctx context.Context, root string) string {
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		return "unknown"
	}
	command := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") //nolint:gosec // the folder is the repository's
	said, err := command.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(said))
}

// variables is the package that holds what the linker sets.
const variables = "github.com/nemesis-scaling/nemesis/pkg/build."

// ldflags strips the symbols and sets the variables. A program without that package is linked all
// the same.
func (s Stamp) ldflags() string {
	flags := "-s -w"
	if s.Version != "" {
		flags += " -X " + variables + "version=" + s.Version
	}
	if s.Revision != "" {
		flags += " -X " + variables + "revision=" + s.Revision
	}
	return flags
}
