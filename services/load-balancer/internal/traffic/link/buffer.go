package link

import (
	"math/bits"
	"sync"
)

// The sizes of buffers: powers of two.
const (
	smallest     = 4 << 10
	atOnce       = 64 << 10 // that is read into at once
	smallestBits = 12
	classes      = 8 // up to largest
	largest      = smallest << (classes - 1)
)

// buffer is one piece of memory that is used again.
type buffer struct{ bytes []byte }

var pools [classes]sync.Pool

func classOf(n int) int {
	return min(max(bits.Len(uint(max(n-1, 0)))-smallestBits, 0), classes-1)
}

// get returns a buffer of at least n bytes.
func get(n int) *buffer {
	if n > largest {
		return &buffer{bytes: make([]byte, n)} // which nobody keeps
	}
	class := classOf(n)
	if b, ok := pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{bytes: make([]byte, smallest<<class)}
}

func put(b *buffer) {
	if len(b.bytes) <= largest {
		pools[classOf(len(b.bytes))].Put(b)
	}
}

// Output is a buffer for what is written: it takes memory when something is put in, and gives it
// back when it is empty.
type Output struct {
	buffer *buffer
	Bytes  []byte // what is in it; append to it after Grow
}

// Grow makes room for n bytes more, at the least.
func (o *Output) Grow(n int) {
	if o.buffer == nil {
		o.buffer = get(n)
		o.Bytes = o.buffer.bytes[:0]
		return
	}
	if cap(o.Bytes)-len(o.Bytes) >= n {
		return
	}
	larger := get(max(len(o.Bytes)+n, 2*cap(o.Bytes)))
	kept := larger.bytes[:copy(larger.bytes, o.Bytes)]
	put(o.buffer)
	o.buffer, o.Bytes = larger, kept
}

// Empty gives the memory back.
func (o *Output) Empty() {
	if o.buffer != nil {
		put(o.buffer)
		o.buffer, o.Bytes = nil, nil
	}
}
