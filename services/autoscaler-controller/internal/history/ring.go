package history

import (
	"time"
)

// slot is one that is closed.
type slot struct {
	arrivals, waiting, pods uint16 // wide; pods in pod seconds
	replicas, ready         uint8  // narrow
	marks                   uint8  // two bits of how much was observed, six of the decisions
}

// run is a slot that stands so many times in a row, and once more. Its fields stand side by side, for its size.
type run struct {
	arrivals, waiting, pods uint16
	replicas, ready, marks  uint8
	more                    uint8
}

func runOf(s slot, times int) run {
	return run{s.arrivals, s.waiting, s.pods, s.replicas, s.ready, s.marks, uint8(times - 1)} //nolint:gosec // G115: at most 256 times
}

func (r *run) slot() slot { return slot{r.arrivals, r.waiting, r.pods, r.replicas, r.ready, r.marks} }

func (r *run) times() int { return int(r.more) + 1 }

// runBytes is what a run takes: a test holds that.
const runBytes = 10

// The shares of a slot that were looked at.
const (
	unseen = iota
	little // some of it
	most   // half and more
	all
)

var shares = [...]float64{unseen: 0, little: .25, most: .75, all: 1}

func share(seen, of time.Duration) uint8 {
	switch {
	case seen <= 0:
		return unseen
	case 2*seen < of:
		return little
	case seen < of-of/50:
		return most
	}
	return all
}

// ring holds the last slots of one length, as runs, the oldest first.
type ring struct {
	runs   []run
	closed int  // slots in the runs
	open   open // the one that is being filled
	begun  bool // there is an open one
}

// open is the slot that is being filled.
type open struct {
	at                int64 // its number, counted from the beginning of Unix time
	seen              time.Duration
	arrivals, pods    float64
	waiting, replicas int32
	ready, decisions  int32
}

// look takes what there was at a moment within the slot.
func (o *open) look(g gauges) {
	o.waiting, o.replicas, o.ready = max(o.waiting, g.waiting), max(o.replicas, g.replicas), max(o.ready, g.ready)
}

func number(at time.Time, of time.Duration) int64 { return at.UnixNano() / int64(of) }

func beginning(n int64, of time.Duration) time.Time { return time.Unix(0, n*int64(of)) }

// add takes a sample, divided among the slots over which its span goes. What was looked at stands where the span ends, for
// that is when it was; the slots that the span comes through have what was known as it began (before).
func (r *ring) add(of shape, from, to time.Time, before gauges, s *Sample) {
	span := to.Sub(from)
	for begin := from; begin.Before(to); {
		n := number(begin, of.slot)
		end := beginning(n+1, of.slot)
		if end.After(to) {
			end = to
		}
		r.reach(of, n)
		o, part := &r.open, end.Sub(begin)
		share := float64(part) / float64(span)
		o.seen += part
		o.arrivals += max(s.Arrivals, 0) * share
		o.pods += float64(max(s.Pods, 0)) * part.Seconds()
		if end.Before(to) {
			o.look(before)
		} else {
			o.look(s.gauges())
			o.decisions += max(s.Decisions, 0) // they are whole: a span's stand where it ends
		}
		begin = end
	}
}

// reach has the slot of this number be the open one.
func (r *ring) reach(of shape, n int64) {
	switch {
	case !r.begun:
		r.open, r.begun = open{at: n}, true
		return
	case n <= r.open.at:
		return
	}
	r.push(of, r.open.close(of), 1)
	r.push(of, slot{}, int(min(n-r.open.at-1, int64(of.slots)))) // nobody looked
	r.open = open{at: n}
}

func (o *open) close(of shape) slot {
	return slot{
		arrivals: wide(o.arrivals), waiting: wide(float64(o.waiting)), pods: wide(o.pods),
		replicas: narrow(o.replicas), ready: narrow(o.ready),
		marks: share(o.seen, of.slot)<<6 | few(o.decisions),
	}
}

// push appends slots that are alike, and drops the oldest beyond the ring's size: that of the open one is kept free.
func (r *ring) push(of shape, s slot, times int) {
	if times = min(times, of.slots-1); times <= 0 {
		return
	}
	r.trim(of.slots - 1 - times) // before it grows: there is room then
	r.closed += times
	if last := len(r.runs) - 1; last >= 0 && r.runs[last].slot() == s {
		fits := min(times, 255-int(r.runs[last].more))
		r.runs[last].more += uint8(fits) //nolint:gosec // G115: at most 255
		times -= fits
	}
	for times > 0 {
		fits := min(times, 256)
		r.grow(of)
		r.runs = append(r.runs, runOf(s, fits))
		times -= fits
	}
}

// trim drops the oldest slots, so that so many are left.
func (r *ring) trim(left int) {
	drop := 0
	for r.closed > left {
		first := &r.runs[drop]
		n := min(r.closed-left, first.times())
		r.closed -= n
		if n == first.times() {
			drop++
			continue
		}
		first.more -= uint8(n) //nolint:gosec // G115: less than its times
	}
	if drop > 0 {
		r.runs = r.runs[:copy(r.runs, r.runs[drop:])]
	}
}

// grow makes room for one more run, and for not many more: most applications never need them.
func (r *ring) grow(of shape) {
	if len(r.runs) < cap(r.runs) {
		return
	}
	room := make([]run, len(r.runs), min(len(r.runs)+len(r.runs)/8+4, of.slots))
	copy(room, r.runs)
	r.runs = room
}

// follow takes the slots of a newer ring.
func (r *ring) follow(of shape, newer *ring) {
	if !newer.begun {
		return
	}
	n := newer.open.at - int64(newer.closed)
	for i := range newer.runs {
		for range newer.runs[i].times() {
			r.put(of, n, newer.runs[i].slot())
			n++
		}
	}
	if r.begun && r.open.at > newer.open.at {
		return
	}
	shared := r.begun && r.open.at == newer.open.at
	before := r.open
	r.reach(of, newer.open.at)
	r.open = newer.open
	if shared {
		r.open.join(&before)
	}
}

// put has a closed slot stand at a place, unless something newer is known.
func (r *ring) put(of shape, n int64, s slot) {
	if r.begun && n < r.open.at {
		return
	}
	if r.begun && n == r.open.at && s.marks>>6 == unseen {
		return
	}
	r.reach(of, n)
	r.open = s.reopen(of, n)
}

// join adds what was known of the same slot before.
func (o *open) join(before *open) {
	o.seen += before.seen
	o.arrivals += before.arrivals
	o.pods += before.pods
	o.decisions += before.decisions
	o.look(gauges{before.waiting, before.replicas, before.ready})
}

// reopen is a closed slot as an open one, which closes to the same.
func (s slot) reopen(of shape, n int64) open {
	return open{
		at: n, seen: time.Duration(shares[s.marks>>6] * float64(of.slot)),
		arrivals: float64(unpack(s.arrivals, wideDigits)), pods: float64(unpack(s.pods, wideDigits)),
		waiting:  int32(min(unpack(s.waiting, wideDigits), 1<<30)),                                                     //nolint:gosec // G115: bounded
		replicas: int32(unpack(uint16(s.replicas), narrowDigits)), ready: int32(unpack(uint16(s.ready), narrowDigits)), //nolint:gosec // G115: at most half a million
		decisions: int32(unpack(uint16(s.marks&63), fewDigits)), //nolint:gosec // G115: at most 960
	}
}

// each yields the slots from a number on and before another one, the open one included.
func (r *ring) each(of shape, from, end int64, yield func(slot)) {
	if !r.begun {
		return
	}
	n := r.open.at - int64(r.closed)
	for i := range r.runs {
		s, last := r.runs[i].slot(), n+int64(r.runs[i].times())
		for at := max(n, from); at < min(last, end); at++ {
			yield(s)
		}
		n = last
	}
	if n >= from && n < end {
		yield(r.open.close(of))
	}
}

// read shows the slots until now.
func (r *ring) read(of shape, now time.Time) Series {
	out := Series{Resolution: of.resolution, Slot: of.slot, Slots: []Slot{}}
	current := number(now, of.slot)
	out.Start = beginning(current, of.slot)
	if !r.begun || r.open.at > current {
		return out
	}
	oldest := max(r.open.at-int64(r.closed), current-int64(of.slots)+1)
	if oldest > r.open.at { // it is all too long ago
		return out
	}
	out.Start = beginning(oldest, of.slot)
	out.Slots = make([]Slot, 0, current-oldest+1)
	n := r.open.at - int64(r.closed)
	take := func(s slot) {
		if n >= oldest {
			out.Slots = append(out.Slots, s.shown())
		}
		n++
	}
	for i := range r.runs {
		for range r.runs[i].times() {
			take(r.runs[i].slot())
		}
	}
	take(r.open.close(of))
	for n <= current {
		take(slot{})
	}
	return out
}

func (s slot) shown() Slot {
	return Slot{
		Observed: shares[s.marks>>6], Arrivals: unpack(s.arrivals, wideDigits), Waiting: unpack(s.waiting, wideDigits),
		Replicas: unpack(uint16(s.replicas), narrowDigits), Ready: unpack(uint16(s.ready), narrowDigits),
		PodSeconds: unpack(s.pods, wideDigits), Decisions: unpack(uint16(s.marks&63), fewDigits),
	}
}
