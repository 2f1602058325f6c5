//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package spool

import (
	"fmt"
	"os"
	"syscall"
)

// acquire takes the folder for this process: until the file is closed or the process ends, however
// it ends.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode) //nolint:gosec // G304: the operator names the folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("the folder is in use by another process (%s is locked): give each load balancer its own: %w", path, err)
	}
	return f, nil
}
