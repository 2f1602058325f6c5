package socket

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	var fault error
	err := raw.Control(func(fd uintptr) {
		fault = os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, milliseconds(d)))
	})
	return errors.Join(err, fault)
}

// milliseconds rounds up, for 0 would mean the default.
func milliseconds(d time.Duration) int {
	const most = 24 * 24 * time.Hour // the kernel counts milliseconds in an int
	return int((min(max(d, 0), most) + time.Millisecond - 1) / time.Millisecond)
}
