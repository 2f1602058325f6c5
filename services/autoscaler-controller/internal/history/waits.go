package history

import (
	"math"
	"slices"
	"time"
)

// Waits are how long the first requests of wake-ups waited, by how often: in steps of 9 %, so that what is read
// of them is within 5 % of what was. The zero value has none.
type Waits struct {
	of []wait // ordered
}

// wait is a step, and how often it was.
type wait struct {
	step  uint8
	times uint32
}

const (
	stepsOfTwo = 8                     // steps to twice as long
	firstStep  = 10 * time.Millisecond // up to there it is all one
	lastStep   = 127                   // ten minutes and more
	// mostSteps bounds how many different ones there are in an hour: what is more counts as the nearest.
	mostSteps = 12
)

func stepOf(d time.Duration) uint8 {
	if d <= firstStep {
		return 0
	}
	return uint8(min(math.Round(stepsOfTwo*math.Log2(float64(d)/float64(firstStep))), lastStep))
}

func (w wait) took() time.Duration {
	return time.Duration(float64(firstStep) * math.Exp2(float64(w.step)/stepsOfTwo)).Round(time.Millisecond)
}

// Add takes one more.
func (w *Waits) Add(d time.Duration) { w.AddTimes(d, 1) }

// AddTimes takes one that was so often.
func (w *Waits) AddTimes(d time.Duration, times int64) {
	if times > 0 {
		w.add(wait{stepOf(d), uint32(min(times, math.MaxUint32))})
	}
}

func (w *Waits) add(one wait) {
	if last := len(w.of) - 1; last < 0 || w.of[last].step < one.step { // they mostly come in order
		w.of = append(w.of, one)
		return
	}
	i, known := slices.BinarySearchFunc(w.of, one.step, func(a wait, step uint8) int { return int(a.step) - int(step) })
	if known {
		w.of[i].times = plus(w.of[i].times, one.times)
		return
	}
	w.of = slices.Insert(w.of, i, one)
}

// bound has there be no more different ones than an hour is kept with: those that are nearest become one.
func (w *Waits) bound() {
	for len(w.of) > mostSteps {
		at := 1
		for i := range w.of[1:] {
			if w.of[i+1].step-w.of[i].step < w.of[at].step-w.of[at-1].step {
				at = i + 1
			}
		}
		w.of[at].times = plus(w.of[at].times, w.of[at-1].times) // the longer one: it is not told better than it was
		w.of = slices.Delete(w.of, at-1, at)
	}
}

func plus(a, b uint32) uint32 {
	return uint32(min(uint64(a)+uint64(b), math.MaxUint32))
}

// Join takes all of others.
func (w *Waits) Join(other Waits) {
	for _, one := range other.of {
		w.add(one)
	}
}

// sum adds up those of many hours.
type sum [lastStep + 1]uint32

func (s *sum) join(w Waits) {
	for _, one := range w.of {
		s[one.step] = plus(s[one.step], one.times)
	}
}

func (s *sum) waits() (w Waits) {
	n := 0
	for _, times := range s {
		n += int(min(times, 1))
	}
	if n == 0 {
		return w
	}
	w.of = make([]wait, 0, n)
	for step, times := range s {
		if times > 0 {
			w.of = append(w.of, wait{uint8(step), times})
		}
	}
	return w
}

// Len is how many there are.
func (w Waits) Len() int64 {
	n := int64(0)
	for _, one := range w.of {
		n += int64(one.times)
	}
	return n
}

// Quantile is how long a share of them took at most; 0: there are none.
func (w Waits) Quantile(share float64) time.Duration {
	rank := int64(math.Ceil(share * float64(w.Len())))
	for _, one := range w.of {
		if rank -= int64(one.times); rank <= 0 {
			return one.took()
		}
	}
	return 0
}

// All yields them, the shortest first, each with how often it was.
func (w Waits) All(yield func(took time.Duration, times int64) bool) {
	for _, one := range w.of {
		if !yield(one.took(), int64(one.times)) {
			return
		}
	}
}
