// Package journal joins the log's records with the spool: it chooses which are kept, gives each its
// id, and writes it as an entry; and it reads entries back and searches them, where no Elasticsearch
// does. What a record is and how it is written is said in accesslog, how entries are kept in spool.
package journal

import (
	"hash/fnv"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// IDs gives every entry of a process an id of its own, which no other process gives: not another
// replica, nor the same one after a restart.
type IDs struct {
	prefix string
	last   atomic.Uint64
}

// NewIDs makes the ids of the replica that has this identity and began at this moment.
func NewIDs(identity string, startedAt time.Time) *IDs {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(identity))
	return &IDs{prefix: strconv.FormatUint(hash.Sum64(), 36) + "." + strconv.FormatInt(startedAt.UnixNano(), 36) + "."}
}

// Next is one, as a prefix and a number to the base 36: who writes it makes no text for it. It has at
// most 40 characters.
func (i *IDs) Next() (prefix string, number uint64) { return i.prefix, i.last.Add(1) }

// Options of a journal.
type Options struct {
	Spool   *spool.Spool
	IDs     *IDs
	Entries accesslog.Options
	Sampler accesslog.Sampler
	Random  func() float64 // from 0 to below 1
}

// Journal takes records in. Any number of goroutines may use it at once.
type Journal struct {
	o         Options
	buffers   sync.Pool
	searching chan struct{}
	maxRead   int64
}

// searches is how many may go on at once: each reads files and decodes documents, beside requests.
const searches = 2

// maxRaw bounds the raw form of one record.
const maxRaw = 64 << 10

// maxKept is the largest buffer that is used again.
const maxKept = 64 << 10

// New makes a journal.
func New(o Options) *Journal {
	return &Journal{
		o: o, searching: make(chan struct{}, searches), maxRead: maxRead,
		buffers: sync.Pool{New: func() any { return new(make([]byte, 0, 4<<10)) }},
	}
}

// Renderer writes entries of the records that a journal with these options offers in their raw form: it
// goes through a row of them, and appends one at a time. It is for one goroutine.
func Renderer(ids *IDs, entries accesslog.Options) spool.Render {
	var r accesslog.Record
	return func(row []byte) func([]byte) ([]byte, bool) {
		// The record's texts are parts of the row, which nobody changes until all of it is written.
		rest := unsafe.String(unsafe.SliceData(row), len(row)) //nolint:gosec // G103: a copy of all that is logged is half of what the garbage collector has to do here
		return func(dst []byte) ([]byte, bool) {
			number, after, err := accesslog.ReadRaw(rest, &r)
			if err != nil { // the end, or it was not this journal that wrote it
				return dst, false
			}
			rest = after
			return accesslog.AppendNumbered(dst, ids.prefix, number, &r, entries), true
		}
	}
}

// Add copies a record and offers it to the spool, which never waits: the document is written by the
// spool's writer, together with others, and not at the end of the exchange. It notes its sample
// rate in the record, and keeps nothing of it: the texts in it may be views of buffers that are used
// again once Add has returned.
func (j *Journal) Add(r *accesslog.Record) {
	if !j.o.Sampler.Keep(r, j.o.Random) {
		return
	}
	buffer := j.buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	prefix, number := j.o.IDs.Next()
	if *buffer = accesslog.AppendRaw((*buffer)[:0], number, r); len(*buffer) <= maxRaw {
		j.o.Spool.OfferRaw(*buffer)
	} else { // someone has sent much that no document has
		*buffer = accesslog.AppendNumbered((*buffer)[:0], prefix, number, r, j.o.Entries)
		j.o.Spool.OfferOwn(*buffer)
	}
	if cap(*buffer) <= maxKept {
		j.buffers.Put(buffer)
	}
}
