package link

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// inQueue is how many bytes have come that were not read from the system.
func inQueue(raw syscall.RawConn) (n int, known bool) {
	var err error
	fault := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return n, fault == nil && err == nil
}
