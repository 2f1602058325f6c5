// Package process starts the programs that are measured, each on one core, and reads what they used.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const stopWithin = 10 * time.Second

// Process is a program with its children.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
	once  sync.Once
	tree  []int
}

// Options say what is started.
type Options struct {
	Path string
	Args []string
	Env  []string // beside ours
	Dir  string
	CPU  int    // -1: where this program runs
	Nice int    // below 0 others on the machine disturb less, and are disturbed
	Out  string // file for what it prints
}

// Start starts a program on one core.
func Start(o Options) (*Process, error) {
	out, err := os.OpenFile(o.Out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	args := []string{"-n", strconv.Itoa(o.Nice)}
	if o.CPU >= 0 {
		args = append(args, "taskset", "-c", strconv.Itoa(o.CPU))
	}
	args = append(append(args, o.Path), o.Args...)
	cmd := exec.CommandContext(context.WithoutCancel(context.Background()), "nice", args...) //nolint:gosec // G204: programs of the benchmark
	cmd.Dir, cmd.Env = o.Dir, append(os.Environ(), o.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // Ctrl-C is ours to pass on
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Path, err)
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Ending is whether the program has ended.
func (p *Process) Ending() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Settle notes which processes belong to the program, once it serves.
func (p *Process) Settle() error {
	tree, err := descendants(p.cmd.Process.Pid)
	p.tree = tree
	return err
}

// Stop ends the program, first politely.
func (p *Process) Stop() error {
	var fault error
	p.once.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fault = err
		}
		select {
		case <-p.ended:
		case <-time.After(stopWithin):
			for _, pid := range append([]int{p.cmd.Process.Pid}, p.tree...) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			<-p.ended
		}
	})
	return fault
}

// Kill ends the program as a node that fails does: at once, and without a word.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it has ended: all the same
		<-p.ended
	})
}

// Spread lets the program run on these cores from now on.
func (p *Process) Spread(cpus ...int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	for _, pid := range p.tree {
		threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cores of thread %d: %w", id, err)
			}
		}
	}
	return nil
}
