package upstream

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var errHeadTooLarge = errors.New("the answer's head is too large")

// conn is one connection to a pod.
type conn struct {
	net.Conn
	address   string
	br        *bufio.Reader
	bw        *bufio.Writer
	written   atomic.Int64  // bytes of the request that is being sent
	silence   time.Duration // how long the pod may neither take nor send a byte, for this request
	headLeft  int64         // bytes that a head may still have; -1 while no head is read
	used      bool          // it carried a request before
	idleSince time.Time
	raw       syscall.RawConn
	stands    bool
	look      func(fd uintptr) bool
	closing   sync.Once
}

func newConn(nc net.Conn, address string) *conn {
	cn := &conn{Conn: nc, address: address, headLeft: -1}
	cn.br, cn.bw = bufio.NewReader(cn), bufio.NewWriter(cn)
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			cn.raw = raw
			cn.look = func(fd uintptr) bool { cn.stands = nothingToRead(fd); return true }
		}
	}
	return cn
}

// Read bounds the head of an answer, which net/http's reader does not.
func (cn *conn) Read(b []byte) (int, error) {
	if cn.headLeft == 0 {
		return 0, errHeadTooLarge
	}
	if cn.headLeft > 0 && int64(len(b)) > cn.headLeft {
		b = b[:cn.headLeft]
	}
	n, err := cn.Conn.Read(b)
	if cn.headLeft > 0 {
		cn.headLeft -= int64(n)
	}
	return n, err
}

// Write counts, so that it is known whether anything was sent.
func (cn *conn) Write(b []byte) (int, error) {
	n, err := cn.Conn.Write(b)
	cn.written.Add(int64(n))
	return n, err
}

// alive tells whether an idle connection still stands: the pod has neither closed it nor sent
// something that nobody asked for.
func (cn *conn) alive() bool {
	if cn.br.Buffered() > 0 {
		return false
	}
	if cn.raw == nil {
		return cn.nothingComes()
	}
	cn.stands = false
	return cn.raw.Read(cn.look) == nil && cn.stands
}

// nothingComes is alive where the connection is no socket: a read that must time out.
func (cn *conn) nothingComes() bool {
	_ = cn.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := cn.br.Peek(1)
	_ = cn.SetReadDeadline(time.Time{})
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		cn.br.Reset(cn)
		return true
	}
	return false
}

func (cn *conn) close() { cn.closing.Do(func() { _ = cn.Conn.Close() }) }
