// Package notices decides what people are told who are not looking: which notice goes to which receiver, in
// which words, at what pace, how often it is tried, and what is left out. It is pure: it takes what happened
// and when, and has neither a clock nor a lock; whoever runs it (receivers) makes the calls.
//
//	happening ─► Notice ─► Outbox ─► one lane for each receiver ─► Delivery ─► Done: took it, later, never
//	                         │          bounded, paced, in order
//	                         └─ the same within ten minutes is counted, and told with the next
//
// Reports go the same way, each to the one receiver that asked for it; when is decided here too (reports.go).
//
// Nothing is kept over a restart: a notice is for people, and what is so still stands in the status.
package notices

import (
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// Notice is one thing that happened.
type Notice struct {
	ID         string
	Kind       fleet.Happening
	Namespace  string
	Autoscaler string
	Deployment string // "": it is about the whole CustomAutoscaler
	At         time.Time
	Warning    bool
	Message    string
	Took       time.Duration // 0: it is not told
	From, To   int32         // pods, of Scaled
	Repeats    int           // how often the same was left out since it was last told

	Report *report.Report    // it is a report, of the kind Reported; besides it has an ID, a namespace and a time
	Ended  func(why Dropped) // of a report: called when it was taken (""), or never will be; it does not wait. nil: nobody asks
}

// Reported is the kind of a report. It is none of what happens, and is asked for in another way.
const Reported fleet.Happening = "Report"

// Subject is what it is about.
func (n Notice) Subject() string {
	if n.Deployment != "" {
		return n.Namespace + "/" + n.Deployment
	}
	return n.Namespace + "/" + n.Autoscaler
}

// titles say each kind in a few words.
var titles = map[fleet.Happening]string{
	fleet.Woken: "is awake", fleet.Slept: "sleeps", fleet.Scaled: "was scaled", fleet.WakeUpFailed: "did not wake up", fleet.StartSlow: "has been starting for long",
	fleet.ScaleFailed: "cannot be scaled", fleet.Contested: "is scaled by somebody else too", fleet.Refused: "is not accepted",
}

// Title is the notice in one line.
func (n Notice) Title() string { return n.Subject() + " " + titles[n.Kind] }

// Text is all of it in words.
func (n Notice) Text() string {
	text := n.Title()
	if n.Message != "" {
		text += ": " + n.Message
	}
	if n.Repeats > 0 {
		text += fmt.Sprintf(" (%s since it was last told)", times(n.Repeats))
	}
	return text
}

func times(n int) string {
	if n == 1 {
		return "once more"
	}
	return fmt.Sprintf("%d times more", n)
}

// Format is how a receiver wants its notices, as in the contract.
type Format string

// Receiver is one that is told.
type Receiver struct {
	Namespace   string // of the Secret that names it
	Name        string
	URL         string
	Format      Format
	Keys        string            // to sign by; "" is none
	Kinds       []fleet.Happening // empty: by default
	Deployments []string          // empty: all
	PerMinute   int
	Report      Every // "": it is sent none
	ReportHour  int   // UTC
	ReportDay   time.Weekday
}

// byDefault is what is told to who does not say: what somebody may have to do something about.
func byDefault(k fleet.Happening) bool {
	return k != fleet.Woken && k != fleet.Slept && k != fleet.Scaled
}

// Wants tells whether it is told of such a notice, where its namespace is.
func (r Receiver) Wants(n Notice) bool {
	if len(r.Kinds) == 0 && (r.Report != "" || !byDefault(n.Kind)) || len(r.Kinds) > 0 && !slices.Contains(r.Kinds, n.Kind) {
		return false
	}
	return len(r.Deployments) == 0 || n.Deployment != "" && slices.Contains(r.Deployments, n.Deployment)
}

// is tells whether two are one and the same as far as what waits for it goes: it goes to the same place, in the
// same form.
func (r Receiver) is(other Receiver) bool {
	return r.URL == other.URL && r.Format == other.Format
}
