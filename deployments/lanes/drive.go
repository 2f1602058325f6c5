package main

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const (
	niceness = 15              // of all lanes but the last
	farewell = 2 * time.Minute // for a target that was asked to end, which may have a cluster to take down
)

// drive runs the targets of one lane.
func drive(ctx context.Context, o options, lane int, parts []*part) {
	for _, p := range parts {
		if p.lane != lane {
			continue
		}
		if ctx.Err() != nil {
			p.end(0, errNotBegun)
			continue
		}
		began := time.Now()
		err := start(ctx, o, lane, p)
		p.end(time.Since(began), err)
	}
}

// start makes a target and waits for its end. The target is a process group of its own, so that a signal
// comes to all of it once, from here.
func start(ctx context.Context, o options, lane int, p *part) error {
	line := []string{o.make, p.name}
	if lane < len(o.lanes)-1 {
		line = append([]string{"nice", "-n", strconv.Itoa(niceness)}, line...)
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // G204: it is what the caller names
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = farewell
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	if ctx.Err() != nil && err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever did not listen; mostly there is nobody left
		return errors.New("was asked to end")
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it is good, and left something running that holds its output
		return nil
	}
	return err
}
