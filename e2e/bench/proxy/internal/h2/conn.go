// Package h2 is what generator and backend need of HTTP/2 for unary gRPC calls: frames, windows, and
// headers that are encoded once and for all. It is no HTTP/2 for anything else.
package h2

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	firstWindow = 65535   // of a connection, by RFC 9113
	ourWindow   = 1 << 30 // that we give, and give again when half of it is used
)

// Message is a gRPC message of 128 bytes with its prefix.
var Message = append([]byte{0, 0, 0, 0, 128}, strings.Repeat("0123456789abcdef", 8)...)

// Conn is one side of a connection. It belongs to one goroutine.
type Conn struct {
	*http2.Framer

	out     *bufio.Writer
	in      *bufio.Reader
	window  int // bytes that may be sent
	used    int // of the window that we gave
	waiting []func() error
}

// NewConn makes one, whose first frame is a SETTINGS of ours. The client sends the preface before it,
// the server has read it.
func NewConn(c net.Conn, client bool) (*Conn, error) {
	h := &Conn{out: bufio.NewWriterSize(c, 16<<10), in: bufio.NewReaderSize(c, 16<<10), window: firstWindow}
	h.Framer = http2.NewFramer(h.out, h.in)
	h.SetReuseFrames()
	if client {
		_, _ = h.out.WriteString(http2.ClientPreface)
	} else {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := readFull(h.in, preface); err != nil || !bytes.Equal(preface, []byte(http2.ClientPreface)) {
			return nil, fmt.Errorf("no preface of HTTP/2: %q, %w", preface, err)
		}
	}
	if err := h.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000}); err != nil {
		return nil, err
	}
	return h, h.give(ourWindow)
}

func readFull(r *bufio.Reader, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (h *Conn) give(n uint32) error { return h.WriteWindowUpdate(0, n) }

// Next is the next frame, after what every side does with it. What was written leaves before it waits.
func (h *Conn) Next() (http2.Frame, error) {
	if h.in.Buffered() == 0 {
		if err := h.out.Flush(); err != nil {
			return nil, err
		}
	}
	f, err := h.ReadFrame()
	if err != nil {
		return nil, err
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = h.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = h.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			h.window += int(f.Increment)
			err = h.resume()
		}
	case *http2.DataFrame:
		if h.used += int(f.Length); h.used > ourWindow/2 {
			err = h.give(uint32(h.used)) //nolint:gosec // G115: it is less than the window
			h.used = 0
		}
	}
	return f, err
}

// Send sends the message on a stream, now or when the window has room for it, and then what follows.
func (h *Conn) Send(stream uint32, last bool, then func() error) error {
	send := func() error {
		h.window -= len(Message)
		if err := h.WriteData(stream, last, Message); err != nil || then == nil {
			return err
		}
		return then()
	}
	if h.window < len(Message) {
		h.waiting = append(h.waiting, send)
		return nil
	}
	return send()
}

func (h *Conn) resume() error {
	for len(h.waiting) > 0 && h.window >= len(Message) {
		send := h.waiting[0]
		h.waiting = h.waiting[1:]
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}

// Encode encodes header fields, names and values by turns, without the dynamic table: the block can be
// sent again and again.
func Encode(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSizeLimit(0)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes all
	}
	return b.Bytes()
}
