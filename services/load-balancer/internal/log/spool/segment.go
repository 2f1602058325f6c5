package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	segmentSuffix = ".ndjson"
	// mode of the files: what clients ask for is nobody else's business.
	fileMode = 0o600
	dirMode  = 0o700
)

// segment is one file of whole entries, and what became of them. Its fields are guarded by the
// spool's lock.
type segment struct {
	number uint64
	path   string
	size   int64 // what may be read

	records   int64
	uncounted bool // it is of a time before this process, and was not looked at yet
	// What the shipper was given, and what of that was acknowledged.
	given, acknowledged place
	removed             bool

	// From clean on there are whole entries and nothing else, for this process has written them; cuts
	// are where some of them end.
	clean int64
	cuts  []place

	marks []mark        // when it was written, to about a second; to apart, where that took long
	apart time.Duration // what is between them at least; 0: markEvery
}

// place is how far in a segment: bytes, and records before.
type place struct {
	offset  int64
	records int64
}

// mark says when the entries from an offset on began to be written.
type mark struct {
	offset int64
	at     time.Time
}

const (
	markEvery = time.Second
	maxMarks  = 256
)

// thin forgets every second mark: a segment that is filled over days needs no seconds.
func (s *segment) thin() {
	for i := range len(s.marks) / 2 {
		s.marks[i] = s.marks[2*i]
	}
	s.marks = s.marks[:len(s.marks)/2]
	s.apart = 2 * max(markEvery, s.apart)
}

// wrote notes that records were added.
func (s *segment) wrote(bytes int64, records int, at time.Time) {
	if n := len(s.marks); n == 0 || at.Sub(s.marks[n-1].at) >= max(markEvery, s.apart) {
		if n == maxMarks {
			s.thin()
		}
		s.marks = append(s.marks, mark{s.size, at})
	}
	s.size += bytes
	s.records += int64(records)
	if n := len(s.cuts); n == 0 || s.size-s.cuts[n-1].offset >= cutEvery {
		s.cuts = append(s.cuts, place{s.size, s.records})
	}
}

// cutEvery is how far apart cuts are at least.
const cutEvery = 64 << 10

// run is where a row of so many bytes at most ends, of which is known without looking at it that it
// is whole entries; false when there is none.
func (s *segment) run(from place, most int64) (place, bool) {
	switch {
	case from.offset < s.clean || from.offset >= s.size:
		return place{}, false
	case s.size-from.offset <= most:
		return place{s.size, s.records}, true
	}
	for _, c := range slices.Backward(s.cuts) {
		if c.offset-from.offset <= most {
			return c, c.offset > from.offset
		}
	}
	return place{}, false
}

// since is when the entry at an offset was written; zero when there is none yet.
func (s *segment) since(offset int64) time.Time {
	if offset >= s.size {
		return time.Time{}
	}
	for _, m := range slices.Backward(s.marks) {
		if m.offset <= offset {
			return m.at
		}
	}
	return time.Time{}
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", number, segmentSuffix))
}

// segmentNumber is the number in a file's name.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && number > 0
}

// loadSegments finds the segments of a folder, oldest first. The last one is read: half an entry at its
// end, as a process that was killed leaves it, is cut off. Of the others what the index says is taken.
func loadSegments(dir string) (all []*segment, cut int64, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	counts := readIndex(dir)
	var before time.Time      // when the segment before was written last: since then this one was
	for _, e := range names { // in the order of their names, which is that of their numbers
		number, ok := segmentNumber(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, 0, err
		}
		s := &segment{number: number, path: filepath.Join(dir, e.Name()), size: info.Size(), clean: info.Size(), uncounted: true}
		if known, ok := counts[number]; ok && known.Size == s.size {
			s.records, s.uncounted = known.Records, false
		}
		if before.IsZero() {
			before = info.ModTime()
		}
		s.marks = []mark{{0, before}}
		before = info.ModTime()
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, 0, nil
	}
	last := all[len(all)-1]
	last.records, last.uncounted = 0, false
	end, err := last.load(-1)
	if err != nil {
		return nil, 0, err
	}
	if end < last.size {
		if err := os.Truncate(last.path, end); err != nil {
			return nil, 0, err
		}
		cut, last.size, last.clean = last.size-end, end, end
	}
	writeIndex(dir, all)
	return all, cut, nil
}

// load counts the entries of the file up to an offset, all of them for -1, and says where the last
// whole one ends.
func (s *segment) load(upTo int64) (end int64, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if s.size = info.Size(); upTo >= 0 {
		s.size = min(s.size, upTo)
	}
	w := window{size: s.size}
	for {
		entry, err := w.next(f)
		if err != nil {
			return 0, err
		}
		if entry == nil {
			return end, nil
		}
		s.records++
		end = w.offset
	}
}

// window goes through the entries of a file from an offset up to a size.
type window struct {
	offset, size int64 // what was not looked at yet
	garbage      int64 // bytes that were passed over
	within       bool  // what comes next belongs to a line that is no entry's
	buffer       []byte
	data         []byte // what was read of it, in buffer
}

// next is the next whole entry, until the next call; it ends at the window's offset. At the end of
// the file it is nil.
func (w *window) next(f io.ReaderAt) ([]byte, error) {
	for {
		if w.within {
			line := bytes.IndexByte(w.data, '\n') + 1
			if w.within = line == 0; w.within {
				line = len(w.data)
			}
			w.pass(line)
		}
		from, to := first(w.data)
		if to > 0 {
			w.garbage += int64(from)
			entry := w.data[from:to]
			w.data, w.offset = w.data[to:], w.offset+int64(to)
			return entry, nil
		}
		w.within = w.within || from > 0 && w.data[from-1] != '\n'
		w.pass(from)
		held := len(w.data)
		more := w.size - w.offset - int64(held)
		if more <= 0 {
			return nil, nil
		}
		if w.buffer == nil {
			w.buffer = make([]byte, 3*maxEntry)
		}
		copy(w.buffer, w.data)
		n := int(min(int64(len(w.buffer)-held), more))
		read, err := f.ReadAt(w.buffer[held:held+n], w.offset+int64(held))
		if err != nil && (!errors.Is(err, io.EOF) || read == 0) {
			return nil, err
		}
		w.data = w.buffer[:held+read]
	}
}

// pass passes over bytes that are no entry's.
func (w *window) pass(n int) {
	w.garbage += int64(n)
	w.data, w.offset = w.data[n:], w.offset+int64(n)
}
