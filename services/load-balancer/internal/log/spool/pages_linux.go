package spool

import (
	"os"
	"syscall"
)

// dontNeed is POSIX_FADV_DONTNEED.
const dontNeed = 4

// forget has the page cache give back what it holds of a file, from an offset on, as far as that has
// reached the device. What is written once and read once would else push out what others read often,
// count as this container's memory, and have every new page found anew, which costs more than the
// writing itself.
func forget(f *os.File, from, size int64) {
	if size <= 0 {
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall6(syscall.SYS_FADVISE64, fd, uintptr(from), uintptr(size), dontNeed, 0, 0) //nolint:gosec // both are positive; it is advice
	})
}
