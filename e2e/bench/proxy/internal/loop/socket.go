package loop

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// backlog is of listeners: thousands of connections are opened at once.
const backlog = 4096

// Listen takes a free port of 127.0.0.1.
func Listen() (fd int, addr netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, addr, fmt.Errorf("socket: %w", err)
	}
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, backlog))
	if err != nil {
		return 0, addr, errors.Join(fmt.Errorf("listen: %w", err), unix.Close(fd))
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, addr, errors.Join(fmt.Errorf("getsockname: %w", err), unix.Close(fd))
	}
	in4, _ := name.(*unix.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)), nil //nolint:gosec // G115: a port
}

// Accept takes one connection, or returns unix.EAGAIN.
func Accept(listener int) (int, error) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, err
	}
	return fd, noDelay(fd)
}

// Dial connects, and waits for it; only loopback is allowed.
func Dial(addr netip.AddrPort) (int, error) {
	if !addr.Addr().IsLoopback() || !addr.Addr().Is4() {
		return 0, fmt.Errorf("%s is not allowed: load goes to 127.0.0.0/8 alone", addr)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}); err != nil {
		return 0, errors.Join(fmt.Errorf("connect to %s: %w", addr, err), unix.Close(fd))
	}
	return fd, errors.Join(unix.SetNonblock(fd, true), noDelay(fd))
}

func noDelay(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }
