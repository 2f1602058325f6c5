package history

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// The ledger is what a report needs beyond the rings: hour by hour what was saved, how wake-ups went, what was refused
// and for how long somebody else had the count. Most of it is mostly nothing, so its hours are not of one size:
// alike ones make one run, and of each only what is not nothing is kept. It goes back for eight days, a
// week's report and a day in which it may be late; where an application is so lively that its
// hours do not fit into ledgerBytes, the oldest go sooner, and who reads is told from when on there are any.
type ledger struct {
	kept   []byte // the closed hours as runs, the oldest first
	closed int    // hours in them
	last   int    // where the last run begins
	begun  bool
	at     int64 // the number of the hour that is being filled
	open   tally
}

// ReportedFor is how far back the hours go of which reports are made.
const ReportedFor = ledgerHours * time.Hour

const (
	ledgerHours = 8 * 24
	ledgerBytes = 1536
	mostTally   = 128 // bytes of one
)

// tally is what is counted of an hour.
type tally struct {
	seen, asleep, contested float64 // seconds
	saved                   float64 // pod seconds, against the maximum
	failures, rejected      float64
	failed, late            uint32 // wake-ups
	waits                   Waits  // of those that were answered
}

// Wake is a wake-up that has ended.
type Wake struct {
	Failed bool          // those who waited were refused
	Late   bool          // it took longer than it should
	Took   time.Duration // that the first request waited
}

// add takes a sample, divided among the hours over which its span goes; what is counted is whole, and stands where it ends.
func (l *ledger) add(from, to time.Time, s *Sample) {
	for begin := from; begin.Before(to); {
		n := number(begin, time.Hour)
		end := beginning(n+1, time.Hour)
		if end.After(to) {
			end = to
		}
		l.reach(n)
		t, seconds := &l.open, end.Sub(begin).Seconds()
		t.seen += seconds
		if s.Pods <= 0 {
			t.asleep += seconds
		}
		if s.Contested {
			t.contested += seconds
		}
		t.saved += float64(max(s.Maximum-max(s.Pods, 0), 0)) * seconds
		if !end.Before(to) {
			t.failures += max(s.Failures, 0)
			t.rejected += max(s.Rejected, 0)
			for _, w := range s.Wakes {
				t.wake(w)
			}
		}
		begin = end
	}
}

func (t *tally) wake(w Wake) {
	if w.Failed {
		t.failed = plus(t.failed, 1)
		return
	}
	if w.Late {
		t.late = plus(t.late, 1)
	}
	t.waits.Add(w.Took)
}

func (t *tally) join(other *tally) {
	t.seen += other.seen
	t.asleep += other.asleep
	t.contested += other.contested
	t.saved += other.saved
	t.failures += other.failures
	t.rejected += other.rejected
	t.failed, t.late = plus(t.failed, other.failed), plus(t.late, other.late)
	t.waits.Join(other.waits)
}

// reach has the hour of this number be the one that is being filled.
func (l *ledger) reach(n int64) {
	switch {
	case !l.begun:
		l.at, l.begun = n, true
		return
	case n <= l.at:
		return
	}
	l.push(l.open.encode(), 1)
	l.push((&tally{}).encode(), int(min(n-l.at-1, ledgerHours))) // nobody looked
	l.at, l.open = n, tally{}
}

// What of a tally follows its first byte.
const (
	partly     = 1 << iota // seen, where it is not the whole hour
	slept                  // asleep
	cheaper                // saved
	fought                 // contested
	unanswered             // failures, rejected
	troubled               // failed, late
	woken                  // waits
	repeated               // how often it stands
)

const wholeHour = 3600

// encode writes what is not nothing.
func (t *tally) encode() []byte {
	body := []byte{0}
	put := func(part byte, values ...uint64) {
		any := false
		for _, v := range values {
			any = any || v > 0
		}
		if !any {
			return
		}
		body[0] |= part
		for _, v := range values {
			body = binary.AppendUvarint(body, v)
		}
	}
	hour := func(seconds float64) uint64 { return min(whole(seconds), wholeHour) }
	if seen := hour(t.seen); seen < wholeHour {
		body[0] |= partly
		body = binary.AppendUvarint(body, seen)
	}
	put(slept, hour(t.asleep))
	if saved := wide(t.saved); saved > 0 {
		body[0] |= cheaper
		body = binary.LittleEndian.AppendUint16(body, saved)
	}
	put(fought, hour(t.contested))
	put(unanswered, uint64(wide(t.failures)), uint64(wide(t.rejected)))
	put(troubled, uint64(t.failed), uint64(t.late))
	w := Waits{append([]wait(nil), t.waits.of...)}
	if w.bound(); len(w.of) > 0 {
		body[0] |= woken
		body = append(body, byte(len(w.of))) //nolint:gosec // G115: up to mostSteps
		for _, one := range w.of {
			if one.times == 1 {
				body = append(body, one.step)
				continue
			}
			body = binary.AppendUvarint(append(body, one.step|more), uint64(one.times))
		}
	}
	return body
}

// more says that a step was not once.
const more = 1 << 7

// push appends a tally that stands so many times, and drops the oldest beyond what is kept.
func (l *ledger) push(body []byte, times int) {
	if times = min(times, ledgerHours-1); times <= 0 {
		return
	}
	l.closed += times
	if len(l.kept) > 0 {
		before, n := splitRun(l.kept[l.last:])
		if bytes.Equal(before, body) {
			times += n
			l.kept = l.kept[:l.last]
		}
	}
	if more := times - (ledgerHours - 1); more > 0 {
		l.closed, times = l.closed-more, times-more
	}
	run := appendRun(nil, body, times)
	l.trim(ledgerHours-1, ledgerBytes-len(run))
	l.grow(len(run))
	l.last = len(l.kept)
	l.kept = append(l.kept, run...)
}

// grow makes room, and for not much more: most applications never need it.
func (l *ledger) grow(by int) {
	if need := len(l.kept) + by; need > cap(l.kept) {
		l.kept = append(make([]byte, 0, min(need+need/8+8, ledgerBytes)), l.kept...)
	}
}

// trim drops the oldest runs, until no more hours and bytes are left than there may be.
func (l *ledger) trim(hours, most int) {
	for len(l.kept) > 0 && (l.closed > hours || len(l.kept) > most) {
		body, times, size := firstRun(l.kept)
		rest := l.kept[size:]
		if drop := l.closed - hours; len(l.kept) <= most && drop < times {
			l.closed -= drop
			l.kept = append(appendRun(nil, body, times-drop), rest...)
		} else {
			l.closed -= times
			l.kept = append([]byte(nil), rest...)
		}
		l.last = lastRun(l.kept)
	}
}

func appendRun(to, body []byte, times int) []byte {
	if times == 1 {
		return append(to, body...)
	}
	to = binary.AppendUvarint(append(to, body[0]|repeated), uint64(times)) //nolint:gosec // G115: some hundred
	return append(to, body[1:]...)
}

// splitRun is a run's tally, and how often it stands.
func splitRun(run []byte) (body []byte, times int) {
	if run[0]&repeated == 0 {
		return append([]byte(nil), run...), 1
	}
	n, size := binary.Uvarint(run[1:])
	return append([]byte{run[0] &^ repeated}, run[1+size:]...), int(n) //nolint:gosec // G115: some hundred
}

// firstRun is the first of some runs, and how long it is.
func firstRun(runs []byte) (body []byte, times, size int) {
	d := decoder{from: runs}
	d.tally()
	size = len(runs) - len(d.from)
	body, times = splitRun(runs[:size])
	return body, times, size
}

// lastRun is where the last one begins.
func lastRun(runs []byte) (at int) {
	d := decoder{from: runs}
	for len(d.from) > 0 && !d.failed {
		at = len(runs) - len(d.from)
		d.tally()
	}
	return at
}

// tally reads one, and how often it stands.
func (d *decoder) tally() (t tally, times int) {
	times = d.tallyInto(&t)
	return t, times
}

// tallyInto reads it where there may have been another one, whose room is used again.
func (d *decoder) tallyInto(t *tally) (times int) {
	*t = tally{waits: Waits{t.waits.of[:0]}}
	parts := d.byte()
	times = 1
	has := func(part byte) bool { return parts&part != 0 }
	if has(repeated) {
		times = int(d.bounded(ledgerHours)) //nolint:gosec // G115: bounded
	}
	t.seen = wholeHour
	if has(partly) {
		t.seen = float64(d.bounded(wholeHour))
	}
	if has(slept) {
		t.asleep = float64(d.bounded(wholeHour))
	}
	if has(cheaper) {
		t.saved = float64(unpack(d.word(), wideDigits))
	}
	if has(fought) {
		t.contested = float64(d.bounded(wholeHour))
	}
	if has(unanswered) {
		t.failures, t.rejected = d.wide(), d.wide()
	}
	if has(troubled) {
		t.failed, t.late = d.count(), d.count()
	}
	if has(woken) {
		for range min(d.byte(), mostSteps) {
			step, times := d.byte(), uint32(1)
			if step&more != 0 {
				step, times = step&^more, d.count()
			}
			if times == 0 {
				d.failed = true
				break
			}
			t.waits.add(wait{step, times})
		}
	}
	return times
}

func (d *decoder) wide() float64 {
	return float64(unpack(uint16(d.bounded(math.MaxUint16)), wideDigits)) //nolint:gosec // G115: bounded
}

func (d *decoder) count() uint32 { return uint32(d.bounded(math.MaxUint32)) } //nolint:gosec // G115: bounded

// encode writes the newest hours that fit; false: not all did.
func (l *ledger) encode(most int) (out []byte, whole bool) {
	if !l.begun {
		return []byte{0}, true
	}
	cut := *l
	cut.kept, cut.closed = append([]byte(nil), l.kept...), l.closed
	open := l.open.encode()
	head := binary.AppendUvarint(nil, uint64(l.at)+1) //nolint:gosec // G115: it is not negative
	room := most - len(head) - 2 - len(open)          // two are enough for how many bytes there are
	if room < 0 {
		return []byte{0}, false
	}
	cut.trim(ledgerHours, room)
	out = binary.AppendUvarint(head, uint64(len(cut.kept)+len(open)))
	return append(append(out, cut.kept...), open...), cut.closed == l.closed
}

func (d *decoder) ledger() (l ledger) {
	newest := d.bounded(uint64(farthest / time.Hour.Milliseconds())) //nolint:gosec // G115: some millions
	if newest == 0 {
		return l
	}
	size := d.bounded(ledgerBytes + mostTally)
	if uint64(len(d.from)) < size {
		d.failed = true
	}
	if d.failed {
		return ledger{}
	}
	body := decoder{from: d.from[:size]}
	d.from = d.from[size:]
	l.at, l.begun = int64(newest)-1, true //nolint:gosec // G115: bounded
	total := 0
	for {
		t, times := body.tally()
		if total += times; body.failed || times == 0 || total > ledgerHours {
			break
		}
		if len(body.from) == 0 && times == 1 { // it is the open one
			l.open = t
			return l
		}
		l.push(t.encode(), times)
	}
	d.failed = true
	return ledger{}
}

// each yields all hours, the oldest first, that which is being filled included; each is lent for the call alone.
func (l *ledger) each(yield func(n int64, t *tally)) {
	if !l.begun {
		return
	}
	d, n := decoder{from: l.kept}, l.at-int64(l.closed)
	var t tally
	for len(d.from) > 0 && !d.failed {
		for range d.tallyInto(&t) {
			yield(n, &t)
			n++
		}
	}
	yield(l.at, &l.open)
}

// follow takes the hours of a newer one.
func (l *ledger) follow(newer *ledger) {
	newer.each(func(n int64, t *tally) {
		if l.begun && n < l.at || t.seen == 0 && n < newer.at {
			return
		}
		l.reach(n)
		l.open.join(t)
	})
}
