// Package loop is a bare event loop over epoll, of one thread. The load generator and the backend run
// on it: they share a core, and what they spend there must stay well below what a proxy spends, or
// else it is they who are measured.
package loop

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The events of a connection.
const (
	Readable = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	Writable = unix.EPOLLOUT
)

const eventsATurn = 256

// Handler is called when something happened on its descriptor.
type Handler interface {
	Ready(events uint32)
}

// Loop belongs to one goroutine.
type Loop struct {
	epoll    int
	handlers []Handler // by descriptor
	events   [eventsATurn]unix.EpollEvent
}

// New makes a loop. Close it.
func New() (*Loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &Loop{epoll: fd}, nil
}

// Close ends the loop; the descriptors stay open.
func (l *Loop) Close() error { return unix.Close(l.epoll) }

// Add has h called for the events of fd.
func (l *Loop) Add(fd int, events uint32, h Handler) error {
	for len(l.handlers) <= fd {
		l.handlers = append(l.handlers, nil)
	}
	l.handlers[fd] = h
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}) //nolint:gosec // G115: a descriptor is small
}

// Change sets the events of fd that h is called for.
func (l *Loop) Change(fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}) //nolint:gosec // G115: a descriptor is small
}

// Remove forgets fd and closes it.
func (l *Loop) Remove(fd int) {
	if fd < len(l.handlers) {
		l.handlers[fd] = nil
	}
	_ = unix.Close(fd)
}

// Wait calls the handlers of what happened, or returns when nothing did within the timeout.
func (l *Loop) Wait(timeout time.Duration) error {
	n, err := l.wait(timeout)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for i := range n {
		e := &l.events[i]
		if h := l.handlers[e.Fd]; h != nil {
			h.Ready(e.Events)
		}
	}
	return nil
}

// wait is epoll_pwait2, whose timeout is finer than a millisecond.
func (l *Loop) wait(timeout time.Duration) (int, error) {
	limit := unix.NsecToTimespec(int64(max(timeout, 0)))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])), eventsATurn, //nolint:gosec // G103: the kernel fills the array
		uintptr(unsafe.Pointer(&limit)), 0, 0) //nolint:gosec // G103: the kernel reads the struct
	if errno == unix.ENOSYS { // a kernel before 5.11
		return unix.EpollWait(l.epoll, l.events[:], int((max(timeout, 0)+time.Millisecond-1)/time.Millisecond))
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
