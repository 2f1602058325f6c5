package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Job is one running build; its counts may be read while it runs.
type Job struct {
	Artifact *Artifact
	Started  time.Time

	total, done atomic.Int64
}

// NewJob prepares the build of one artifact; Run does it.
func NewJob(a *Artifact) *Job { return &Job{Artifact: a, Started: time.Now()} }

// String says how far the build is, in a few words.
func (j *Job) String() string {
	switch total, done := j.total.Load(), j.done.Load(); {
	case total == 0:
		return "fetching modules"
	case done >= total:
		return fmt.Sprintf("%d packages compiled, linking", total)
	default:
		return fmt.Sprintf("package %d of %d", done, total)
	}
}

// Run builds into a folder beside the programs and moves them into place only when all of them are
// built, so that an interrupted build leaves the old ones.
func (j *Job) Run(ctx context.Context) error {
	a := j.Artifact
	toolchain, err := a.toolchain()
	if err != nil {
		return err
	}
	fresh := filepath.Join(a.Into, ".building-"+a.Name)
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("build of %s: %w", a.Name, err)
	}
	defer os.RemoveAll(fresh)
	if err := os.MkdirAll(fresh, 0o750); err != nil {
		return fmt.Errorf("build of %s: %w", a.Name, err)
	}
	environ := append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=")
	if err := j.count(ctx, environ); err != nil {
		return err
	}
	if err := j.compile(ctx, environ, fresh); err != nil {
		return err
	}
	for _, name := range a.programs() {
		built := filepath.Join(fresh, filepath.Base(a.Packages[name]))
		if a.Packages[name] == "." {
			built = filepath.Join(fresh, name)
		}
		if err := os.Rename(built, filepath.Join(a.Into, name)); err != nil {
			return fmt.Errorf("build of %s: %w", a.Name, err)
		}
	}
	return a.writeStamp(time.Since(j.Started))
}

// count asks which packages are not in Go's build cache. That is the m of "n of m".
func (j *Job) count(ctx context.Context, environ []string) error {
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, j.Artifact.flags()...)
	var stale int64
	err := j.goCommand(ctx, environ, append(args, j.packages()...), func(string) { stale++ }, nil)
	j.total.Store(max(stale, 1))
	return err
}

func (j *Job) compile(ctx context.Context, environ []string, into string) error {
	a := j.Artifact
	out := into + string(filepath.Separator)
	if len(a.Packages) == 1 {
		out = filepath.Join(into, a.programs()[0])
	}
	args := append([]string{"build", "-v", "-o", out}, a.flags()...)
	return j.goCommand(ctx, environ, append(args, j.packages()...), nil, func(line string) {
		// With -v the go command names each package on a line of its own as it begins with it.
		if !strings.ContainsAny(line, " #:") {
			j.done.Add(1)
		}
	})
}

func (j *Job) packages() []string {
	programs := j.Artifact.programs()
	paths := make([]string, 0, len(programs))
	for _, name := range programs {
		paths = append(paths, j.Artifact.Packages[name])
	}
	return paths
}

func (j *Job) goCommand(ctx context.Context, environ, args []string, onOut, onErr func(string)) error {
	command := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are those of this package
	command.Dir = j.Artifact.Module
	command.Env = environ
	// A group of its own: the compilers end with the go command when the build is cancelled.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	said := &tail{limit: 4096}
	outLines, errLines := newLineWriter(onOut), newLineWriter(onErr)
	command.Stdout = outLines
	command.Stderr = io.MultiWriter(said, errLines)
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("the go command is not installed (any version from 1.21 will fetch the one that is needed): https://go.dev/dl/")
		}
		return fmt.Errorf("build of %s: go %s: %w\n%s", j.Artifact.Name, args[0], err, strings.TrimSpace(string(said.kept)))
	}
	return nil
}

// lineWriter calls back for every whole line.
type lineWriter struct {
	pending []byte
	call    func(string)
}

func newLineWriter(call func(string)) *lineWriter { return &lineWriter{call: call} }

func (w *lineWriter) Write(p []byte) (int, error) {
	if w.call == nil {
		return len(p), nil
	}
	w.pending = append(w.pending, p...)
	for {
		advance, line, _ := bufio.ScanLines(w.pending, false)
		if advance == 0 {
			return len(p), nil
		}
		if len(line) > 0 {
			w.call(string(line))
		}
		w.pending = w.pending[advance:]
	}
}
