package http1

import (
	"errors"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// The sizes of what is put together before it is sent. The space for a part of a body grows with
// what is put into it.
const (
	leastSpace = 2 << 10
	mostSpace  = 64 << 10
	flushFrom  = 60 << 10
	chunkRoom  = 10 // before a chunk for its size, and 2 behind it
)

var (
	errBegun = errors.New("the answer has begun")
	errMore  = errors.New("the answer is longer than its head says")
	errLess  = errors.New("the answer is shorter than its head says")
)

// answer is what is written to the client. Its buffer is there only while something is in it.
type answer struct {
	conn *conn
	out  link.Output

	mu       sync.Mutex // of writing before the answer begins: 100 Continue may come from elsewhere
	begun    bool
	ended    bool
	keep     bool // the connection goes on after it
	switched bool // to another protocol
	chunked  bool
	toEnd    bool      // the end of the connection is the body's
	left     int64     // of a body with a length
	now      time.Time // of the beginning, until the first flush
	space    int       // that was given out last
	grain    int       // to give out next
}

func (a *answer) begin() {
	a.begun, a.ended, a.keep, a.switched, a.chunked, a.toEnd = false, false, false, false, false, false
	a.left, a.grain = 0, leastSpace
}

// Continue tells the client to send the body.
func (c *conn) Continue() error {
	a := &c.answer
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun || !c.request.Expect {
		return nil
	}
	c.link.WriteWithin(c.s.o.WriteIdle, time.Now())
	_, err := c.link.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// Inform writes an informational answer.
func (c *conn) Inform(h *message.Response) error {
	a := &c.answer
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun || c.request.Version == message.HTTP10 {
		return nil
	}
	b := message.AppendStatusLine(nil, message.HTTP11, h.Status, h.Reason)
	b = append(message.AppendFields(b, h.Fields), "\r\n"...)
	c.link.WriteWithin(c.s.o.WriteIdle, time.Now())
	_, err := c.link.Write(b)
	return err
}

// Begin puts the head into the buffer.
func (c *conn) Begin(h *proxy.Head) error {
	a := &c.answer
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun {
		return errBegun
	}
	a.begun = true
	if a.now = h.Now; a.now.IsZero() {
		a.now = time.Now()
	}
	a.frame(h)
	size := 256
	for i := range h.Fields {
		size += len(h.Fields[i].Name) + len(h.Fields[i].Value) + 4
	}
	a.out.Grow(size)
	b := message.AppendStatusLine(a.out.Bytes, c.request.Version, h.Status, h.Reason)
	b = message.AppendFields(b, h.Fields)
	for _, f := range h.Add {
		b = message.AppendField(b, f.Name, f.Value)
	}
	if !h.Fields.Has(message.Date) {
		b = message.AppendField(b, "Date", c.s.date.at(a.now))
	}
	switch {
	case a.switched:
		b = message.AppendField(message.AppendField(b, "Connection", "Upgrade"), "Upgrade", h.Upgrade)
	case h.Bodiless, a.toEnd:
	case a.chunked:
		b = message.AppendField(b, "Transfer-Encoding", "chunked")
	default:
		b = message.AppendLength(b, h.Length)
	}
	switch {
	case a.switched:
	case !a.keep:
		b = message.AppendField(b, "Connection", "close")
	case c.request.Version == message.HTTP10:
		b = message.AppendField(b, "Connection", "keep-alive")
	}
	b = append(b, "\r\n"...)
	a.out.Bytes = b
	if a.switched {
		return c.Flush()
	}
	return nil
}

// frame decides how the body is framed, and whether the connection goes on.
func (a *answer) frame(h *proxy.Head) {
	c := a.conn
	a.switched = h.Status == 101
	// What is left of a body would be read as the next request.
	a.keep = !c.request.Close && !h.Close && !c.crowded && !c.s.draining.Load() && c.unread.ended()
	switch {
	case h.Bodiless:
	case h.Length >= 0:
		a.left = h.Length
	case c.request.Version == message.HTTP10:
		a.toEnd, a.keep = true, false
	default:
		a.chunked = true
	}
}

// Space is where the next part of the body may be put.
func (c *conn) Space() []byte {
	a := &c.answer
	room := a.grain
	if a.left > 0 {
		room = int(min(mostSpace, a.left))
	}
	if a.chunked {
		a.out.Grow(room + chunkRoom + 2)
		at := len(a.out.Bytes) + chunkRoom
		a.space = room
		return a.out.Bytes[at : at+room]
	}
	a.out.Grow(room)
	at := len(a.out.Bytes)
	a.space = room
	return a.out.Bytes[at : at+room]
}

// Commit says how much of the space was used.
func (c *conn) Commit(n int) error {
	a := &c.answer
	if n == 0 {
		return nil
	}
	if n == a.space {
		a.grain = min(2*a.grain, mostSpace)
	}
	at := len(a.out.Bytes)
	switch {
	case a.chunked:
		data := a.out.Bytes[at+chunkRoom : at+chunkRoom+n]
		b := message.AppendChunkSize(a.out.Bytes, n)
		b = append(b, data...) // moves it to the front: the size is shorter than its room
		b = append(b, "\r\n"...)
		a.out.Bytes = b
	case a.toEnd:
		a.out.Bytes = a.out.Bytes[:at+n]
	default:
		if a.left -= int64(n); a.left < 0 {
			return errMore
		}
		a.out.Bytes = a.out.Bytes[:at+n]
	}
	if len(a.out.Bytes) >= flushFrom {
		return c.Flush()
	}
	return nil
}

// Flush sends what is in the buffer.
func (c *conn) Flush() error {
	a := &c.answer
	if len(a.out.Bytes) == 0 {
		a.out.Empty()
		return nil
	}
	if a.now.IsZero() { // else nothing was waited for since the answer began
		a.now = time.Now()
	}
	c.link.WriteWithin(c.s.o.WriteIdle, a.now)
	a.now = time.Time{}
	_, err := c.link.Write(a.out.Bytes)
	a.out.Empty()
	return err
}

// End ends the answer.
func (c *conn) End(trailer message.Fields) error {
	a := &c.answer
	if a.left > 0 {
		return errLess
	}
	if a.chunked {
		size := 16
		for i := range trailer {
			size += len(trailer[i].Name) + len(trailer[i].Value) + 4
		}
		a.out.Grow(size)
		a.out.Bytes = message.AppendLastChunk(a.out.Bytes, trailer)
	}
	if err := c.Flush(); err != nil {
		return err
	}
	a.ended = true
	return nil
}

// abort ends a connection whose answer is not whole, so that the client sees it. What was sent must
// arrive; where only the connection's end frames the body, its end must not look like a good one.
func (a *answer) abort() {
	a.out.Empty()
	if a.begun && !a.toEnd {
		a.conn.linger()
	}
	a.cut()
}

// cut ends the connection at once, whatever is being written.
func (a *answer) cut() {
	if a.begun && a.toEnd && !a.ended {
		a.conn.reset()
	}
	a.conn.drop()
}
