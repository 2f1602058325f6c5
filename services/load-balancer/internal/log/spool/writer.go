package spool

import (
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

const (
	// linger is how long the writer gathers after it has written, so that many entries share a write.
	// It looks again by itself for a while before it goes to sleep: to wake it costs who offers an entry
	// more than to write that. What comes after a longer pause is written at once.
	linger     = 10 * time.Millisecond
	sleepAfter = 100 // looks at an empty queue
)

// again is how long the writer waits before it tries again.
var again = retry.Backoff{First: 100 * time.Millisecond, Most: time.Second}

// write is the writer's loop: it ends when the queue is closed and empty, or may take no longer.
func (s *Spool) write(entered bool) {
	defer close(s.ended)
	if !entered && !s.await() {
		s.loseAll()
		return
	}
	defer s.closeFile()
	var taken []*chunk
	pause := time.NewTimer(linger)
	defer pause.Stop()
	for empty := sleepAfter; ; {
		var closed bool
		taken, closed = s.queue.take(taken, empty >= sleepAfter)
		switch {
		case len(taken) > 0:
			empty = 0
		case closed:
			return
		case empty >= sleepAfter:
			<-s.queue.wake
			continue
		default:
			empty++
		}
		for _, c := range taken {
			s.put(c)
			s.queue.release(c)
		}
		if closed {
			continue
		}
		pause.Reset(linger)
		select {
		case <-s.queue.wake:
		case <-pause.C:
		}
	}
}

// await tries again and again to take the folder; false when it could not until the end.
func (s *Spool) await() bool {
	for failures := 1; ; failures++ {
		last := false
		select {
		case <-s.sealing:
			last = true
		case <-time.After(again.Full(failures, rand.Float64)):
		}
		err := s.enter()
		if s.state(err); err == nil || last {
			return err == nil
		}
	}
}

// loseAll counts what waits in the queue as lost, until that is closed.
func (s *Spool) loseAll() {
	taken, _ := s.queue.take(nil, false)
	for _, c := range taken {
		s.metrics.drop(dropClosed, c.records, int64(len(c.data)))
		s.left += c.records
		s.queue.release(c)
	}
}

// put writes a chunk of either kind, and counts what of it is lost at the end.
func (s *Spool) put(c *chunk) {
	if !c.raw {
		s.keepOrLose(c)
		return
	}
	next := s.o.Render(c.data)
	for more := true; more; {
		piece := chunk{data: s.rendered[:0], began: c.began}
		for more && len(piece.data) < chunkBytes {
			if piece.data, more = next(piece.data); more {
				piece.records++
			}
		}
		if piece.records > 0 {
			s.keepOrLose(&piece)
		}
		s.rendered = piece.data
	}
}

func (s *Spool) keepOrLose(c *chunk) {
	if !s.keep(c) {
		s.metrics.drop(dropClosed, c.records, int64(len(c.data)))
		s.left += c.records
	}
}

// keep writes a chunk, however often that must be tried; false when the time for it is over.
func (s *Spool) keep(c *chunk) bool {
	for failures := 1; ; failures++ {
		err := s.append(c)
		if errors.Is(err, syscall.ENOSPC) && s.shed() {
			s.metrics.writeErrors.Inc()
			continue
		}
		if s.state(err); err == nil {
			return true
		}
		select {
		case <-s.closing:
			return false
		case <-time.After(again.Near(failures, rand.Float64)):
		}
	}
}

// shed makes room on a full disk where the spool is the store: the newest entries are worth more than
// the oldest. What is to be shipped waits for room instead.
func (s *Spool) shed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.Outbox || len(s.segments) < 2 {
		return false
	}
	s.removeOldest()
	return true
}

// state notes whether writing works. A change is told once.
func (s *Spool) state(err error) {
	if err != nil {
		s.metrics.writeErrors.Inc() // before anybody sees the failure
	}
	s.mu.Lock()
	before := s.failing
	s.failing = err
	if err != nil {
		s.signal()
	}
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		s.o.Log.Error("log spool: cannot write; entries wait in memory, and are lost when that is full", "dir", s.o.Dir, "error", err)
	case err == nil && before != nil:
		s.o.Log.Info("log spool: writes again", "dir", s.o.Dir)
	}
}

// append writes a chunk behind the last segment, or into a new one. Until it is whole nobody reads
// it; a part that was written is cut off.
func (s *Spool) append(c *chunk) error {
	size := int64(len(c.data))
	if err := s.room(size); err != nil {
		return err
	}
	seg := s.last
	if s.dirty {
		if err := s.file.Truncate(seg.size); err != nil {
			return err
		}
		s.dirty = false
	}
	if _, err := s.file.WriteAt(c.data, seg.size); err != nil {
		s.dirty = s.file.Truncate(seg.size) != nil
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.wrote(size, c.records, c.began)
	s.bytes += size
	s.written += uint64(c.records) //nolint:gosec // a count
	s.signal()
	return nil
}

// room makes room for so many bytes: by a new segment when the last one is full, and by removing the
// oldest ones when all are.
func (s *Spool) room(size int64) error {
	if s.last == nil || s.last.size > 0 && s.last.size+size > s.segmentSize() {
		s.closeFile()
		number := s.number + 1
		fresh := &segment{number: number, path: segmentPath(s.o.Dir, number)}
		f, err := os.OpenFile(fresh.path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, fileMode)
		if err != nil {
			return err
		}
		s.file, s.dirty, s.last, s.number = f, false, fresh, number
		s.mu.Lock()
		if n := len(s.segments); n > 0 {
			s.note(s.segments[n-1])
		}
		s.segments = append(s.segments, fresh)
		s.mu.Unlock()
	} else if s.file == nil {
		f, err := os.OpenFile(s.last.path, os.O_RDWR, fileMode)
		if err != nil {
			return err
		}
		s.file, s.dirty = f, true
	}
	s.cap(size)
	return nil
}

func (s *Spool) segmentSize() int64 { return min(segmentBytes, s.o.MaxBytes/leastSegments) }

// cap removes the oldest segments while there are more bytes than may be.
func (s *Spool) cap(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.bytes+size > s.o.MaxBytes && len(s.segments) > 1 {
		s.removeOldest()
	}
}

// removeOldest removes the oldest segment, and counts what goes with it. What the shipper holds of
// it is not lost yet.
func (s *Spool) removeOldest() {
	seg := s.segments[0]
	seg.removed = true
	if seg.uncounted && (!s.o.Outbox || seg.given.offset < seg.size) {
		seg.mustCount()
	}
	s.segments = s.segments[1:]
	s.bytes -= seg.size
	if err := os.Remove(seg.path); err != nil {
		s.metrics.writeErrors.Inc()
	}
	records, bytes := seg.count()-seg.given.records, seg.size-seg.given.offset
	switch {
	case !s.o.Outbox:
		s.metrics.aged(seg.records, seg.size)
	case records > 0:
		s.metrics.drop(dropSpoolFull, int(records), bytes)
	}
}

// closeFile flushes the segment that was written to the device, beside the writing of the next one.
func (s *Spool) closeFile() {
	if s.file == nil {
		return
	}
	f := s.file
	s.file = nil
	old := ""
	if s.number > cachedSegments {
		old = segmentPath(s.o.Dir, s.number-cachedSegments)
	}
	s.syncing.Wait()
	s.syncing.Go(func() {
		if err := f.Sync(); err != nil {
			s.metrics.writeErrors.Inc()
		}
		_ = f.Close()
		if f, err := os.Open(old); old != "" && err == nil {
			forget(f)
			_ = f.Close()
		}
	})
}

// cachedSegments is how many of the newest may stay in the page cache: the shipper is there, unless
// it is held up for long.
const cachedSegments = 4
