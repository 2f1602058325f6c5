// Package gobuild runs `go build` so that the same source gives the same program on every machine:
// the toolchain that go.mod names, no C unless it is told, no workspace, no paths of the machine; of version and commit
// what it is told. It decides nothing about what is built.
package gobuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Program is one main package.
type Program struct {
	Module   string // its module's folder
	Package  string // relative to the module, "./cmd/load-balancer"
	Arch     string // GOARCH
	Tags     string // build tags, with commas between; "" are none
	Compiler string // of C, for a program that needs it; "" is none, and a program of the same bytes on every machine
	Stamp    Stamp  // what it says about itself
}

// saidLimit bounds how much of a failed build's output an error carries, in bytes; compilers name the
// first faults first.
const saidLimit = 8 << 10

// lazily has functions of libraries looked up when they are called first, as those of a library that is loaded later need.
const lazily = "-Wl,-z,lazy"

// Compile writes the linux program to out. An unchanged program comes from Go's build cache.
func Compile(ctx context.Context, program Program, out string) error {
	toolchain, err := Toolchain(program.Module)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil { //nolint:gosec // build outputs are for everybody to read
		return err
	}
	//nolint:gosec // the package and the output are named by this repository
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags="+program.Tags, "-ldflags="+program.Stamp.ldflags(), "-o", out, program.Package)
	command.Dir = program.Module
	command.Env = append(os.Environ(),
		"GOTOOLCHAIN="+toolchain, "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+program.Arch)
	if program.Compiler != "" {
		command.Env = append(command.Env, "CGO_ENABLED=1", "CC="+program.Compiler, "CGO_LDFLAGS="+lazily)
	}
	// A group of its own, so that the compilers end with the go command when the build is cancelled.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	said, err := command.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("the go command is not installed; any version from 1.21 on fetches the one that is needed")
	}
	said = bytes.TrimSpace(said)
	return fmt.Errorf("go build %s in %s: %w\n%s", program.Package, program.Module, err, said[:min(len(said), saidLimit)])
}

var goLine = regexp.MustCompile(`(?m)^go (\d+\.\d+\.\d+)\r?$`)

// Toolchain is the version that a module's go.mod asks for, as GOTOOLCHAIN wants it: "go1.26.9".
func Toolchain(module string) (string, error) {
	path := filepath.Join(module, "go.mod")
	content, err := os.ReadFile(path) //nolint:gosec // a go.mod of this repository
	if err != nil {
		return "", err
	}
	match := goLine.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s has no line \"go X.Y.Z\"", path)
	}
	return "go" + string(match[1]), nil
}
