package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The faults of a place to go on from.
var (
	// ErrPlace is what no spool in this folder has given.
	ErrPlace = errors.New("not a place in this log; another load balancer may have given it")
	// ErrGone is a place whose segment went by age: nothing that is older is there any more.
	ErrGone = errors.New("the log does not reach so far back any more")
	// ErrShut is that the folder is not open: nobody knows what is in it.
	ErrShut = errors.New("the log's folder is not open")
)

// Scan goes through the entries of some indices, newest first, from the moment at which it was made;
// what is written later is not in it. It holds one block of one file in memory. It is for one
// goroutine.
type Scan struct {
	s       *Spool
	index   []byte // how its actions begin
	file    *os.File
	number  uint64 // of the segment that is open, or is to be opened first; 0: there is none
	end     int64  // what was not looked at of it yet
	data    []byte // the block that ends there, in buffer
	begin   int64  // where it begins
	buffer  []byte
	read    int64
	garbage bool // what stands before the end belongs to a line that is no entry's
}

// Scan begins after the place, or at the newest entry for ""; it has the entries for indices whose
// names begin so.
func (s *Spool) Scan(index, after string) (*Scan, error) {
	scan := &Scan{s: s, index: append(append([]byte{}, actionStart...), index...), buffer: make([]byte, 2*maxEntry)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil, errors.Join(ErrShut, s.failing)
	}
	if after == "" {
		if n := len(s.segments); n > 0 {
			scan.number, scan.end = s.segments[n-1].number, s.segments[n-1].size
		}
		return scan, nil
	}
	number, offset, ok := s.parse(after)
	n := len(s.segments)
	if !ok || n > 0 && number > s.segments[n-1].number {
		return nil, ErrPlace
	}
	for _, seg := range s.segments {
		if seg.number == number {
			if offset > seg.size {
				return nil, ErrPlace
			}
			scan.number, scan.end = number, offset
			return scan, nil
		}
	}
	return nil, ErrGone
}

// Next is the document of the next entry, until the next call; nil at the end.
func (c *Scan) Next() ([]byte, error) {
	for {
		from, to := last(c.data, c.begin == 0)
		if from >= 0 {
			entry := c.data[from:to]
			c.data, c.end = c.data[:from], c.begin+int64(from)
			if bytes.HasPrefix(entry, c.index) {
				_, document, _ := split(entry)
				return document, nil
			}
			continue
		}
		switch {
		case c.file == nil: // nothing was looked at yet
		case to == len(c.buffer): // a line that is longer than any entry
			c.garbage, c.end = true, c.begin
		default:
			c.end = c.begin + int64(to)
		}
		if more, err := c.load(); err != nil || !more {
			return nil, err
		}
	}
}

// Place is where the last entry begins: what is older than it comes after the place.
func (c *Scan) Place() string {
	return fmt.Sprintf("%s.%s.%s", c.s.id, strconv.FormatUint(c.number, 36), strconv.FormatInt(c.end, 36))
}

// Read is how many bytes were read from files so far.
func (c *Scan) Read() int64 { return c.read }

// Close closes the file that is open.
func (c *Scan) Close() {
	if c.file != nil {
		_ = c.file.Close()
		c.file = nil
	}
}

func (s *Spool) parse(place string) (number uint64, offset int64, ok bool) {
	parts := strings.Split(place, ".")
	if len(parts) != 3 || parts[0] != s.id {
		return 0, 0, false
	}
	number, err := strconv.ParseUint(parts[1], 36, 64)
	if err != nil {
		return 0, 0, false
	}
	offset, err = strconv.ParseInt(parts[2], 36, 64)
	return number, offset, err == nil && offset >= 0
}

// load reads the block before the end; where the segment begins, the last one of the next older
// segment. It is false when there is none.
func (c *Scan) load() (bool, error) {
	if c.file == nil || c.begin == 0 {
		if more, err := c.open(); err != nil || !more {
			return false, err
		}
	}
	c.begin = max(c.end-int64(len(c.buffer)), 0)
	c.data = c.buffer[:c.end-c.begin]
	n, err := c.file.ReadAt(c.data, c.begin)
	c.read += int64(n)
	if n < len(c.data) {
		return false, err
	}
	if n > 0 && (c.garbage || c.data[n-1] != '\n') {
		c.data = c.data[:bytes.LastIndexByte(c.data, '\n')+1]
		c.garbage, c.end = len(c.data) == 0, c.begin+int64(len(c.data))
	}
	return true, nil
}

// open opens the segment to begin with, or the next older one.
func (c *Scan) open() (bool, error) {
	if c.file != nil {
		c.Close()
		c.number, c.end = c.s.before(c.number)
		c.garbage = false
	}
	if c.number == 0 {
		return false, nil
	}
	f, err := os.Open(segmentPath(c.s.o.Dir, c.number))
	if os.IsNotExist(err) { // by age, and so has all that is older
		c.number = 0
		return false, nil
	}
	c.file = f
	return err == nil, err
}

// before is the next older segment and its size; 0: there is none.
func (s *Spool) before(number uint64) (uint64, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range slices.Backward(s.segments) {
		if seg.number < number {
			return seg.number, seg.size
		}
	}
	return 0, 0
}
