package link

import (
	"io"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// maxFraming bounds what stands between two parts of a chunked body.
const maxFraming = 128 << 10

// Framed is the body of a message on a connection, framed as HTTP/1.1 has it.
type Framed struct {
	conn   *Conn
	left   int64 // of a body with a length
	kind   framing
	chunks message.Chunks
	ended  bool
	fault  error
}

type framing uint8

const (
	byLength framing = iota
	byChunks
	byEnd
)

// Begin begins a body of so many bytes; with -1 it comes in chunks, or, when untilEnd, lasts as long
// as the connection.
func (f *Framed) Begin(c *Conn, length int64, untilEnd bool) {
	*f = Framed{conn: c, left: length, ended: length == 0}
	switch {
	case length >= 0:
	case untilEnd:
		f.kind = byEnd
	default:
		f.kind = byChunks
	}
}

// Ended tells whether the body was read to its end.
func (f *Framed) Ended() bool { return f.ended }

// Missing is how many bytes of the body have not come into the buffer; less than none when bytes of
// what follows have. It is not known of a body in chunks.
func (f *Framed) Missing() (n int64, known bool) {
	return f.left - int64(len(f.conn.Buffered())), f.kind == byLength
}

// Whole tells whether the rest of the body has come, though it was not read yet.
func (f *Framed) Whole() bool {
	switch f.kind {
	case byLength:
		return int64(len(f.conn.Buffered())) >= f.left
	case byChunks:
		ahead, rest := f.chunks, f.conn.Buffered()
		for {
			_, used, err := ahead.Next(rest, len(rest))
			if ahead.Ended() || err != nil || used == 0 {
				return ahead.Ended()
			}
			rest = rest[used:]
		}
	default:
		return f.ended
	}
}

// Trailer is what followed the body.
func (f *Framed) Trailer() message.Fields { return f.chunks.Trailer }

// Buffered is how many bytes have come of it, its framing included, that were not read yet.
func (f *Framed) Buffered() int {
	if f.ended {
		return 0
	}
	return len(f.conn.Buffered())
}

// Await returns when more of the body has come, io.EOF when it has ended, io.ErrUnexpectedEOF when
// the connection has before it. before is flushed when it must wait; it may be nil.
func (f *Framed) Await(before Flusher) error {
	if f.ended {
		return io.EOF
	}
	return f.broken(f.conn.FillAfter(before, maxFraming))
}

// Read gives the body as it comes, and io.EOF at its end.
func (f *Framed) Read(p []byte) (int, error) {
	switch {
	case f.ended:
		return 0, io.EOF
	case f.fault != nil:
		return 0, f.fault
	case len(p) == 0:
		return 0, nil
	case f.kind == byChunks:
		return f.readChunks(p)
	case f.kind == byLength && f.left < int64(len(p)):
		p = p[:f.left]
	}
	n, err := f.conn.Read(p)
	if f.kind == byLength {
		if f.left -= int64(n); f.left == 0 {
			f.ended = true
			return n, io.EOF
		}
	}
	return n, f.broken(err)
}

// broken is what the end of a connection means for the body.
func (f *Framed) broken(err error) error {
	switch {
	case err != io.EOF: //nolint:errorlint // a connection returns it as it is
		return err
	case f.kind == byEnd:
		f.ended = true
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// Take gives what has come of the body, without waiting where something has: no bytes and no error
// when that was no more than what stands between two parts.
func (f *Framed) Take(p []byte) (int, error) {
	if f.ended || f.fault != nil || f.kind != byChunks || len(p) == 0 || len(f.conn.Buffered()) == 0 {
		return f.Read(p)
	}
	return f.takeChunks(p)
}

func (f *Framed) readChunks(p []byte) (int, error) {
	for {
		// A large chunk goes straight to where it shall be.
		if left := f.chunks.Left(); left > 0 && len(f.conn.Buffered()) == 0 {
			n, err := f.conn.Read(p[:min(uint64(len(p)), left)])
			f.chunks.Took(n)
			return n, f.broken(err)
		}
		if n, err := f.takeChunks(p); n > 0 || err != nil {
			return n, err
		}
		if err := f.broken(f.conn.Fill(maxFraming)); err != nil {
			return 0, err
		}
	}
}

// takeChunks takes apart what is buffered.
func (f *Framed) takeChunks(p []byte) (int, error) {
	data, used, err := f.chunks.Next(f.conn.Buffered(), len(p))
	n := copy(p, data)
	f.conn.Use(used)
	switch {
	case err != nil:
		return n, err
	case f.chunks.Ended():
		f.ended = true
		return n, io.EOF
	case n == 0:
		return 0, nil
	}
	n += f.more(p[n:])
	if f.ended {
		return n, io.EOF
	}
	return n, nil
}

// more reads what is buffered besides, without waiting, so that the end of a body is seen together
// with its last part. A fault is the next Read's.
func (f *Framed) more(p []byte) (n int) {
	for len(f.conn.Buffered()) > 0 && !f.ended {
		data, used, err := f.chunks.Next(f.conn.Buffered(), len(p)-n)
		n += copy(p[n:], data)
		f.conn.Use(used)
		if err != nil || used == 0 {
			f.fault = err
			return n
		}
		f.ended = f.chunks.Ended()
	}
	return n
}
