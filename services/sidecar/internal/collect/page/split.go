package page

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// What is read of a page. A busy model server shows some hundred KiB, nearly all of it buckets.
const (
	maxPage = 16 << 20
	maxLine = 16 << 10 // a longer one costs its family
	maxKept = 1 << 20  // of lines that matter; the family that goes beyond is lost
)

var errPageTooLong = fmt.Errorf("the page is longer than %d MiB", maxPage>>20)

// families are a page's lines of known names, each name's by itself. A histogram's sum and its count are
// two names.
type families struct {
	lines    map[string][]byte
	declared map[string]bool   // a TYPE line is there
	lost     map[string]string // what cannot be read, and why
	kept     int               // bytes of lines
}

func newFamilies() *families {
	return &families{lines: map[string][]byte{}, declared: map[string]bool{}, lost: map[string]string{}}
}

// add splits a page in Prometheus' text format, or in OpenMetrics'. Lines of other names, the buckets of
// histograms first of all, are not even looked at, which keeps a large page from costing memory. Types
// are not needed, and so a page that repeats or contradicts them is as good as another.
func (f *families) add(in io.Reader) error {
	limited := &io.LimitedReader{R: in, N: maxPage + 1}
	page := bufio.NewReaderSize(limited, maxLine)
	for {
		line, err := page.ReadSlice('\n')
		f.take(line, errors.Is(err, bufio.ErrBufferFull))
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = page.ReadSlice('\n')
		}
		switch {
		case limited.N <= 0:
			return errPageTooLong
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// take takes one line, or the beginning of one that is too long.
func (f *families) take(line []byte, tooLong bool) {
	line = bytes.TrimLeft(line, " \t")
	if comment, ok := bytes.CutPrefix(line, []byte("# TYPE ")); ok {
		for _, name := range ofFamily[string(comment[:ending(comment)])] {
			f.declared[name] = true
		}
		return
	}
	name, ok := known[string(line[:ending(line)])]
	if !ok || f.lost[name] != "" {
		return
	}
	sample, ok := plain(line)
	switch {
	case tooLong:
		f.lose(name, fmt.Sprintf("has a line longer than %d KiB", maxLine>>10))
	case !ok:
		f.lose(name, "has a line that is not in Prometheus' text format")
	case f.kept+len(sample.head)+len(sample.value)+2 > maxKept:
		f.lose(name, fmt.Sprintf("is the one with which the page has more than %d KiB of lines that matter", maxKept>>10))
	default:
		before := len(f.lines[name])
		text := append(append(f.lines[name], sample.head...), ' ')
		f.lines[name] = append(append(text, sample.value...), '\n')
		f.kept += len(f.lines[name]) - before
	}
}

// lose gives a family up: without one of its samples the sum of the others says something else.
func (f *families) lose(name, why string) {
	f.kept -= len(f.lines[name])
	delete(f.lines, name)
	f.lost[name] = why
}

// sample is a line without its time and its exemplar.
type sample struct{ head, value []byte } // the name with the labels; the value as it is written

// plain cuts a line into its parts; what is right in them is left to the parser. Exemplars, and times in
// seconds, are OpenMetrics', of which the parser knows nothing.
func plain(line []byte) (sample, bool) {
	line = bytes.TrimRight(line, "\r\n")
	end := ending(line)
	if rest := bytes.TrimLeft(line[end:], " \t"); len(rest) > 0 && rest[0] == '{' {
		open := len(line) - len(rest)
		labels := labelsEnd(line[open:])
		if labels < 0 {
			return sample{}, false
		}
		end = open + labels
	}
	head, rest := line[:end], bytes.TrimLeft(line[end:], " \t")
	if i := bytes.IndexAny(rest, " \t#"); i >= 0 {
		rest = rest[:i]
	}
	return sample{head, rest}, len(rest) > 0
}

// labelsEnd is where the labels that text begins with are over, or -1. Braces may stand in values.
func labelsEnd(text []byte) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return i + 1
		}
	}
	return -1
}

// ending is where a name ends.
func ending(line []byte) int {
	for i, c := range line {
		switch c {
		case '{', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(line)
}
