package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Outcome is how a Plan went.
type Outcome struct {
	Error   string // what could not be done; "" is nothing
	TraceID string
	Marked  bool // the marks were written
	Marking bool // with an error: it was the marks that could not be written
}

// Report is what there is to tell after a Plan.
type Report struct {
	Decision fleet.Record // always
	News     bool         // it says something else than the last that was recorded
	Failed   bool         // it was tried in vain: Again is when to try once more
	Again    time.Time
	Withheld time.Time // until when the scaling that is wanted is not tried, the last having failed; zero: it is not withheld
}

// Done takes note of how a Plan went at `now`. A plan that came to nothing because somebody else
// had scaled is not done: there is another Look instead.
func (m *Memory) Done(p Plan, o Outcome, now time.Time) Report {
	r := fleet.Record{Decision: p.Decision, Key: p.Snapshot.Key, Autoscaler: p.Snapshot.Autoscaler, Time: p.at, Error: o.Error, TraceID: o.TraceID}
	r.Applied = p.Scale && o.Error == ""
	out := Report{Decision: r, Failed: o.Error != "", Again: p.Again, Withheld: p.withheld}
	if o.Marked {
		m.wrote(p.Marks)
	}
	switch {
	case out.Failed:
		out.Again = m.failed(o, now)
		m.Failure = o.Error
	case p.calm:
		return out
	case p.Acts():
		m.succeeded(p)
		if !p.withheld.IsZero() {
			return out // marks alone: what is withheld is no news
		}
	case m.Failure != "" && r.From == r.To && r.Aim == r.From:
		m.Failure = "" // what failed is so now, or is wanted no more
	}
	if r.Applied {
		m.began(p)
	}
	said := m.say(r)
	out.News = r.Applied || said != m.signature && notable(r, m.Last)
	if out.News {
		m.signature = said
	}
	return out
}

func (m *Memory) wrote(list []fleet.Marking) {
	if m.marks == nil {
		m.marks = map[string]fleet.Marking{}
	}
	for _, w := range list {
		m.marks[w.Pod] = w
	}
}

// notable tells whether a decision is worth a record. One that leaves everything as it is, is so
// only as the first, and when it says that what stood in the way before has gone. A wish that a
// clamp or a hold kept from it always is.
func notable(r fleet.Record, last *fleet.Record) bool {
	news := slices.ContainsFunc(r.Reasons, func(reason scaling.Reason) bool { return reason.News })
	return last == nil || news || r.Result() != fleet.ResultUnchanged || r.Drain != scaling.DrainNone ||
		last.Error != "" || last.Obstructed() && !last.Applied && last.Drain == scaling.DrainNone
}

// say is what two decisions have in common that say the same: numbers that merely grow with time
// are not in it.
func (m *Memory) say(r fleet.Record) string {
	if r.Error != "" {
		return "failed " + scaling.Wording(r.Error) // at each step anew, while it lasts
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %s %s", r.From, r.To, r.Trigger, r.Drain)
	for _, reason := range r.Reasons {
		if reason.Effect != scaling.Note || reason.News {
			b.WriteString(" " + reason.Rule + "=" + string(reason.Effect))
		}
	}
	if m.drain != nil {
		b.WriteString(" " + strings.Join(m.drain.pods(), ","))
	}
	return b.String()
}
