package link

import (
	"errors"
	"io"
)

// errNotSilent: something came that nobody asked for, so what comes next answers nothing.
var errNotSilent = errors.New("the other side sent something that nobody asked for")

// Ask writes what is in out and waits for what comes back, which is then buffered. Nothing is written
// to a connection that has ended, or on which something has come already: then Written stays as it is.
// out is empty when Ask returns, and already while it waits.
func (c *Conn) Ask(out *Output) error {
	defer out.Empty()
	if len(c.Buffered()) > 0 {
		return errNotSilent
	}
	if c.raw == nil {
		if _, err := c.Write(out.Bytes); err != nil {
			return err
		}
		out.Empty()
		return c.Fill(smallest)
	}
	c.asking, c.asked, c.n, c.fault, c.flushed = out.Bytes, out, 0, nil, nil
	err := c.raw.Read(c.ask)
	rest := c.asking
	c.asking, c.asked = nil, nil
	switch {
	case c.n > 0:
		c.to += c.n
		return nil
	case c.fault != nil:
		err = c.fault
	case err == nil && len(rest) == 0:
		err = io.EOF
	}
	if err != nil {
		c.release()
		return err
	}
	if _, err := c.Write(rest); err != nil { // the system took a part only: wait until it takes all
		return err
	}
	out.Empty()
	return c.Fill(smallest)
}

// askWhenReady looks whether the connection is silent, writes, and then waits for bytes: to look, to
// write and to wait in one go spares a look at an empty socket.
func (c *Conn) askWhenReady(fd uintptr) bool {
	if c.asking == nil {
		return c.readWhenReady(fd)
	}
	var unasked [1]byte
	switch n, again, err := read(fd, unasked[:]); {
	case again:
	case err != nil:
		c.fault = err
		return true
	case n == 0:
		c.fault = io.EOF
		return true
	default:
		c.fault = errNotSilent
		return true
	}
	n, again, err := write(fd, c.asking)
	c.written += int64(n)
	switch {
	case err != nil:
		c.fault = err
		return true
	case again || n < len(c.asking):
		c.asking = c.asking[n:]
		return true
	}
	c.asking = nil
	c.asked.Empty()
	return false
}
