package backend

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

// maxHead is of a request.
const maxHead = 16 << 10

// conn is one connection of a proxy.
type conn struct {
	backend *Backend
	fd      int
	closed  bool
	partial []byte // a head that is not complete yet
	body    int    // bytes of the request's body that are still to come
	then    answer // what follows the body
	tunnel  bool   // after 101
	out     []byte // what the socket did not take yet
}

// Ready reads and answers.
func (c *conn) Ready(events uint32) {
	if events&loop.Writable != 0 {
		c.flush()
	}
	if c.closed || events&^loop.Writable == 0 {
		return
	}
	n, err := unix.Read(c.fd, c.backend.buffer[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n == 0 {
		c.close()
		return
	}
	c.take(c.backend.buffer[:n])
}

// take goes through the bytes that came.
func (c *conn) take(p []byte) {
	if c.tunnel {
		c.write(webSocketReply)
		return
	}
	if len(c.partial) > 0 {
		c.partial = append(c.partial, p...)
		p, c.partial = c.partial, nil
	}
	for len(p) > 0 && !c.closed {
		if c.body > 0 {
			n := min(c.body, len(p))
			p, c.body = p[n:], c.body-n
			if c.body == 0 {
				c.answer(c.then)
			}
			continue
		}
		end := bytes.Index(p, []byte("\r\n\r\n"))
		if end < 0 {
			if len(p) > maxHead {
				c.close()
				return
			}
			c.partial = bytes.Clone(p)
			return
		}
		head := p[:end+4]
		p = p[end+4:]
		c.backend.requests.Add(1)
		c.then, c.body = read(head)
		if c.body == 0 {
			c.answer(c.then)
		}
	}
}

func (c *conn) answer(a answer) {
	switch a.kind {
	case whole:
		c.write(a.bytes)
	case upgrade:
		c.tunnel = true
		c.write(a.bytes)
	case stream:
		c.write(a.bytes)
		c.backend.tokens.add(c)
	case silent: // the answer never comes
	case unknown:
		c.write(notFound)
	}
}

// write sends p, which must not change later.
func (c *conn) write(p []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, p...)
		return
	}
	n, err := unix.Write(c.fd, p)
	if n < 0 {
		n = 0
	}
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		c.close()
		return
	}
	if n == len(p) {
		return
	}
	c.out = append([]byte(nil), p[n:]...)
	if c.backend.loop.Change(c.fd, loop.Readable|loop.Writable) != nil {
		c.close()
	}
}

func (c *conn) flush() {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		c.close()
		return
	}
	c.out = c.out[max(n, 0):]
	if len(c.out) == 0 {
		c.out = nil
		if c.backend.loop.Change(c.fd, loop.Readable) != nil {
			c.close()
		}
	}
}

func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.backend.open.Add(-1)
	c.backend.loop.Remove(c.fd)
}
