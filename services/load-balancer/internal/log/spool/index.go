package spool

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// indexFile says how many entries the segments have that are full, a line for each, so that a start
// need not read them. It may be behind, or gone: what it does not know is counted.
const indexFile = "segments.index"

type count struct {
	Segment uint64 `json:"segment"`
	Size    int64  `json:"size"`
	Records int64  `json:"records"`
}

func readIndex(dir string) map[uint64]count {
	raw, _ := os.ReadFile(filepath.Join(dir, indexFile)) //nolint:gosec // G304: the operator names the folder
	all := map[uint64]count{}
	for line := range bytes.Lines(raw) {
		var c count
		if json.Unmarshal(line, &c) == nil && c.Records >= 0 {
			all[c.Segment] = c
		}
	}
	return all
}

// writeIndex replaces the index by one of the segments that are there and counted, but for the last
// one, to which more will be added. Where it cannot be written, they are counted again.
func writeIndex(dir string, segments []*segment) {
	var text []byte
	for _, s := range segments[:max(len(segments)-1, 0)] {
		if !s.uncounted {
			text = append(text, s.line()...)
		}
	}
	_ = Replace(filepath.Join(dir, indexFile), text)
}

func (s *segment) line() []byte {
	raw, _ := json.Marshal(count{s.number, s.size, s.records}) // numbers alone
	return append(raw, '\n')
}

// maxNoted is how many lines are added before the index is written anew, without those that are gone.
const maxNoted = 1 << 12

// note adds a segment that is full to the index. The spool is locked.
func (s *Spool) note(seg *segment) {
	if s.noted++; s.noted > maxNoted {
		s.noted = 0
		writeIndex(s.o.Dir, s.segments)
	}
	f, err := os.OpenFile(filepath.Join(s.o.Dir, indexFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return // it is counted again
	}
	_, _ = f.Write(seg.line())
	_ = f.Close()
}

// usual is about how many bytes an entry has.
const usual = 1500

// count is how many entries there are; about as many where they were not counted yet.
func (s *segment) count() int64 {
	if s.uncounted {
		return max(s.size/usual, s.acknowledged.records)
	}
	return s.records
}

// countRest counts the segments that a process before has left and the index does not know, beside
// everything else.
func (s *Spool) countRest() {
	s.mu.Lock()
	rest := slices.DeleteFunc(slices.Clone(s.segments), func(seg *segment) bool { return !seg.uncounted })
	s.mu.Unlock()
	for _, seg := range rest {
		select {
		case <-s.sealing:
			return
		default:
		}
		found := &segment{path: seg.path}
		if _, err := found.load(-1); err == nil {
			s.counted(seg, found.size, found.records)
		}
	}
}

// counted notes how many entries a segment of a process before has, if it is that.
func (s *Spool) counted(seg *segment, size, records int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.uncounted && seg.size == size {
		seg.records, seg.uncounted = records, false
		s.signal()
		if !seg.removed {
			s.note(seg)
		}
	}
}

// mustCount counts a segment that goes now: what is lost is counted exactly.
func (seg *segment) mustCount() {
	found := &segment{path: seg.path}
	if _, err := found.load(-1); seg.uncounted && err == nil {
		seg.records, seg.uncounted = found.records, false
	}
}
