package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stress builds the tests of a package once and runs them again and again under load.
func (o options) stress(ctx context.Context, p testPackage, scratch string) result {
	began := time.Now()
	r := result{path: p.path, wanted: o.count, failures: map[string]int{}}
	program := filepath.Join(scratch, "package.test")
	//nolint:gosec // the caller's own packages
	build := exec.CommandContext(ctx, "go", "test", "-c", "-race", "-tags", o.tags, "-o", program, ".")
	build.Dir = p.folder
	if said, err := build.CombinedOutput(); ctx.Err() != nil {
		return r
	} else if err != nil {
		r.broken = fmt.Sprintf("does not build: %v\n%s", err, said[:min(len(said), saidLimit)])
		return r
	}
	stop := busy(o.load)
	defer stop()
	for range o.count {
		if ctx.Err() != nil {
			break
		}
		said, err := o.once(ctx, p, program, scratch)
		if ctx.Err() != nil {
			break // it was interrupted, and has not failed
		}
		r.runs++
		if err != nil {
			r.failed++
			for _, name := range failedTests(said, err) {
				r.failures[name]++
			}
			if kept, err := o.keep(p, r.runs, said); err == nil {
				r.kept = kept
			}
		}
	}
	_ = os.Remove(program)
	r.took = time.Since(began)
	return r
}

// grace is what a run has beyond its limit to say where it hangs.
const grace = time.Minute

// saidLimit bounds what is shown of a build that failed, in bytes.
const saidLimit = 8 << 10

// once runs the tests of a package once, and returns what they said.
func (o options) once(ctx context.Context, p testPackage, program, scratch string) ([]byte, error) {
	// A file and not a pipe: a process that a test has left behind would hold a pipe open for ever.
	file, err := os.Create(filepath.Join(scratch, "said")) //nolint:gosec // in a folder of our own
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	// The tests end themselves at the limit and say where they hang; this is for one that cannot even that.
	ctx, cancel := context.WithTimeout(ctx, o.limit+grace)
	defer cancel()
	//nolint:gosec // built above
	command := exec.CommandContext(ctx, program, "-test.paniconexit0", "-test.timeout="+o.limit.String(), "-test.run="+o.tests)
	command.Dir, command.Stdout, command.Stderr = p.folder, file, file
	command.Env = append(os.Environ(), "PWD="+p.folder)
	// A group of its own, so that what the tests have started ends with them.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	failed := command.Run()
	if command.Process != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	}
	said, err := os.ReadFile(file.Name())
	if failed != nil {
		return said, failed
	}
	return said, err
}

// keep writes what a failed run said where it can be read, and returns where.
func (o options) keep(p testPackage, run int, said []byte) (string, error) {
	folder := filepath.Join(o.out, strings.ReplaceAll(p.path, "/", "_"))
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // for everybody to read, as other build outputs
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.log", run)), said, 0o600)
}
