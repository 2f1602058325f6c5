package accesslog

import "sync"

// Ring keeps the last records. Any number of goroutines may use it at once.
type Ring struct {
	epoch    string
	maxBytes int64

	mu      sync.Mutex
	records []Record // a circle: the record of sequence s is at s % len
	first   uint64   // sequence of the oldest record that is kept
	next    uint64   // of the next one
	bytes   int64    // that the kept ones hold
	dropped uint64
}

// NewRing makes a ring for so many records, of so many bytes together. The epoch names this ring in
// the ids of its records, so that those of two processes differ; it has letters and digits alone.
func NewRing(maxRecords int, maxBytes int64, epoch string) *Ring {
	places := min(int64(maxRecords), max(maxBytes/recordSize, 1))
	return &Ring{epoch: epoch, maxBytes: maxBytes, records: make([]Record, places)}
}

// Add keeps a record. The oldest ones go when there is no room. It holds the lock for the time of a
// copy, and allocates nothing but where a text is too long.
func (g *Ring) Add(r Record) {
	r.bound()
	size := r.size()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.first < g.next && (g.next-g.first == uint64(len(g.records)) || g.bytes+size > g.maxBytes) {
		oldest := g.at(g.first)
		g.bytes -= oldest.size()
		*oldest = Record{} // its texts go
		g.first++
		g.dropped++
	}
	*g.at(g.next) = r
	g.next++
	g.bytes += size
}

func (g *Ring) at(sequence uint64) *Record { return &g.records[sequence%uint64(len(g.records))] }

// Stats are what the ring holds, and how many records have gone by age.
type Stats struct {
	Records int
	Bytes   int64
	Dropped uint64
}

// Stats are those of this moment.
func (g *Ring) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Records: int(g.next - g.first), Bytes: g.bytes, Dropped: g.dropped} //nolint:gosec // at most len(records)
}

// copyBefore copies records older than before, newest first, and returns how many, and the sequence
// of the first of them. It holds the lock for few records only: whoever searches must not hold up
// requests.
func (g *Ring) copyBefore(before uint64, into []Record) (int, uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	newest := min(before, g.next)
	n := 0
	for n < len(into) && newest-uint64(n) > g.first {
		into[n] = *g.at(newest - 1 - uint64(n))
		n++
	}
	return n, newest - 1
}
