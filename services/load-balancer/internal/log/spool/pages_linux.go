package spool

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget has the page cache give back what it holds of a file. What is written once and read once
// would else push out what others read often, count as this container's memory, and have every new
// page found anew, which costs more than the writing itself.
func forget(f *os.File) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) }) // it is advice
	}
}
