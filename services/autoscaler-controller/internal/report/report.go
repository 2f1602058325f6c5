// Package report says what became of applications over a day or a week: what sleeping saved, how wake-ups went, which
// requests were not answered, who else scaled, and which rules never asked for anything. It is made of
// histories, merged of the reports of several shards, and rendered as Markdown, HTML and a short text, for the
// API, the command and the webhooks alike.
//
// It is pure, and says nothing that was not looked at: where less than the period is known it says so.
//
// The periods are whole hours, as the history has them. A report is of the applications that there are now.
package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

// The bounds of what a report names; what is beyond is counted.
const (
	MostItems     = 50
	MostContested = 50
	MostSilent    = 100
)

// Asked is what a report is to be of.
type Asked struct {
	From, To    time.Time
	Namespace   string                      // "": all
	Deployments []string                    // none: all
	Sees        func(namespace string) bool // nil: all
}

// Wants tells whether it is of an application.
func (a Asked) Wants(k fleet.Key) bool {
	return (a.Namespace == "" || a.Namespace == k.Namespace) && (a.Sees == nil || a.Sees(k.Namespace)) &&
		(len(a.Deployments) == 0 || slices.Contains(a.Deployments, k.Deployment))
}

// Application is what is known of one.
type Application struct {
	fleet.Key
	history.Totals
	Since   time.Time // the first hour of the period of which anything is known; zero: none is
	Rules   []Rule
	Contest string // who else has the count now, in words; "" is nobody
}

// Rule is when a rule, or a threshold, was first looked at, and when it last asked for anything; zero: never.
type Rule struct {
	Name        string
	Since, Last time.Time
}

// Report is one.
type Report struct {
	From, To     time.Time
	Namespace    string // "": of all
	Applications int    // that it is of
	Partly       int    // of these, of which not the whole period is known
	history.Totals
	Items     []Item
	Contested []Contested
	Silent    []Silent
	LeftOut   LeftOut
}

// LeftOut counts what is beyond the bounds.
type LeftOut struct{ Items, Contested, Silent int }

// Item is an application of which there is something to tell.
type Item struct {
	fleet.Key
	history.Totals
}

// Contested is an application whose count somebody else had.
type Contested struct {
	fleet.Key
	For time.Duration
	By  string // who has it now; "": nobody any more
}

// Silent is a rule of an application that was awake, and that asked for nothing in the period.
type Silent struct {
	fleet.Key
	Rule  string
	Since time.Time // when it was first looked at; zero: it never was
	Last  time.Time // when it last asked for anything; zero: it never did
}

// Of tells whether it is of the period that is asked for.
func (r Report) Of(asked Asked) bool { return r.From.Equal(asked.From) && r.To.Equal(asked.To) }

// Builder makes a report. Make it with New.
type Builder struct{ report Report }

// New begins one.
func New(asked Asked) *Builder {
	return &Builder{Report{From: asked.From, To: asked.To, Namespace: asked.Namespace}}
}

// Add takes an application.
func (b *Builder) Add(a Application) {
	r := &b.report
	r.Applications++
	if a.Since.IsZero() || a.Observed < .98*r.To.Sub(r.From).Seconds() {
		r.Partly++
	}
	join(&r.Totals, a.Totals)
	if a.Observed > 0 {
		r.Items = append(r.Items, Item{a.Key, a.Totals})
	}
	if a.Totals.Contested > 0 || a.Contest != "" {
		r.Contested = append(r.Contested, Contested{a.Key, time.Duration(a.Totals.Contested * float64(time.Second)), a.Contest})
	}
	if a.PodSeconds == 0 {
		return // no rule is looked at where there is no pod
	}
	for _, rule := range a.Rules {
		// One that has fired since may have fired before too: nobody knows.
		if rule.Last.Before(r.From) && rule.Since.Before(r.To) {
			r.Silent = append(r.Silent, Silent{a.Key, rule.Name, rule.Since, rule.Last})
		}
	}
}

// Report is what was made.
func (b *Builder) Report() Report { return b.report.bounded() }

// Merge makes one of several of the same period, each of other applications.
func Merge(all ...Report) Report {
	var out Report
	for i, r := range all {
		if i == 0 {
			out.From, out.To, out.Namespace = r.From, r.To, r.Namespace
		}
		out.Applications += r.Applications
		out.Partly += r.Partly
		join(&out.Totals, r.Totals)
		out.Items = append(out.Items, r.Items...)
		out.Contested = append(out.Contested, r.Contested...)
		out.Silent = append(out.Silent, r.Silent...)
		out.LeftOut.Items += r.LeftOut.Items
		out.LeftOut.Contested += r.LeftOut.Contested
		out.LeftOut.Silent += r.LeftOut.Silent
	}
	return out.bounded()
}

// bounded orders what is named, what matters most first, and leaves out what is too much.
func (r Report) bounded() Report {
	slices.SortFunc(r.Items, func(a, b Item) int {
		return cmp.Or(-cmp.Compare(a.Failed, b.Failed), -cmp.Compare(a.Rejected, b.Rejected), -cmp.Compare(a.Late, b.Late),
			-cmp.Compare(a.SavedAgainstOne, b.SavedAgainstOne), -cmp.Compare(a.SavedAgainstMaximum, b.SavedAgainstMaximum), a.Compare(b.Key))
	})
	slices.SortFunc(r.Contested, func(a, b Contested) int { return cmp.Or(-cmp.Compare(a.For, b.For), a.Compare(b.Key)) })
	slices.SortFunc(r.Silent, func(a, b Silent) int { return cmp.Or(a.Compare(b.Key), cmp.Compare(a.Rule, b.Rule)) })
	r.Items = first(r.Items, MostItems, &r.LeftOut.Items)
	r.Contested = first(r.Contested, MostContested, &r.LeftOut.Contested)
	r.Silent = first(r.Silent, MostSilent, &r.LeftOut.Silent)
	return r
}

func first[T any](list []T, most int, leftOut *int) []T {
	if len(list) <= most {
		return list
	}
	*leftOut += len(list) - most
	return list[:most:most]
}

func join(to *history.Totals, t history.Totals) {
	to.Observed += t.Observed
	to.Asleep += t.Asleep
	to.Contested += t.Contested
	to.PodSeconds += t.PodSeconds
	to.SavedAgainstOne += t.SavedAgainstOne
	to.SavedAgainstMaximum += t.SavedAgainstMaximum
	to.Arrivals += t.Arrivals
	to.Failures += t.Failures
	to.Rejected += t.Rejected
	to.Failed += t.Failed
	to.Late += t.Late
	to.Waits.Join(t.Waits)
}

// WakeUps are all that ended.
func WakeUps(t history.Totals) int64 { return t.Waits.Len() + t.Failed }
