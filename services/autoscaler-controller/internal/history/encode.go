package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The encoding of what is kept: the savings, and of each ring that outlives a process its slots, those that are
// being filled included, as runs, the newest first. Newest first, so that what does not fit is the oldest.
//
//	1 byte    version
//	5 × 8     the savings, as IEEE 754; before them since, in Unix milliseconds (varint)
//	varint    until, in Unix milliseconds
//	rules     varint how many; each 4 bytes of its name's hash, varint since and last, as numbers of hours
//	ledger    varint the newest hour's number + 1 (0: there are none), varint bytes; the hours as runs, the oldest first
//	rings     the coarsest first: varint number of the newest slot, varint runs; each as slot.append has it
//
// Version 1 had neither rules nor ledger.
const encoding = 2

// keptRings are those that are kept, by their place among the shapes: the hours first, for they tell most per byte.
var keptRings = [...]int{2, 1}

// ErrMalformed is what is no encoding of a history.
var ErrMalformed = errors.New("malformed history")

// Encode writes what is kept into at most so many bytes, as of now. Where that is not enough the oldest of the
// finest ring is left out, then of the next one; cut says so. nil: it is less than the least.
func (h *History) Encode(most int) (out []byte, cut bool) {
	out = append(out, encoding)
	out = binary.AppendVarint(out, h.savings.Since.UnixMilli())
	for _, v := range h.savings.values() {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(*v))
	}
	out = binary.AppendVarint(out, h.until.UnixMilli())
	const least = 1 + 1 // of the rules and the ledger
	if len(out)+least+len(keptRings) > most {
		return nil, true
	}
	// They have a third of the room: by far enough, but where the room is small.
	room := least + (most-len(out)-least-len(keptRings))/3
	part, fits := h.fired.encode(room - 1)
	out, room, cut = append(out, part...), room-len(part), cut || !fits
	part, fits = h.ledger.encode(room)
	out, cut = append(out, part...), cut || !fits
	for at, i := range keptRings {
		behind := len(keptRings) - 1 - at // a byte for each ring that follows
		part, whole := h.rings[i].encode(shapes[i], most-len(out)-behind)
		out = append(out, part...)
		cut = cut || !whole
	}
	return out, cut
}

func (s *Savings) values() [5]*float64 {
	return [5]*float64{&s.Observed, &s.Asleep, &s.PodSeconds, &s.SavedAgainstOne, &s.SavedAgainstMaximum}
}

// encode writes the newest runs that fit; false: not all did.
func (r *ring) encode(of shape, most int) (out []byte, whole bool) {
	const head = 2*binary.MaxVarintLen64 + 1
	if !r.begun {
		return binary.AppendUvarint(nil, 0), true
	}
	runs, body := 0, []byte(nil)
	whole = true
	room := most - head
	add := func(s slot, times uint64) bool {
		before := len(body)
		body = s.append(body, times)
		if len(body) > room {
			body, whole = body[:before], false
			return false
		}
		runs++
		return true
	}
	if add(r.open.close(of), 1) {
		for i := len(r.runs) - 1; i >= 0 && add(r.runs[i].slot(), uint64(r.runs[i].more)+1); i-- {
		}
	}
	if most < head {
		return binary.AppendUvarint(nil, 0), false
	}
	out = binary.AppendUvarint(nil, 1)
	out = binary.AppendVarint(out, r.open.at)
	out = binary.AppendUvarint(out, uint64(runs))
	return append(out, body...), whole
}

// append writes a run: how often it stands, and six varints; or 0 and the slot as it is, which is once, where that is shorter.
func (s slot) append(to []byte, times uint64) []byte {
	before := len(to)
	to = binary.AppendUvarint(to, times)
	for _, v := range [...]uint16{s.arrivals, s.waiting, s.pods, uint16(s.replicas), uint16(s.ready), uint16(s.marks)} {
		to = binary.AppendUvarint(to, uint64(v))
	}
	if times > 1 || len(to)-before <= 1+slotBytes {
		return to
	}
	to = append(to[:before], 0)
	for _, v := range [...]uint16{s.arrivals, s.waiting, s.pods} {
		to = binary.LittleEndian.AppendUint16(to, v)
	}
	return append(to, s.replicas, s.ready, s.marks)
}

// slotBytes is what a slot takes as it is.
const slotBytes = 9

func (d *decoder) slot() (s slot, times uint64) {
	if times = d.bounded(256); times == 0 {
		return slot{d.word(), d.word(), d.word(), d.byte(), d.byte(), d.byte()}, 1
	}
	return slot{
		arrivals: uint16(d.bounded(math.MaxUint16)), waiting: uint16(d.bounded(math.MaxUint16)), pods: uint16(d.bounded(math.MaxUint16)), //nolint:gosec // G115: bounded
		replicas: uint8(d.bounded(math.MaxUint8)), ready: uint8(d.bounded(math.MaxUint8)), marks: uint8(d.bounded(math.MaxUint8)), //nolint:gosec // G115: bounded
	}, times
}

// Decode reads what Encode wrote. What is not that is ErrMalformed; it is never partly taken.
func Decode(from []byte) (*History, error) {
	d := decoder{from: from}
	version := d.byte()
	if d.failed || version < 1 || version > encoding {
		return nil, fmt.Errorf("%w: version %d, this reads up to %d", ErrMalformed, version, encoding)
	}
	h := &History{}
	since := d.signed()
	for _, v := range h.savings.values() {
		if *v = d.float(); !(*v >= 0) || math.IsInf(*v, 0) {
			d.failed = true
		}
	}
	h.until = d.moment(d.signed())
	h.savings.Since = d.moment(since)
	if version > 1 {
		h.fired, h.ledger = d.fired(), d.ledger()
	}
	for _, i := range keptRings {
		h.rings[i] = d.ring(shapes[i])
	}
	if d.failed || len(d.from) > 0 {
		return nil, ErrMalformed
	}
	return h, nil
}

// decoder reads; after a fault it reads nothing but zeros.
type decoder struct {
	from   []byte
	failed bool
}

func (d *decoder) byte() byte {
	if len(d.from) == 0 {
		d.failed = true
		return 0
	}
	b := d.from[0]
	d.from = d.from[1:]
	return b
}

// take steps over a number that was read from n bytes; none: there was no number.
func take[T uint64 | int64](d *decoder, v T, n int) T {
	if n <= 0 || d.failed {
		d.failed = true
		return 0
	}
	d.from = d.from[n:]
	return v
}

func (d *decoder) word() uint16 {
	low, high := d.byte(), d.byte()
	return uint16(low) | uint16(high)<<8
}

func (d *decoder) unsigned() uint64 {
	v, n := binary.Uvarint(d.from)
	return take(d, v, n)
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.from)
	return take(d, v, n)
}

func (d *decoder) float() float64 {
	if len(d.from) < 8 {
		d.failed = true
		return 0
	}
	return math.Float64frombits(take(d, binary.LittleEndian.Uint64(d.from), 8))
}

// farthest is a moment beyond any that there can be, in milliseconds.
const farthest = int64(1) << 43

var never = time.Time{}.UnixMilli()

func (d *decoder) moment(ms int64) time.Time {
	switch {
	case ms == never:
		return time.Time{}
	case ms < 0 || ms > farthest:
		d.failed = true
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// bounded reads a number up to a limit.
func (d *decoder) bounded(most uint64) uint64 {
	v := d.unsigned()
	if v > most {
		d.failed = true
		return 0
	}
	return v
}

func (d *decoder) ring(of shape) (r ring) {
	if d.bounded(1) == 0 {
		return r
	}
	newest := d.signed()
	if newest < 0 || newest > farthest/of.slot.Milliseconds() {
		d.failed = true
	}
	runs := d.bounded(uint64(of.slots)) //nolint:gosec // G115: some hundred
	slots := make([]run, 0, min(runs, uint64(len(d.from)/7)))
	total := uint64(0)
	for range runs {
		s, times := d.slot()
		if total += times; d.failed || total > uint64(of.slots) { //nolint:gosec // G115: some hundred
			d.failed = true
			return ring{}
		}
		slots = append(slots, runOf(s, int(times))) //nolint:gosec // G115: at most 256
	}
	if d.failed || total == 0 {
		d.failed = d.failed || runs > 0
		return ring{}
	}
	for i := len(slots) - 1; i > 0; i-- {
		r.push(of, slots[i].slot(), slots[i].times())
	}
	if slots[0].more > 0 {
		d.failed = true // it is one slot, the open one
	}
	r.open, r.begun = slots[0].slot().reopen(of, newest), true
	return r
}
