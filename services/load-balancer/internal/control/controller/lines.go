package controller

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

const (
	maxLine  = maxAnswer
	keptLine = 1 << 20 // of the memory for a line, what is kept for the next one
)

var errLine = fmt.Errorf("a line of the routes has more than %d bytes", maxLine)

// lines reads updates, each of which is a line of JSON.
type lines struct {
	from *bufio.Reader
	line []byte
	most int
}

func newLines(from io.Reader) *lines {
	return &lines{from: bufio.NewReaderSize(from, 64<<10), most: maxLine}
}

// oneLine is an answer that is one update, be it written on one line or on several.
func oneLine(whole []byte) io.Reader {
	var line bytes.Buffer
	if json.Compact(&line, whole) != nil {
		line.Write(bytes.ReplaceAll(whole, []byte("\n"), nil)) // which says what is wrong with it
	}
	line.WriteByte('\n')
	return &line
}

// next reads the next one. io.EOF is the end; one within a line is an io.ErrUnexpectedEOF.
func (l *lines) next() (*autoscaler.RoutesUpdate, error) {
	for {
		if err := l.read(); err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(l.line)) == 0 {
			continue
		}
		var u autoscaler.RoutesUpdate
		if err := json.Unmarshal(l.line, &u); err != nil {
			return nil, fmt.Errorf("routes: %w", err)
		}
		return &u, nil
	}
}

// read reads a line.
func (l *lines) read() error {
	if l.line = l.line[:0]; cap(l.line) > keptLine {
		l.line = nil
	}
	for {
		part, err := l.from.ReadSlice('\n')
		if len(l.line)+len(part) > l.most {
			return errLine
		}
		l.line = append(l.line, part...)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.line) > 0:
			return io.ErrUnexpectedEOF
		default:
			return err
		}
	}
}
