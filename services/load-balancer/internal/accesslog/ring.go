package accesslog

import (
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// Ring keeps the last records in memory, bounded by count and by bytes: what Find can show of them,
// and no more. Any number of goroutines may use it at once.
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
	r.shorten()
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

// step is how many records are copied at once.
const step = 32

// Find finds records, the one that ended last first. A page begins where the one before ended,
// whatever was added meanwhile.
func (g *Ring) Find(q Query) (Page, error) {
	before := ^uint64(0)
	if q.After != "" {
		place, ok := g.sequence(q.After)
		if !ok {
			return Page{}, ErrCursor
		}
		before = place
	}
	var (
		page    Page
		some    [step]Record
		matcher = q.Matcher()
	)
	for {
		n, newest := g.copyBefore(before, some[:])
		for i := range n {
			before = newest - uint64(i)
			if !matcher.Match(&some[i]) {
				continue
			}
			if len(page.Entries) == q.Limit {
				page.Next = page.Entries[q.Limit-1].ID
				return page, nil
			}
			page.Entries = append(page.Entries, Entry{ID: g.id(before), Record: some[i]})
		}
		if n == 0 {
			return page, nil
		}
	}
}

func (g *Ring) id(sequence uint64) string { return g.epoch + "." + strconv.FormatUint(sequence, 36) }

func (g *Ring) sequence(id string) (uint64, bool) {
	text, ok := strings.CutPrefix(id, g.epoch+".")
	if !ok {
		return 0, false
	}
	sequence, err := strconv.ParseUint(text, 36, 64)
	return sequence, err == nil && g.id(sequence) == id
}

// keptURI is the length of a request's target from which on copies of its parts are kept: they
// would keep the whole of it alive.
const keptURI = 1024

// shorten drops what is not shown, and shortens what is too long. What is cut is copied: a part of
// a string keeps all of it alive.
func (r *Record) shorten() {
	if len(r.Path)+len(r.Query) > keptURI {
		r.Method, r.Path, r.PodPath = strings.Clone(r.Method), strings.Clone(r.Path), strings.Clone(r.PodPath)
	}
	r.Query, r.RequestID, r.UserAgent, r.Referrer, r.RequestType, r.ResponseType = "", "", "", "", "", ""
	r.RequestHeaders, r.ResponseHeaders, r.GenAI.Model = nil, nil, ""
	for _, s := range []struct {
		text  *string
		limit int
	}{
		{&r.Method, maxWord}, {&r.Host, maxHost}, {&r.Path, maxPath}, {&r.PodPath, maxPath},
		{&r.Client, maxWord}, {&r.Peer, maxWord}, {&r.Error, maxError},
	} {
		if len(*s.text) > s.limit {
			*s.text = strings.Clone(cut(*s.text, s.limit))
		}
	}
}

// recordSize is what a record holds beside its texts.
const recordSize = int64(unsafe.Sizeof(Record{}))

// size is what the record holds in memory. The names of applications and pods, and the reasons, are
// shared by all records and not counted.
func (r *Record) size() int64 {
	return recordSize + int64(len(r.Method)+len(r.Host)+len(r.Path)+len(r.PodPath)+len(r.Client)+len(r.Peer)+len(r.Error))
}
