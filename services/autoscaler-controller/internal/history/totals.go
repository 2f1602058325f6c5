package history

import "time"

// Totals are what became of an application over whole hours, as far as it was looked at.
type Totals struct {
	Observed, Asleep, Contested float64 // seconds
	PodSeconds                  float64
	SavedAgainstOne             float64
	SavedAgainstMaximum         float64
	Arrivals                    int64
	Failures, Rejected          int64
	Failed, Late                int64 // wake-ups
	Waits                       Waits // of those that were answered
}

// Between sums up the hours that begin at or after a moment and before another one, that which is being filled included.
// since is the first of them of which anything is known; the zero value: nothing is.
func (h *History) Between(from, to time.Time) (t Totals, since time.Time) {
	first, end := number(from.Add(time.Hour-1), time.Hour), number(to.Add(time.Hour-1), time.Hour)
	var waits sum
	h.ledger.each(func(n int64, of *tally) {
		if n < first || n >= end || of.seen == 0 {
			return
		}
		if since.IsZero() {
			since = beginning(n, time.Hour)
		}
		t.Observed += of.seen
		t.Asleep += of.asleep
		t.Contested += of.contested
		t.SavedAgainstMaximum += of.saved
		t.Failures += int64(whole(of.failures)) //nolint:gosec // G115: at most 2^53
		t.Rejected += int64(whole(of.rejected)) //nolint:gosec // G115: at most 2^53
		t.Failed += int64(of.failed)
		t.Late += int64(of.late)
		waits.join(of.waits)
	})
	t.Waits = waits.waits()
	if since.IsZero() {
		return t, since
	}
	t.SavedAgainstOne = t.Asleep // one pod would have been there meanwhile
	hours := len(shapes) - 1
	h.rings[hours].each(shapes[hours], number(since, time.Hour), end, func(s slot) {
		t.Arrivals += unpack(s.arrivals, wideDigits)
		t.PodSeconds += float64(unpack(s.pods, wideDigits))
	})
	return t, since
}

// Looked takes note that a rule was looked at, and whether it asked for anything.
func (h *History) Looked(rule string, asked bool, now time.Time) { h.fired.look(rule, asked, now) }

// Fired is since when a rule is looked at, and when it last asked for anything, by the hour; last is zero where it never
// did. False: it was never looked at.
func (h *History) Fired(rule string) (since, last time.Time, known bool) {
	one := h.fired.find(hashOf(rule))
	if one == nil {
		return since, last, false
	}
	if one.last > 0 {
		last = beginning(int64(one.last), time.Hour)
	}
	return beginning(int64(one.since), time.Hour), last, true
}
