package cluster

import (
	"context"
	"os/exec"
	"syscall"
)

// command is a program that ends with this one, even when this one is killed.
func command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	made := exec.CommandContext(ctx, program, arguments...) //nolint:gosec // only programs that were built here
	made.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return made
}
