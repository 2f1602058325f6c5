//go:build linux && (amd64 || arm64) && !race

package link

import (
	"syscall"
	"unsafe"
)

// read reads once, without waiting; again: there is nothing to read now.
//
// It and write ask the socket itself: read(2) goes through what files have besides. Neither ever
// waits, so the scheduler is told of neither: that would cost more than it could gain. With the race detector
// they are package syscall's, which say that what was written before is seen after it was read.
func read(fd uintptr, p []byte) (n int, again bool, err error) {
	return transfer(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

// write writes once, without waiting; again: nothing can be written now.
func write(fd uintptr, p []byte) (n int, again bool, err error) {
	return transfer(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func transfer(call, fd uintptr, p []byte, flags uintptr) (n int, again bool, err error) {
	for {
		done, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0) //nolint:gosec // G103: package syscall has neither call for a connected socket without an address
		switch errno {
		case 0:
			return int(done), false, nil
		case syscall.EAGAIN:
			return 0, true, nil
		case syscall.EINTR:
		default:
			return 0, false, errno
		}
	}
}
