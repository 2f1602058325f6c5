// Package spool keeps the log's entries on the disk until they are shipped, and is the store itself
// where nothing ships them.
//
//	Offer → queue (bounded in bytes, in memory) → writer → segments (files) → Outbox (for a shipper)
//	                                                                       → Scan (newest first)
//
// An entry is two lines that the _bulk call of Elasticsearch takes as they are: the action and the
// document. What they say is not looked at here, so shipping is joining bytes, and people read the
// files with tail and jq. Segments are files of about 16 MiB, <number>.ndjson, that are only added
// to; a place is a segment and an offset.
//
// What it promises: an entry that Offer took is written at once after a pause, else within some
// milliseconds, together with those that came meanwhile; a process that is killed loses what sat in the queue, and no more. Files are
// flushed to the device when a segment is full and at the end, so a node that dies may lose the last
// seconds. What is full loses and counts: the queue what is offered, the files their oldest segment.
// A shipper that was killed ships again what it did not acknowledge.
//
// It is our own because tidwall/wal, the candidate, refuses to open what a killed process leaves
// (ErrCorrupt for half an entry at the end), is bounded by no number of bytes, and reads into
// memory whole segments.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// segmentBytes is the size of a segment, where the whole has room for several.
const segmentBytes = 16 << 20

// leastSegments is how many there are at least room for, so that what goes at once is a small part.
const leastSegments = 8

// Options of a spool.
type Options struct {
	Dir        string // made when it is not there
	MaxBytes   int64  // of all segments
	QueueBytes int64  // of what is not written yet
	Render     Render // nil where nothing raw is offered
	Outbox     bool   // somebody ships the entries and acknowledges them
	Now        func() time.Time
	Log        *slog.Logger
	Registry   prometheus.Registerer
}

// Render goes through a row of what was offered raw, and appends the entry that each stands for; false at
// the end. The writer alone calls it, so that who offers need not write the entry himself. The row stays
// as it is until the end is reached, and is used again after.
type Render func(row []byte) (next func(dst []byte) ([]byte, bool))

// Spool is an open folder.
type Spool struct {
	o       Options
	queue   queue
	metrics *metrics

	mu       sync.Mutex
	lock     *os.File   // nil: the folder is not open
	id       string     // of the folder
	segments []*segment // oldest first; the last one is written
	bytes    int64      // of all of them
	written  uint64     // records since Open
	changed  chan struct{}
	noted    int   // lines that were added to the index
	failing  error // why nothing can be written now

	// The writer's alone.
	rendered []byte
	last     *segment // that is written; nil: a new one is begun
	number   uint64   // of the last segment there was
	file     *os.File // of last; nil: not open
	dirty    bool     // behind its end may be a part of an entry
	left     int      // entries that it had no time to write

	syncing  sync.WaitGroup
	counting sync.WaitGroup
	sealing  chan struct{} // closed when nothing more is taken in
	closing  chan struct{} // closed when the time to write the rest is over
	ended    chan struct{} // closed when the writer has ended
	once     sync.Once
}

// Open opens the folder, mends what a killed process left, and starts the writer. A folder that cannot
// be opened now (it is locked by another process, may not be written, is none) keeps nobody from
// serving: it is tried again for as long as it takes, Failing of the Stats says why, and what is offered
// meanwhile waits in the queue, and is lost and counted when that is full.
func Open(o Options) *Spool {
	s := &Spool{
		o: o, changed: make(chan struct{}), closing: make(chan struct{}), ended: make(chan struct{}), sealing: make(chan struct{}),
		queue: queue{limit: o.QueueBytes, now: o.Now, wake: make(chan struct{}, 1)},
	}
	s.metrics = newMetrics(s)
	o.Registry.MustRegister(&collector{s})
	err := s.enter()
	s.state(err)
	go s.write(err == nil)
	return s
}

// enter takes the folder for this process, and what is in it.
func (s *Spool) enter() error {
	if err := os.MkdirAll(s.o.Dir, dirMode); err != nil {
		return err
	}
	lock, err := acquire(filepath.Join(s.o.Dir, "lock"))
	if err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return errors.Join(err, lock.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lock = lock
	s.signal()
	return nil
}

// load finds what is in the folder. Only the last segment is read: how many entries the others have is
// in the index, or counted later.
func (s *Spool) load() error {
	id, err := identify(s.o.Dir)
	if err != nil {
		s.o.Log.Warn("log spool: the folder's identity cannot be kept; the next start makes another", "error", err)
	}
	all, cut, err := loadSegments(s.o.Dir)
	if err != nil {
		return err
	}
	if cut > 0 {
		s.o.Log.Warn("log spool: half an entry was cut off", "bytes", cut)
	}
	done := readCommitted(s.o.Dir)
	if s.o.Outbox {
		if err := resume(all, done); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.segments, s.bytes, s.last, s.number = id, all, 0, nil, done.Segment
	for _, seg := range all {
		s.bytes += seg.size
	}
	if n := len(all); n > 0 && (all[n-1].number > done.Segment || all[n-1].number == done.Segment && all[n-1].size >= done.Offset) {
		s.last, s.number = all[n-1], all[n-1].number // else what is written next would lie before what was acknowledged
	}
	if s.o.Outbox {
		s.tidy()
	}
	s.counting.Go(s.countRest)
	return nil
}

// Offer takes an entry in and returns at once: true, or false when it is lost, which is counted. It
// copies the entry.
func (s *Spool) Offer(entry []byte) bool {
	if _, _, ok := split(entry); !ok {
		s.metrics.drop(dropMalformed, 1, int64(len(entry)))
		return false
	}
	return s.OfferOwn(entry)
}

// OfferOwn is Offer for who writes nothing but whole entries: only its length is looked at.
func (s *Spool) OfferOwn(entry []byte) bool {
	reason := dropMalformed
	if n := len(entry); n > 0 && n <= maxEntry {
		reason = s.queue.put(entry, false)
	}
	if reason != "" {
		s.metrics.drop(reason, 1, int64(len(entry)))
	}
	return reason == ""
}

// OfferRaw is Offer for what Render makes one entry of.
func (s *Spool) OfferRaw(raw []byte) bool {
	reason := dropMalformed
	if s.o.Render != nil {
		reason = s.queue.put(raw, true)
	}
	if reason != "" {
		s.metrics.drop(reason, 1, int64(len(raw)))
	}
	return reason == ""
}

// Flush waits until all that was offered before is written.
func (s *Spool) Flush(ctx context.Context) error {
	s.queue.mu.Lock()
	until := s.queue.offered
	s.queue.mu.Unlock()
	for {
		s.mu.Lock()
		written, changed, failing := s.written, s.changed, s.failing
		s.mu.Unlock()
		switch {
		case written >= until:
			return nil
		case failing != nil:
			return failing
		}
		s.queue.hurry()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Seal ends the taking in: it writes what is in the queue, as long as ctx lets it. What could not be
// written is lost and counted.
func (s *Spool) Seal(ctx context.Context) error {
	s.once.Do(func() {
		s.queue.close()
		close(s.sealing)
		stop := context.AfterFunc(ctx, func() { close(s.closing) })
		<-s.ended
		stop()
		s.syncing.Wait()
		s.counting.Wait()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		return fmt.Errorf("%d entries are lost: %w", s.left, s.failing)
	}
	return nil
}

// Drain waits until all that was written is acknowledged, and says how many records are not when ctx
// ends first.
func (s *Spool) Drain(ctx context.Context) int64 {
	for {
		s.mu.Lock()
		var left int64
		for _, seg := range s.segments {
			left += seg.count() - seg.acknowledged.records
		}
		changed := s.changed
		s.mu.Unlock()
		if left == 0 {
			return 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return left
		}
	}
}

// Close seals the spool, and lets others have the folder.
func (s *Spool) Close(ctx context.Context) error {
	err := s.Seal(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

// signal tells who waits that something was written or has changed.
func (s *Spool) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Stats are what the spool holds.
type Stats struct {
	Segments int
	Bytes    int64
	Records  int64
	Written  uint64 // records since the spool was opened

	QueueBytes   int64
	QueueRecords int64

	// Of what was written, what a shipper has not had acknowledged.
	UnshippedBytes   int64
	UnshippedRecords int64
	OldestUnshipped  time.Time // zero: there is none

	Failing error // why nothing can be written now

	LostAt  time.Time // when an entry was lost last; zero: none was
	LostWhy string    // as the metric has it
}

// Stats are those of this moment.
func (s *Spool) Stats() Stats {
	s.queue.mu.Lock()
	out := Stats{QueueBytes: s.queue.bytes, QueueRecords: s.queue.records}
	out.LostAt, out.LostWhy = s.metrics.lostLast()
	if len(s.queue.filling) > 0 {
		out.OldestUnshipped = s.queue.filling[0].began
	}
	s.queue.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Segments, out.Bytes, out.Written, out.Failing = len(s.segments), s.bytes, s.written, s.failing
	var oldest time.Time
	for _, seg := range s.segments {
		out.Records += seg.count()
		out.UnshippedRecords += seg.count() - seg.acknowledged.records
		out.UnshippedBytes += seg.size - seg.acknowledged.offset
		if oldest.IsZero() {
			oldest = seg.since(seg.acknowledged.offset)
		}
	}
	if !oldest.IsZero() {
		out.OldestUnshipped = oldest
	}
	if !s.o.Outbox {
		out.UnshippedBytes, out.UnshippedRecords, out.OldestUnshipped = 0, 0, time.Time{}
	}
	return out
}
