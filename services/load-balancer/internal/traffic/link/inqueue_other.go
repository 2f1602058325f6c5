//go:build !linux

package link

import "syscall"

// inQueue is not known here.
func inQueue(syscall.RawConn) (int, bool) { return 0, false }
