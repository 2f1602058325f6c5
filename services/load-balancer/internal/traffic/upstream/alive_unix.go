//go:build unix

package upstream

import (
	"errors"
	"syscall"
)

// nothingToRead tells whether a socket is open and silent. Nothing is taken from it.
func nothingToRead(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if !errors.Is(err, syscall.EINTR) {
			return errors.Is(err, syscall.EAGAIN)
		}
	}
}
