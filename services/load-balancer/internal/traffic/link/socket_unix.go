//go:build unix

package link

import (
	"errors"
	"syscall"
)

// canWait: sockets can be waited for without a buffer.
const canWait = true

// silent tells whether a socket is open and has nothing to read. Nothing is taken from it.
func silent(raw syscall.RawConn) bool {
	_, err := peek(raw)
	return errors.Is(err, syscall.EAGAIN)
}

// ended tells whether there is nothing to read any more: the other side has ended, or reset it.
func ended(raw syscall.RawConn) bool {
	n, err := peek(raw)
	return err == nil && n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN)
}

// peek looks at the next byte without waiting, and leaves it.
func peek(raw syscall.RawConn) (n int, err error) {
	fault := raw.Control(func(fd uintptr) {
		var b [1]byte
		for {
			n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	})
	if fault != nil {
		return 0, fault
	}
	return n, err
}
