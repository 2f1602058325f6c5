package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// result is what came of a target.
type result struct {
	target
	ok   bool
	what string
}

// String is the target's line.
func (r result) String() string {
	verdict := "FAIL"
	if r.ok {
		verdict = "ok"
	}
	return fmt.Sprintf("%-5s %s %s: %s", verdict, r.path, r.name, r.what)
}

// fuzz builds the target's package with what the fuzzer is guided by, and runs it.
func (o options) fuzz(ctx context.Context, t target, each time.Duration, scratch string) result {
	r := result{target: t}
	folder, err := goCommand(ctx, t.module, "list", "-f", "{{.Dir}}", t.path)
	if err != nil {
		r.what = err.Error()
		return r
	}
	program := filepath.Join(scratch, strings.ReplaceAll(t.path, "/", "_"))
	if _, err := os.Stat(program); err != nil { // another target of the package made it
		if _, err := goCommand(ctx, t.module, "test", "-c", "-fuzz", ".", "-o", program, t.path); err != nil {
			r.what = "does not build: " + err.Error()
			return r
		}
	}
	//nolint:gosec // built above
	command := exec.CommandContext(ctx, program, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+each.String(),
		"-test.fuzzcachedir="+filepath.Join(o.cache, t.path), "-test.timeout=0", "-test.paniconexit0")
	command.Dir = folder
	command.Env = append(os.Environ(), "PWD="+folder)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it ends its workers
	command.WaitDelay = 10 * time.Second
	said, err := command.CombinedOutput()
	r.ok, r.what = outcome(string(said), err)
	if !r.ok {
		if kept, err := o.keep(t, said); err == nil {
			r.what += "; what it said is in " + kept
		}
	}
	return r
}

func goCommand(ctx context.Context, folder string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...) //nolint:gosec // G204: the arguments are ours
	command.Dir = folder
	said, err := command.CombinedOutput()
	text := string(bytes.TrimSpace(said))
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, text)
	}
	return text, nil
}

var (
	progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+) \(total: (\d+)\)`)
	written  = regexp.MustCompile(`Failing input written to (\S+)`)
	seed     = regexp.MustCompile(`failure while testing seed corpus entry: (\S+)`)
)

// outcome says what a run came to.
func outcome(said string, err error) (ok bool, what string) {
	what = "nothing was run"
	if all := progress.FindAllStringSubmatch(said, -1); len(all) > 0 {
		last := all[len(all)-1]
		what = fmt.Sprintf("%s inputs, %s new of %s of value", last[1], last[2], last[3])
	}
	switch {
	case err == nil:
		return true, what
	case written.MatchString(said):
		return false, what + "; failed by " + written.FindStringSubmatch(said)[1]
	case seed.MatchString(said):
		return false, "failed by what is known: " + seed.FindStringSubmatch(said)[1]
	case strings.Contains(said, "context deadline exceeded"):
		// The fuzzer's own end, when it falls between two inputs: nothing failed.
		return true, what
	}
	return false, fmt.Sprintf("%s; %v", what, err)
}

// keep writes what a target said where it can be read, and returns where.
func (o options) keep(t target, said []byte) (string, error) {
	if err := os.MkdirAll(o.out, 0o755); err != nil { //nolint:gosec // for everybody to read, as other build outputs
		return "", err
	}
	name := filepath.Join(o.out, strings.ReplaceAll(t.path, "/", "_")+"."+t.name+".log")
	return name, os.WriteFile(name, said, 0o600)
}
