// Package history keeps what became of each application over time: arrivals, waiting requests, pods, decisions and
// pod seconds, in rings of falling resolution, and what scaling saved. It holds the rings, their downsampling and
// their encoding; when it is sampled, and where it is kept, is told it from outside.
//
// It is pure. A Sample is what was seen at the end of a span of time and what was counted in it. Every ring is filled from the
// samples themselves, not one ring from another, so that each is exact by itself. A time over which nobody looked
// is a gap: its slots say that they were not observed, and no sum counts it.
//
// Beside the rings there is what a report needs, by the hour for eight days (ledger), and when each rule last asked for
// anything.
//
// What happens again and again is kept once: slots that are alike make one run. An application that sleeps for
// a month costs some hundred bytes, one that is never twice the same 23 KB (see MaxBytes), which is the bound.
package history

import "time"

// Sample is one application over a span of time.
type Sample struct {
	// What was seen at the span's end.
	Waiting  int32 // requests that wait
	Replicas int32 // pods that are asked for
	Ready    int32 // of these, that serve
	Pods     int32 // that are there, ready or not
	Maximum  int32 // that there may be
	// Contested tells whether somebody else has the count of pods.
	Contested bool
	// What was counted in it.
	Arrivals  float64
	Failures  float64 // requests that ended in a 5xx or broke off
	Rejected  float64 // of these, those that never reached a pod
	Decisions int32
	Wakes     []Wake
}

// gauges are what a sample has seen at the moment in which it was taken, of what a ring keeps the most.
type gauges struct{ waiting, replicas, ready int32 }

func (s *Sample) gauges() gauges { return gauges{s.Waiting, s.Replicas, s.Ready} }

// Resolution names a ring.
type Resolution string

// The resolutions, as in the contract.
const (
	Seconds Resolution = "seconds"
	Minutes Resolution = "minutes"
	Hours   Resolution = "hours"
)

// shape is how a ring is made.
type shape struct {
	resolution Resolution
	slot       time.Duration
	slots      int
}

// shapes are the rings, the finest first: ten minutes, a day, 30 days.
var shapes = [...]shape{
	{Seconds, 5 * time.Second, 120},
	{Minutes, time.Minute, 1440},
	{Hours, time.Hour, 720},
}

// Every is how often an application is best sampled: the length of the finest slots.
const Every = 5 * time.Second

// MaxBytes is what one history may have in memory for what is no longer being filled.
const MaxBytes = 24 << 10

// Savings are what scaling saved since a moment.
type Savings struct {
	Since               time.Time // the zero value: nobody has looked yet
	Observed            float64   // seconds
	Asleep              float64   // of these, without any pod
	PodSeconds          float64
	SavedAgainstOne     float64 // pod seconds that one pod, always there, would have had beyond
	SavedAgainstMaximum float64
}

// add adds what a span brings.
func (s *Savings) add(seconds float64, of *Sample) {
	pods, most := float64(max(of.Pods, 0)), float64(max(of.Maximum, 0))
	s.Observed += seconds
	s.PodSeconds += pods * seconds
	if pods == 0 {
		s.Asleep += seconds
	}
	s.SavedAgainstOne += max(1-pods, 0) * seconds
	s.SavedAgainstMaximum += max(most-pods, 0) * seconds
}

// History is that of one application. The zero value is empty. It is not safe for several goroutines at once.
type History struct {
	rings   [len(shapes)]ring
	ledger  ledger
	fired   fired
	savings Savings
	until   time.Time // of the newest sample
	seen    gauges    // in that one,
	known   bool      // if it was taken here: it is not kept
}

// maxSpan bounds a sample: who has not looked for longer does not know what was.
const maxSpan = 15 * time.Second

// Add takes a sample of the span that ends now. A span that is longer than a few samples, or lies before
// what is known, is not taken; of one that overlaps it the rest is.
func (h *History) Add(from, now time.Time, s Sample) {
	if from.Before(h.until) {
		from = h.until
	}
	span := now.Sub(from)
	if span <= 0 || span > maxSpan {
		return
	}
	before := s.gauges() // of a time of which no more is known
	if h.known && from.Equal(h.until) {
		before = h.seen
	}
	h.until, h.seen, h.known = now, s.gauges(), true
	if h.savings.Since.IsZero() {
		h.savings.Since = from
	}
	h.savings.add(span.Seconds(), &s)
	for i := range h.rings {
		h.rings[i].add(shapes[i], from, now, before, &s)
	}
	h.ledger.add(from, now, &s)
}

// Savings are what was saved so far.
func (h *History) Savings() Savings { return h.savings }

// Until is when it was looked last; zero: never.
func (h *History) Until() time.Time { return h.until }

// Bytes is what it holds in memory, but for the slots that are being filled.
func (h *History) Bytes() int {
	n := cap(h.ledger.kept) + cap(h.fired.of)*ruleBytes
	for i := range h.rings {
		n += cap(h.rings[i].runs) * runBytes
	}
	return n
}

// Follow puts this history behind an older one, which it alters and returns: what a leader has seen behind what
// the one before it kept.
func (h *History) Follow(older *History) *History {
	for i := range h.rings {
		older.rings[i].follow(shapes[i], &h.rings[i])
	}
	older.ledger.follow(&h.ledger)
	older.fired.follow(&h.fired)
	if older.savings.Since.IsZero() {
		older.savings.Since = h.savings.Since
	}
	older.savings.Grow(Savings{}, h.savings)
	if h.until.After(older.until) {
		older.until, older.seen, older.known = h.until, h.seen, h.known
	}
	return older
}

// Slot is one slot as it is read.
type Slot struct {
	Observed   float64 // which share of it was looked at: 0, 0.25, 0.75 or 1
	Arrivals   int64
	Waiting    int64 // the most
	Replicas   int64 // the most
	Ready      int64 // the most
	PodSeconds int64
	Decisions  int64
}

// Series is a ring as it is read.
type Series struct {
	Resolution Resolution
	Slot       time.Duration
	Start      time.Time
	Slots      []Slot
}

// Read shows a ring as it stands now, the slot that is being filled included; false: there is none of this name.
func (h *History) Read(of Resolution, now time.Time) (Series, bool) {
	for i, s := range shapes {
		if s.resolution == of {
			return h.rings[i].read(s, now), true
		}
	}
	return Series{}, false
}

// Resolutions are all of them, the finest first.
func Resolutions() []Resolution {
	out := make([]Resolution, len(shapes))
	for i, s := range shapes {
		out[i] = s.resolution
	}
	return out
}

// Grow adds what savings have grown by.
func (s *Savings) Grow(before, after Savings) {
	s.Observed += after.Observed - before.Observed
	s.Asleep += after.Asleep - before.Asleep
	s.PodSeconds += after.PodSeconds - before.PodSeconds
	s.SavedAgainstOne += after.SavedAgainstOne - before.SavedAgainstOne
	s.SavedAgainstMaximum += after.SavedAgainstMaximum - before.SavedAgainstMaximum
}
