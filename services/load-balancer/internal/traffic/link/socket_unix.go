//go:build unix

package link

import (
	"errors"
	"syscall"
)

// canWait: sockets can be waited for without a buffer.
const canWait = true

// read reads once, without waiting.
func read(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

// silent tells whether a socket is open and has nothing to read. Nothing is taken from it.
func silent(raw syscall.RawConn) bool {
	stands := false
	err := raw.Control(func(fd uintptr) {
		var b [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(err, syscall.EINTR) {
				stands = errors.Is(err, syscall.EAGAIN)
				return
			}
		}
	})
	return err == nil && stands
}
