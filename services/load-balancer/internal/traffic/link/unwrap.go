package link

import (
	"net"
	"syscall"
)

// underlying is the socket below what wraps it.
func underlying(nc net.Conn) (syscall.RawConn, bool) {
	for range 4 {
		switch c := nc.(type) {
		case *net.TCPConn:
			raw, err := c.SyscallConn()
			return raw, err == nil
		case interface{ NetConn() net.Conn }: // crypto/tls
			nc = c.NetConn()
		case interface{ Raw() net.Conn }: // the PROXY protocol's
			nc = c.Raw()
		default:
			return nil, false
		}
	}
	return nil, false
}
