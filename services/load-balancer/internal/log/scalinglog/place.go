package scalinglog

import (
	"slices"
	"time"
)

// overlap is how far back is asked for again: decisions on several applications are made side by
// side, and the clock of the next leader's node may be behind the last one's.
const overlap = time.Minute

// Place is how far the decisions were followed. It is for one goroutine.
type Place struct {
	last time.Time
	seen map[string]time.Time // those that may be told again
}

// NewPlace goes on from a moment; zero is the beginning.
func NewPlace(last time.Time) *Place { return &Place{last: last, seen: map[string]time.Time{}} }

// Since is from when on to ask.
func (p *Place) Since() time.Time {
	if p.last.IsZero() {
		return p.last
	}
	return p.last.Add(-overlap)
}

// Last is the moment of the newest decision that was kept.
func (p *Place) Last() time.Time { return p.last }

// Keep hands the decisions of an answer, newest first as the controller gives them, to keep, oldest
// first, but for those it has had. It ends where one is not kept: from there it is asked again.
func (p *Place) Keep(newestFirst []Decision, keep func(Decision) bool) (kept int) {
	for _, d := range slices.Backward(newestFirst) {
		if _, had := p.seen[d.ID]; had {
			continue
		}
		if !keep(d) {
			break
		}
		kept++
		p.seen[d.ID] = d.Time
		if d.Time.After(p.last) {
			p.last = d.Time
		}
	}
	for id, at := range p.seen {
		if at.Before(p.Since()) {
			delete(p.seen, id)
		}
	}
	return kept
}
