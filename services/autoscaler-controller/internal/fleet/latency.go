package fleet

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Sketch is an exponential histogram of times: bucket i counts times in (2^((i-1)/8), 2^(i/8)] ms.
type Sketch struct {
	Count   int64
	SumMs   float64
	Buckets map[int32]int64
}

// upTo is the part of a sketch that surely took no longer than d. An answer that has ended after a
// moment, and took less time than has passed from another one until then, was sent after that one.
func (s Sketch) upTo(d time.Duration) Sketch {
	if s.Count <= 0 {
		return Sketch{}
	}
	part := Sketch{Buckets: map[int32]int64{}}
	for i, n := range s.Buckets {
		if upper := math.Exp2(float64(i) / 8); upper <= float64(d)/float64(time.Millisecond) {
			part.Buckets[i] = n
			part.Count += n
			part.SumMs += float64(n) * (upper + math.Exp2(float64(i-1)/8)) / 2
		}
	}
	if part.Count == s.Count {
		part.SumMs = s.SumMs // exactly
	}
	return part
}

// Latency is what a sketch says, in ms.
type Latency struct{ Mean, P50, P95, P99 float64 }

const (
	slots     = 6
	slotWidth = 10 * time.Second
)

// latency keeps the last minute in slots of ten seconds; nil is empty.
type latency struct {
	ring [slots]struct {
		number int64
		since  time.Time // when the first of it came
		sketch Sketch
	}
}

// plus adds a sketch, and makes what it takes for it.
func (l *latency) plus(s Sketch, now time.Time) *latency {
	if s.Count <= 0 {
		return l
	}
	if l == nil {
		l = &latency{}
	}
	number := now.UnixNano() / int64(slotWidth)
	slot := &l.ring[number%slots]
	if slot.number != number {
		slot.number, slot.since, slot.sketch = number, now, Sketch{Buckets: map[int32]int64{}}
	}
	slot.sketch.Count += s.Count
	slot.sketch.SumMs += s.SumMs
	for i, n := range s.Buckets {
		slot.sketch.Buckets[i] += n
	}
	return l
}

// since tells whether anything is in the last minute.
func (l *latency) since(now time.Time) bool {
	_, ok := l.last(now)
	return ok
}

// last is the last minute; false when nothing ended in it.
func (l *latency) last(now time.Time) (Latency, bool) {
	if l == nil {
		return Latency{}, false
	}
	number := now.UnixNano() / int64(slotWidth)
	all := Sketch{Buckets: map[int32]int64{}}
	for i := range l.ring {
		if slot := &l.ring[i]; slot.number > number-slots && slot.number <= number {
			all.Count += slot.sketch.Count
			all.SumMs += slot.sketch.SumMs
			for b, n := range slot.sketch.Buckets {
				all.Buckets[b] += n
			}
		}
	}
	if all.Count == 0 {
		return Latency{}, false
	}
	return Latency{
		Mean: all.SumMs / float64(all.Count),
		P50:  all.percentile(0.50), P95: all.percentile(0.95), P99: all.percentile(0.99),
	}, true
}

// recent is the mean over the last ten to twenty seconds, in ms, and how old the oldest of it is;
// false when nothing ended in them.
func (l *latency) recent(now time.Time) (mean float64, age time.Duration, ok bool) {
	if l == nil {
		return 0, 0, false
	}
	number := now.UnixNano() / int64(slotWidth)
	var count int64
	var sum float64
	for i := range l.ring {
		if slot := &l.ring[i]; slot.number == number || slot.number == number-1 {
			count += slot.sketch.Count
			sum += slot.sketch.SumMs
			age = max(age, now.Sub(slot.since))
		}
	}
	if count == 0 {
		return 0, 0, false
	}
	return sum / float64(count), age, true
}

// percentile is the upper bound of the bucket that holds it.
func (s Sketch) percentile(p float64) float64 {
	var total, seen int64
	for _, n := range s.Buckets {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := int64(math.Ceil(p * float64(total)))
	for _, i := range slices.Sorted(maps.Keys(s.Buckets)) {
		if seen += s.Buckets[i]; seen >= rank {
			return math.Exp2(float64(i) / 8)
		}
	}
	return 0
}
