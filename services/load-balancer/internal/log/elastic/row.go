package elastic

import (
	"bytes"
	"fmt"
	"io"
)

// row is a row of entries, one after the other: where its outbox has them, or in memory. An entry is
// two lines.
type row struct {
	source io.ReaderAt
	size   int64
	n      int

	// What load has read: nil before.
	body []byte
	ends []int // where each entry ends in it
}

// reader reads all of it, from the beginning.
func (r row) reader() *io.SectionReader { return io.NewSectionReader(r.source, 0, r.size) }

// section is a row as the body of a request.
type section struct{ *io.SectionReader }

// Close does nothing: the file is its outbox's.
func (section) Close() error { return nil }

// load reads the row into memory, so that it can be divided. The error is that of the reading, or that
// there are not as many entries as there should be.
func (r *row) load() error {
	if r.ends != nil {
		return nil
	}
	body := make([]byte, r.size)
	if _, err := io.ReadFull(r.reader(), body); err != nil {
		return err
	}
	ends := make([]int, 0, r.n)
	for at, line := 0, 0; at < len(body); line++ {
		end := bytes.IndexByte(body[at:], '\n')
		if end < 0 {
			return fmt.Errorf("%w: its last line has no end", errRow)
		}
		if at += end + 1; line%2 == 1 {
			ends = append(ends, at)
		}
	}
	if len(ends) != r.n || r.n == 0 || ends[r.n-1] != len(body) {
		return fmt.Errorf("%w: it has %d entries and should have %d", errRow, len(ends), r.n)
	}
	r.body, r.ends = body, ends
	return nil
}

// at is one entry of a row that is loaded.
func (r row) at(i int) []byte {
	if i == 0 {
		return r.body[:r.ends[0]]
	}
	return r.body[r.ends[i-1]:r.ends[i]]
}

// pick makes a row of some entries of one that is loaded.
func (r row) pick(wanted []int) row {
	var out row
	for _, i := range wanted {
		out.body = append(out.body, r.at(i)...)
		out.ends = append(out.ends, len(out.body))
	}
	out.source, out.size, out.n = bytes.NewReader(out.body), int64(len(out.body)), len(wanted)
	return out
}

// halves cuts a row of at least two that is loaded.
func (r row) halves() (row, row) {
	all := make([]int, r.n)
	for i := range all {
		all[i] = i
	}
	return r.pick(all[:r.n/2]), r.pick(all[r.n/2:])
}
