package gopeer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
)

const bufferSize = 16 << 10

// bare passes heads and bodies on and does nothing else: no checks, no deadlines, no edits, no log.
// It is what is left of a proxy in Go when its work is taken away, the floor under ours.
type bare struct {
	backend string

	mu   sync.Mutex
	idle []*stream
}

// stream is a connection with its buffer.
type stream struct {
	net.Conn
	in *bufio.Reader
}

func (b *bare) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			_ = b.connection(&stream{c, bufio.NewReaderSize(c, bufferSize)})
			_ = c.Close()
		}()
	}
}

func (b *bare) connection(client *stream) error {
	for {
		if _, err := client.in.Peek(1); err != nil {
			return err
		}
		to, err := b.take()
		if err != nil {
			return err
		}
		if err := errors.Join(pass(to, client), pass(client, to)); err != nil {
			_ = to.Close()
			return err
		}
		b.give(to)
	}
}

// pass copies one message with Content-Length; what came of it already leaves in one write.
func pass(to, from *stream) error {
	for wanted := 1; ; {
		if _, err := from.in.Peek(wanted); err != nil {
			return err
		}
		buffered, _ := from.in.Peek(from.in.Buffered())
		end := bytes.Index(buffered, []byte("\r\n\r\n"))
		if end < 0 {
			wanted = len(buffered) + 1
			continue
		}
		length := end + 4 + contentLength(buffered[:end+4])
		now := min(length, len(buffered))
		if _, err := to.Write(buffered[:now]); err != nil {
			return err
		}
		_, _ = from.in.Discard(now)
		if now == length {
			return nil
		}
		_, err := io.CopyN(to, from.in, int64(length-now))
		return err
	}
}

var name = []byte("Content-Length: ")

func contentLength(head []byte) int {
	_, rest, _ := bytes.Cut(head, name)
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n, _ := strconv.Atoi(string(value)) // 0 without the field
	return n
}

func (b *bare) take() (*stream, error) {
	b.mu.Lock()
	if n := len(b.idle); n > 0 {
		s := b.idle[n-1]
		b.idle = b.idle[:n-1]
		b.mu.Unlock()
		return s, nil
	}
	b.mu.Unlock()
	c, err := net.Dial("tcp", b.backend) //nolint:noctx // it ends with the program
	if err != nil {
		return nil, err
	}
	return &stream{c, bufio.NewReaderSize(c, bufferSize)}, nil
}

func (b *bare) give(s *stream) {
	b.mu.Lock()
	b.idle = append(b.idle, s)
	b.mu.Unlock()
}
