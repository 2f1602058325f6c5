package spool

import (
	"sync"
	"time"
)

// chunkBytes is how much is written at once at most, but for a single entry that is longer.
const chunkBytes = 256 << 10

// chunk is a row of whole entries.
type chunk struct {
	data    []byte
	records int
	began   time.Time // when the first of them came
}

var chunks = sync.Pool{New: func() any { return &chunk{data: make([]byte, 0, chunkBytes)} }}

// queue holds what was offered and is not on the disk yet. Who offers holds its lock for the time of
// a copy, and never waits for the disk.
type queue struct {
	limit int64
	now   func() time.Time
	wake  chan struct{} // holds one: there is work for the writer

	mu      sync.Mutex
	filling []*chunk
	bytes   int64 // also those that the writer has taken and not written
	records int64
	offered uint64 // records that were taken in, ever
	asleep  bool   // the writer waits for the next entry
	closed  bool
}

// put takes an entry in; "" or the reason why not.
func (q *queue) put(entry []byte) string {
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
	if n == 0 || len(q.filling[n-1].data)+len(entry) > chunkBytes {
		c := chunks.Get().(*chunk) //nolint:forcetypeassert // the pool holds nothing else
		c.began = q.now()
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

// hurry has the writer come now.
func (q *queue) hurry() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take hands out all that waits, and whether that is all that will ever come; the chunks stay in the account until they are released. When there is
// nothing, the next entry calls the writer at once.
func (q *queue) take(into []*chunk) ([]*chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = append(into[:0], q.filling...)
	clear(q.filling)
	q.filling = q.filling[:0]
	q.asleep = len(into) == 0
	return into, q.closed
}

// release takes a chunk out of the account. What it held is on the disk, or lost.
func (q *queue) release(c *chunk) {
	q.mu.Lock()
	q.bytes -= int64(len(c.data))
	q.records -= int64(c.records)
	q.mu.Unlock()
	c.records = 0
	if c.data = c.data[:0]; cap(c.data) <= 2*chunkBytes {
		chunks.Put(c)
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.hurry()
}
