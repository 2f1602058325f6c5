package dispatch

import (
	"math"
	"time"
)

// Sketch counts times in an exponential histogram: bucket i is for times in (2^((i-1)/8), 2^(i/8)]
// milliseconds. Merging two is adding counts; a percentile read from one is off by at most 9%.
type Sketch struct {
	Count   int64
	SumMs   float64
	Buckets [sketchBuckets]int64 // of the indices LowestBucket and up; what is outside counts at the end
}

// The buckets of a sketch: from 4 µs to 4 hours.
const (
	LowestBucket  = -64
	sketchBuckets = 256
	perDoubling   = 8
)

// bounds are the upper bounds of the buckets between 1 and 2.
var bounds = func() (b [perDoubling]float64) {
	for i := range b {
		b[i] = math.Exp2(float64(i) / perDoubling)
	}
	return b
}()

func (s *Sketch) add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	s.Buckets[bucketOf(ms)-LowestBucket]++
	s.Count++
	s.SumMs += max(ms, 0)
}

// bucketOf is the index of the bucket for a time. It takes the exponent out of the number in place of
// a logarithm: it is asked for each request.
func bucketOf(ms float64) int {
	if !(ms > 0) {
		return LowestBucket
	}
	fraction, exponent := math.Frexp(ms) // ms is fraction × 2^exponent, and the fraction from 0.5 to 1
	fraction *= 2
	i := 0
	for i < perDoubling && fraction > bounds[i] {
		i++
	}
	return min(max((exponent-1)*perDoubling+i, LowestBucket), LowestBucket+sketchBuckets-1)
}

func (s *Sketch) merge(other *Sketch) {
	s.Count += other.Count
	s.SumMs += other.SumMs
	for i, n := range other.Buckets {
		s.Buckets[i] += n
	}
}

// Merged is what two sketches count together; nil is one that counts nothing. Neither is altered.
func Merged(a, b *Sketch) *Sketch {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	sum := *a
	sum.merge(b)
	return &sum
}

// Times are how long answers took that ended, or began, since the last report. A nil sketch counts
// nothing: an application that is quiet has no memory for them.
type Times struct {
	Whole      *Sketch // answers that were no streams, to their end
	WholeBegun *Sketch // the same, to their head
	Streams    *Sketch // streams, to their first byte
}

// Response is how long who asks waits for an answer: for all of it or, of a stream, for its first byte.
func (t Times) Response() *Sketch { return Merged(t.Whole, t.Streams) }

// FirstByte is how long the first byte of every answer took.
func (t Times) FirstByte() *Sketch { return Merged(t.WholeBegun, t.Streams) }

// restore gives back what could not be delivered.
func (t *Times) restore(taken Times) {
	for _, both := range []struct {
		now   **Sketch
		taken *Sketch
	}{{&t.Whole, taken.Whole}, {&t.WholeBegun, taken.WholeBegun}, {&t.Streams, taken.Streams}} {
		if both.taken != nil {
			*both.now = Merged(*both.now, both.taken)
		}
	}
}

func addTo(s **Sketch, d time.Duration) {
	if *s == nil {
		*s = &Sketch{}
	}
	(*s).add(d)
}
