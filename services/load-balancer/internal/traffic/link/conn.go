// Package link is one side's connection as the engines use it: a read buffer that is there only
// while bytes are in it, writes that go out at once, and deadlines that are moved only now and then.
// A connection on which nothing moves holds no buffer at all.
//
// Reading goes past net.Conn.Read where there is a socket: it waits for bytes first and takes a
// buffer then. What wraps a socket (TLS) is read the usual way, and keeps its buffer.
package link

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// ErrFull is returned by Fill when the buffer holds as much as it may.
var ErrFull = errors.New("the buffer is full")

// Conn is one connection. One goroutine reads and one writes at a time; Close and Interrupt may be
// called by any.
type Conn struct {
	nc  net.Conn
	raw syscall.RawConn // nil: no socket that can be waited for without a buffer

	buffer   *buffer
	from, to int // of what is buffered

	wait    func(fd uintptr) bool // made once: reads when bytes are there
	ask     func(fd uintptr) bool // made once: writes, then does as wait
	put     func(fd uintptr) bool // made once: writes
	asking  []byte                // what is still to be written before the answer is waited for
	asked   *Output               // that it stands in
	into    []byte                // what wait reads into; nil: the buffer
	n       int
	fault   error
	writing []byte // what put still writes
	failed  error  // why it could not
	written int64

	before  Flusher // is flushed when a read must wait
	flushed error   // why that failed
	grain   int     // how large the next buffer is

	reads, writes deadline
}

// Flusher sends what was put together for another connection.
type Flusher interface{ Flush() error }

// New takes a connection over. A read after bytes that were taken from it before begins with these.
func New(nc net.Conn) *Conn {
	c := &Conn{nc: nc, grain: smallest}
	c.reads.set, c.writes.set = nc.SetReadDeadline, nc.SetWriteDeadline
	if _, ok := nc.(*net.TCPConn); ok {
		c.Unwrap(nil)
	}
	return c
}

// Unwrap says that what wraps the socket changes no byte from now on, and that these were taken from
// it before: reads begin with them, and then go past the wrapper.
func (c *Conn) Unwrap(read []byte) {
	if raw, err := socket.Raw(c.nc); err == nil && canWait {
		c.raw, c.wait, c.ask, c.put = raw, c.readWhenReady, c.askWhenReady, c.writeWhenReady
	}
	if len(read) > 0 {
		c.buffer = get(len(read))
		c.from, c.to = 0, copy(c.buffer.bytes, read)
	}
}

// Net is the connection itself.
func (c *Conn) Net() net.Conn { return c.nc }

// Buffered is what has come and was not used yet; valid until the next Fill.
func (c *Conn) Buffered() []byte {
	if c.buffer == nil {
		return nil
	}
	return c.buffer.bytes[c.from:c.to]
}

// Use says that the first n buffered bytes are done with.
func (c *Conn) Use(n int) {
	c.from += n
	if c.from == c.to {
		c.from, c.to = 0, 0
		c.release()
	}
}

// release gives an empty buffer back. What wraps a socket waits with one, which is a small one.
func (c *Conn) release() {
	if c.buffer != nil && (c.raw != nil || len(c.buffer.bytes) > smallest) {
		put(c.buffer)
		c.buffer = nil
	}
}

// Fill reads what comes behind what is buffered, which may be at most most bytes then. It returns
// when there is at least one more. Errors are those of the connection, io.EOF and ErrFull.
func (c *Conn) Fill(most int) error {
	if c.buffer != nil && c.to == len(c.buffer.bytes) {
		if err := c.makeRoom(most); err != nil {
			return err
		}
	}
	n, err := c.read(nil)
	c.to += n
	switch {
	case err != nil && c.from == c.to:
		c.release()
	case c.buffer != nil && c.to == len(c.buffer.bytes):
		c.grain = min(2*c.grain, atOnce)
	case n < c.grain/4:
		c.grain = max(c.grain/2, smallest)
	}
	return err
}

// FillAfter is Fill, but that before is flushed when it must wait. See FlushFault.
func (c *Conn) FillAfter(before Flusher, most int) error {
	c.before, c.flushed = before, nil
	if c.raw == nil && before != nil {
		c.flush()
	}
	if c.flushed != nil {
		return c.flushed
	}
	err := c.Fill(most)
	c.before = nil
	return err
}

// FlushFault is why the last FillAfter could not flush; nil when it could, or did not have to.
func (c *Conn) FlushFault() error { return c.flushed }

func (c *Conn) flush() {
	c.flushed = c.before.Flush()
	c.before = nil
}

// Expect says how many bytes are about to come, so that they are read in large parts; a negative
// number is not known.
func (c *Conn) Expect(n int64) {
	if n >= 0 {
		c.grain = int(min(max(n, smallest), atOnce))
	}
}

// makeRoom moves what is buffered to the front, or into a larger buffer.
func (c *Conn) makeRoom(most int) error {
	have := c.to - c.from
	if have >= most {
		return ErrFull
	}
	if c.from > 0 && have < len(c.buffer.bytes)/2 {
		copy(c.buffer.bytes, c.buffer.bytes[c.from:c.to])
	} else {
		larger := get(min(2*len(c.buffer.bytes), max(most, smallest)))
		copy(larger.bytes, c.buffer.bytes[c.from:c.to])
		put(c.buffer)
		c.buffer = larger
	}
	c.from, c.to = 0, have
	return nil
}

// Read gives what is buffered, else what comes, which goes straight into p.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if have := c.Buffered(); len(have) > 0 {
		n := copy(p, have)
		c.Use(n)
		return n, nil
	}
	return c.read(p)
}

// read reads into p, or into the buffer when p is nil.
func (c *Conn) read(p []byte) (int, error) {
	c.flushed = nil
	if c.raw == nil {
		if p == nil {
			if c.buffer == nil {
				c.buffer = get(smallest)
			}
			p = c.buffer.bytes[c.to:]
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
	c.into, c.n, c.fault = p, 0, nil
	err := c.raw.Read(c.wait)
	c.into = nil
	switch {
	case c.n > 0:
		return c.n, nil
	case c.fault != nil:
		return 0, c.fault
	case err != nil:
		return 0, err
	case c.flushed != nil:
		return 0, c.flushed
	}
	return 0, io.EOF
}

// readWhenReady is called when there may be bytes; false waits for more.
func (c *Conn) readWhenReady(fd uintptr) bool {
	into := c.into
	if into == nil {
		if c.buffer == nil {
			c.buffer = get(c.grain)
		}
		into = c.buffer.bytes[c.to:]
	}
	n, again, err := read(fd, into)
	if again {
		if c.into == nil && c.from == c.to {
			c.release()
		}
		if c.before != nil {
			c.flush()
		}
		return c.flushed != nil
	}
	c.n, c.fault = n, err
	return true
}

// Write writes all of p. Written counts what went out, also of a write that failed.
func (c *Conn) Write(p []byte) (n int, err error) {
	if c.raw == nil {
		n, err = c.nc.Write(p)
		c.written += int64(n)
		return n, err
	}
	c.writing, c.failed = p, nil
	err = c.raw.Write(c.put)
	if err == nil {
		err = c.failed
	}
	n = len(p) - len(c.writing)
	c.writing = nil
	c.written += int64(n)
	return n, err
}

// writeWhenReady is called when there may be room; false waits for more.
func (c *Conn) writeWhenReady(fd uintptr) bool {
	for len(c.writing) > 0 {
		n, again, err := write(fd, c.writing)
		if again {
			return false
		}
		if err != nil {
			c.failed = err
			return true
		}
		c.writing = c.writing[n:]
	}
	return true
}

// Written is how many bytes were ever written.
func (c *Conn) Written() int64 { return c.written }

// Silent tells whether the connection stands, and nothing has come that nobody asked for. It does
// not wait.
func (c *Conn) Silent() bool {
	if len(c.Buffered()) > 0 {
		return false
	}
	return c.raw == nil || silent(c.raw)
}

// ReadWithin lets reads wait for d at least from now on, and an eighth more at most: to move a
// deadline costs as much as to read, so it is moved only when it must be.
func (c *Conn) ReadWithin(d time.Duration, now time.Time) { c.reads.within(d, now) }

// WriteWithin is the same for writes.
func (c *Conn) WriteWithin(d time.Duration, now time.Time) { c.writes.within(d, now) }

// ReadBy sets the moment at which reads fail; zero is never.
func (c *Conn) ReadBy(at time.Time) { c.reads.by(at) }

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

// Interrupt makes a read fail that is under way, and every later one until a deadline is set again
// by ReadBy.
func (c *Conn) Interrupt() { c.reads.interrupt(longAgo) }

// CloseWrite tells the other side that no more comes.
func (c *Conn) CloseWrite() error { return socket.CloseWrite(c.nc) }

// Close closes the connection. The buffer goes with Release, which only its reader may call.
func (c *Conn) Close() error { return c.nc.Close() }

// Release gives the buffer back with what is in it.
func (c *Conn) Release() {
	c.from, c.to = 0, 0
	if c.buffer != nil {
		put(c.buffer)
		c.buffer = nil
	}
}

// Ended tells whether the other side has ended its sending side, and everything that it sent before
// was read from the system, into the buffer at least. It does not wait, and any goroutine may call it.
// What wraps a socket is not looked into: there it is always so.
func (c *Conn) Ended() bool { return c.raw == nil || ended(c.raw) }

// InQueue is how many bytes have come that were not read from the system, beside those in the buffer.
// It does not wait, and any goroutine may call it. Of what wraps a socket it is not known.
func (c *Conn) InQueue() (n int, known bool) {
	if c.raw == nil {
		return 0, false
	}
	return inQueue(c.raw)
}

// Next returns the bytes that come next; they are there until Used is called.
func (c *Conn) Next() ([]byte, error) {
	if len(c.Buffered()) == 0 {
		if err := c.Fill(tunnelBuffer); err != nil {
			return nil, err
		}
	}
	return c.Buffered(), nil
}

// tunnelBuffer bounds what is read at once for the other side of a tunnel.
const tunnelBuffer = 64 << 10

// Used says that the first n bytes of Next are done with.
func (c *Conn) Used(n int) { c.Use(n) }

// Idle bounds how long the next read and the next write may take; zero leaves it.
func (c *Conn) Idle(read, write time.Duration, now time.Time) {
	if read > 0 {
		c.ReadWithin(read, now)
	}
	if write > 0 {
		c.WriteWithin(write, now)
	}
}
