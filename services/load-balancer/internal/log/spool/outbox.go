package spool

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"
)

// Outbox hands out what is to be shipped, in the order in which it was written, one batch at a time.
// It is for one goroutine.
type Outbox struct {
	s     *Spool
	seg   *segment // the batch's
	until place    // where it ends
	file  *os.File
	win   window

	body    []byte // of a batch that had to be looked at
	records int
}

// Outbox begins at what was not acknowledged yet.
func (s *Spool) Outbox() *Outbox { return &Outbox{s: s} }

// resume goes on where a process before was: what was acknowledged goes.
func resume(segments []*segment, done committed) error {
	for _, seg := range segments {
		switch {
		case seg.number < done.Segment, seg.number == done.Segment && done.Offset >= seg.size:
			seg.acknowledged = place{seg.size, seg.records}
		case seg.number == done.Segment && done.Offset > 0:
			seg.acknowledged = place{done.Offset, done.Records}
			if done.Records == 0 { // an older version did not note it
				before := &segment{path: seg.path}
				if _, err := before.load(done.Offset); err != nil {
					return err
				}
				seg.acknowledged.records = before.records
			}
		}
		seg.given = seg.acknowledged
	}
	return nil
}

// tidy removes what is shipped, but for the segment that is written.
func (s *Spool) tidy() {
	for len(s.segments) > 1 && s.segments[0].acknowledged.offset >= s.segments[0].size {
		s.removeOldest()
	}
}

// Next is the next batch: whole entries, one after the other. It comes when there are maxBytes, or
// maxWait after there was the first entry, and always before ctx ends with nothing. It is valid until
// the next call; without Commit that call gives the same again. What this process has written is read
// from the file as it is sent, and not looked at.
func (o *Outbox) Next(ctx context.Context, maxBytes int, maxWait time.Duration) (body io.ReaderAt, size int64, records int, err error) {
	var full <-chan time.Time
	sealed := (<-chan struct{})(o.s.ended) // then nothing more comes
	for late := false; ; {
		seg, ready, last, changed := o.waiting()
		switch {
		case ready >= int64(maxBytes), ready > 0 && (late || !last):
			body, size, records, err := o.batch(seg, maxBytes)
			if err != nil || records > 0 {
				return body, size, records, err
			}
			continue // it was garbage
		case ready > 0 && full == nil:
			timer := time.NewTimer(maxWait)
			defer timer.Stop()
			full = timer.C
		}
		select {
		case <-changed:
		case <-full:
			late = true
		case <-sealed:
			late, sealed = true, nil
		case <-ctx.Done():
			return nil, 0, 0, ctx.Err()
		}
	}
}

// Doubt says that the last batch was not what it should be, as when somebody has changed the file:
// from now on what is in it is looked at, and what is no entry is passed over.
func (o *Outbox) Doubt() {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.seg != nil {
		o.seg.clean = o.seg.size
	}
}

// waiting is the oldest segment with something to ship, how many bytes, whether more may be added
// to it, and what tells of more.
func (o *Outbox) waiting() (seg *segment, ready int64, last bool, changed <-chan struct{}) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	for i, seg := range o.s.segments {
		if ready := seg.size - seg.acknowledged.offset; ready > 0 {
			return seg, ready, i == len(o.s.segments)-1, o.s.changed
		}
	}
	return nil, 0, true, o.s.changed
}

// batch is what follows the acknowledged part of the segment; no records: there was none.
func (o *Outbox) batch(seg *segment, maxBytes int) (io.ReaderAt, int64, int, error) {
	if open, err := o.open(seg); err != nil || !open {
		return nil, 0, 0, err
	}
	o.s.mu.Lock()
	begin := seg.acknowledged
	until, known := seg.run(begin, int64(maxBytes))
	if known {
		seg.given = until
	}
	o.s.mu.Unlock()
	if known {
		o.until = until
		size := until.offset - begin.offset
		return io.NewSectionReader(o.file, begin.offset, size), size, int(until.records - begin.records), nil
	}
	if err := o.read(seg, maxBytes); err != nil {
		return nil, 0, 0, err
	}
	return bytes.NewReader(o.body), int64(len(o.body)), o.records, nil
}

// open opens the segment's file, unless it is; false when it is gone.
func (o *Outbox) open(seg *segment) (bool, error) {
	if o.seg == seg && o.file != nil {
		return true, nil
	}
	o.close()
	f, err := os.Open(seg.path)
	if os.IsNotExist(err) {
		o.s.vanished(seg)
		return false, nil // the next one is asked for
	}
	if err != nil {
		return false, err
	}
	o.seg, o.file = seg, f
	return true, nil
}

// read gathers a batch of what must be looked at.
func (o *Outbox) read(seg *segment, maxBytes int) error {
	o.body, o.records = o.body[:0], 0
	o.s.mu.Lock()
	begin, size := seg.acknowledged, seg.size
	o.s.mu.Unlock()
	o.win = window{offset: begin.offset, size: size, buffer: o.win.buffer}
	o.until = begin
	for {
		entry, err := o.win.next(o.file)
		if err != nil {
			return err
		}
		if entry == nil { // what is left is no entry
			o.until.offset = size
			o.s.counted(seg, size, o.until.records)
			break
		}
		if o.records > 0 && len(o.body)+len(entry) > maxBytes {
			break
		}
		o.body = append(o.body, entry...)
		o.records++
		o.until.offset, o.until.records = o.win.offset, o.until.records+1
	}
	o.s.mu.Lock()
	seg.given = o.until
	o.s.mu.Unlock()
	if garbage := o.until.offset - begin.offset - int64(len(o.body)); garbage > 0 {
		o.s.metrics.garbage.Add(float64(garbage))
	}
	if o.records == 0 {
		o.Commit()
	}
	return nil
}

// vanished counts what was in a segment whose file is gone, unless it went by age and is counted.
func (s *Spool) vanished(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !seg.removed {
		s.metrics.drop(dropVanished, int(seg.count()-seg.acknowledged.records), seg.size-seg.acknowledged.offset)
		seg.acknowledged = place{seg.size, seg.count()}
		seg.given = seg.acknowledged
	}
}

// Commit notes that all of the last batch was acknowledged. When that cannot be written, the next
// start ships some of it again; this must not hold up the shipping, which makes room on a full disk.
func (o *Outbox) Commit() {
	s := o.s
	s.mu.Lock()
	o.seg.acknowledged = o.until
	s.tidy()
	s.signal()
	s.mu.Unlock()
	if err := (committed{o.seg.number, o.until.offset, o.until.records}).write(s.o.Dir); err != nil {
		s.metrics.writeErrors.Inc()
	}
}

// Close ends the reading. A batch that was not acknowledged comes again after the next start; unless
// its segment is gone: then it is lost, and counted.
func (o *Outbox) Close() {
	o.close()
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if seg := o.seg; seg != nil && seg.removed && seg.given.records > seg.acknowledged.records {
		o.s.metrics.drop(dropSpoolFull, int(seg.given.records-seg.acknowledged.records), seg.given.offset-seg.acknowledged.offset)
		seg.acknowledged = seg.given
	}
}

func (o *Outbox) close() {
	if o.file != nil {
		_ = o.file.Close()
		o.file = nil
	}
}
