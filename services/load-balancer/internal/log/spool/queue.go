package spool

import (
	"sync"
	"time"
)

// chunkBytes is about how much is written at once at most.
const chunkBytes = 256 << 10

// chunk is a row of whole entries.
type chunk struct {
	data    []byte
	records int
	raw     bool      // they are to be rendered
	began   time.Time // when the first of them came
}

// maxSpare is how many empty chunks are kept for what comes.
const maxSpare = 4

// queue holds what was offered and is not on the disk yet. Who offers holds its lock for the time of
// a copy, and never waits for the disk.
type queue struct {
	limit int64
	now   func() time.Time
	wake  chan struct{} // holds one: there is work for the writer

	mu      sync.Mutex
	filling []*chunk
	spare   []*chunk // empty
	bytes   int64    // also those that the writer has taken and not written
	records int64
	offered uint64 // records that were taken in, ever
	asleep  bool   // the writer waits for the next entry
	closed  bool
}

// put takes an entry in; "" or the reason why not.
func (q *queue) put(entry []byte, raw bool) string {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return dropClosed
	case q.bytes+int64(len(entry)) > q.limit:
		q.mu.Unlock()
		return dropQueueFull
	}
	n, hurry := len(q.filling), false
	if n == 0 || q.filling[n-1].raw != raw || len(q.filling[n-1].data)+len(entry) > chunkBytes {
		c := q.fresh()
		c.began, c.raw = q.now(), raw
		q.filling = append(q.filling, c)
		hurry = n > 0
		n++
	}
	c := q.filling[n-1]
	c.data = append(c.data, entry...)
	c.records++
	q.bytes += int64(len(entry))
	q.records++
	q.offered++
	hurry = hurry || q.asleep
	q.asleep = false
	q.mu.Unlock()
	if hurry {
		q.hurry()
	}
	return ""
}

// fresh is an empty chunk.
func (q *queue) fresh() *chunk {
	n := len(q.spare) - 1
	if n < 0 {
		return &chunk{data: make([]byte, 0, chunkBytes)}
	}
	c := q.spare[n]
	q.spare = q.spare[:n]
	return c
}

// hurry has the writer come now.
func (q *queue) hurry() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take hands out all that waits, and whether that is all that will ever come; the chunks stay in the
// account until they are released. When there is nothing, and the writer goes to sleep, the next entry
// calls it at once.
func (q *queue) take(into []*chunk, sleeps bool) ([]*chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = append(into[:0], q.filling...)
	clear(q.filling)
	q.filling = q.filling[:0]
	q.asleep = sleeps && len(into) == 0
	return into, q.closed
}

// release takes a chunk out of the account. What it held is on the disk, or lost.
func (q *queue) release(c *chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= int64(len(c.data))
	q.records -= int64(c.records)
	c.records = 0
	if c.data = c.data[:0]; cap(c.data) <= 2*chunkBytes && len(q.spare) < maxSpare {
		q.spare = append(q.spare, c)
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.hurry()
}
