package link

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// Hangups tells when the other side of a connection has closed it, or says that it sends no more,
// while nobody reads: one watch for all connections, which costs nothing while nothing happens.
type Hangups struct {
	epoll *os.File
	raw   syscall.RawConn // of epoll

	mu      sync.Mutex
	next    uint64
	watched map[uint64]watched
}

// watched is a connection, and who is told of it.
type watched struct {
	left func(whole bool)
	half bool // it is told that the other side sends no more
}

// NewHangups makes a watch. Run it, and Close it.
func NewHangups() (*Hangups, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch connections: %w", err)
	}
	_ = syscall.SetNonblock(fd, true) // so that the file below waits without a thread
	h := &Hangups{epoll: os.NewFile(uintptr(fd), "hangups"), watched: map[uint64]watched{}}
	if h.raw, err = h.epoll.SyscallConn(); err != nil {
		_ = h.epoll.Close()
		return nil, fmt.Errorf("watch connections: %w", err)
	}
	return h, nil
}

// Run tells until Close.
func (h *Hangups) Run() {
	var events [64]syscall.EpollEvent
	_ = h.raw.Read(func(fd uintptr) bool {
		for {
			n, err := syscall.EpollWait(int(fd), events[:], 0)
			if n <= 0 || err != nil {
				return false
			}
			for _, e := range events[:n] {
				whole := e.Events&(syscall.EPOLLERR|syscall.EPOLLHUP) != 0
				if left := h.take(idOf(e), whole); left != nil {
					left(whole)
				}
			}
		}
	})
}

// take gives who is to be told; nil when that was done. It ends the watch when nothing can follow.
func (h *Hangups) take(id uint64, whole bool) func(bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.watched[id]
	if w.half && !whole {
		return nil
	}
	if whole {
		delete(h.watched, id)
	} else if w.left != nil {
		w.half = true
		h.watched[id] = w
	}
	return w.left
}

// Close ends Run.
func (h *Hangups) Close() { _ = h.epoll.Close() }

// Watch has left called when the other side sends no more, and when the connection is broken as a
// whole, which may follow or come alone; each once, and by Run's goroutine, so it must return at once.
// The id is for Forget; 0: the connection cannot be watched.
func (h *Hangups) Watch(c *Conn, left func(whole bool)) (id uint64) {
	raw, err := socket.Raw(c.nc)
	if err != nil {
		return 0
	}
	return h.watch(raw, left)
}

func (h *Hangups) watch(raw syscall.RawConn, left func(bool)) uint64 {
	h.mu.Lock()
	h.next++
	id := h.next
	h.watched[id] = watched{left: left}
	h.mu.Unlock()
	if !h.add(raw, id) {
		h.Forget(id)
		return 0
	}
	return id
}

// add has the system watch. Both descriptors are held meanwhile: after Close the number of the first
// may be another's.
func (h *Hangups) add(raw syscall.RawConn, id uint64) (added bool) {
	e := syscall.EpollEvent{Events: syscall.EPOLLRDHUP | edge, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))} //nolint:gosec // G115: the halves of a number
	_ = h.raw.Control(func(epoll uintptr) {
		_ = raw.Control(func(fd uintptr) {
			added = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_ADD, int(fd), &e) == nil
		})
	})
	return added
}

// Forget ends a watch; the system ends its part when the connection is closed.
func (h *Hangups) Forget(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watched, id)
}

// edge is EPOLLET, which is a negative number in package syscall.
const edge = 1 << 31

func idOf(e syscall.EpollEvent) uint64 {
	return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 //nolint:gosec // G115: the halves of a number
}
