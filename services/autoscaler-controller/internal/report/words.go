package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

// The words of a report. Every rendering is made of a page, and writes each text of it in its own way: here nothing is
// escaped.

// page is a report in words.
type page struct {
	Title    string
	Period   string
	Lead     []string // what it is of, and what is not known
	Sections []section
}

// section has a heading, sentences, bars and a table, each of which it may be without.
type section struct {
	Heading string
	Said    []string
	Bars    []bar
	Heads   []string
	Left    int // columns of the table from the first on that are words, and no numbers
	Rows    [][]string
	More    string // what was left out
}

// bar is one of a distribution.
type bar struct {
	Upto  string
	Times string
	Share float64 // of the longest, from 0 to 1
}

func (r Report) page() page {
	p := page{Title: r.title(), Period: span(r.From, r.To), Lead: r.lead()}
	if r.Applications == 0 {
		return p
	}
	p.Sections = []section{r.savings(), r.coldStarts(), r.requests()}
	if len(r.Items) > 0 {
		p.Sections = append(p.Sections, r.items())
	}
	p.Sections = append(p.Sections, r.contested(), r.silent())
	return p
}

func (r Report) title() string {
	title := "Nemesis, all namespaces"
	if r.Namespace != "" {
		title = "Nemesis, namespace " + r.Namespace
	}
	return title + ": " + length(r.To.Sub(r.From))
}

// length is how long the period is, in words. That of one that ends now has the hour that has begun beside the whole ones.
func length(d time.Duration) string {
	switch hours := int(d.Hours()); {
	case hours == 7*24:
		return "a week"
	case hours == 24:
		return "a day"
	case hours%24 == 0 && hours > 0:
		return count(int64(hours/24), "day", "days")
	default:
		return count(int64(hours), "hour", "hours")
	}
}

func span(from, to time.Time) string {
	return from.UTC().Format("Mon 2 Jan 2006 15:04") + " to " + to.UTC().Format("Mon 2 Jan 2006 15:04") + " UTC"
}

func (r Report) lead() []string {
	if r.Applications == 0 {
		return []string{"There are no applications here: no CustomAutoscaler names a Deployment."}
	}
	said := []string{count(int64(r.Applications), "application", "applications") + "."}
	if r.Observed == 0 {
		return append(said, "Nothing is known of this time: nobody led, or the history was not kept.")
	}
	if r.Partly > 0 {
		said = append(said, "Of "+number(int64(r.Partly))+" of them a part of the period is not known; what is said here is of the rest of it.")
	}
	return said
}

func (r Report) savings() section {
	s := section{Heading: "Savings"}
	if r.Observed == 0 {
		s.Said = []string{"Nothing was looked at."}
		return s
	}
	s.Said = []string{
		"Pods were there for " + hours(r.PodSeconds) + ", all together.",
		"Sleeping saved " + hours(r.SavedAgainstOne) + of(r.SavedAgainstOne, r.Observed) + " against one pod of each that is always there, and scaling " +
			hours(r.SavedAgainstMaximum) + of(r.SavedAgainstMaximum, r.SavedAgainstMaximum+r.PodSeconds) + " against maxReplicas.",
	}
	return s
}

func (r Report) coldStarts() section {
	s := section{Heading: "Cold starts"}
	if WakeUps(r.Totals) == 0 {
		s.Said = []string{"Nobody woke an application."}
		return s
	}
	failed := "none of which failed."
	if r.Failed > 0 {
		failed = number(r.Failed) + " of them failed: nobody who waited was answered."
	}
	s.Said = []string{count(WakeUps(r.Totals), "wake-up", "wake-ups") + ", " + failed}
	if r.Waits.Len() == 0 {
		return s
	}
	s.Said = append(s.Said, fmt.Sprintf("The first request waited %s at most in half of them, %s in 95 %%.", took(r.Waits.Quantile(.5)), took(r.Waits.Quantile(.95))))
	s.Bars = bars(r.Waits)
	return s
}

// ends are those of the bars.
var ends = []time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
}

func bars(w history.Waits) []bar {
	counts := make([]int64, len(ends)+1)
	most := int64(1)
	firstUsed, lastUsed := len(ends), 0
	for d, times := range w.All {
		at := 0
		for at < len(ends) && d > ends[at] {
			at++
		}
		counts[at] += times
		most, firstUsed, lastUsed = max(most, counts[at]), min(firstUsed, at), max(lastUsed, at)
	}
	var out []bar
	for i := firstUsed; i <= lastUsed; i++ {
		upto := "more"
		if i < len(ends) {
			upto = "≤ " + took(ends[i])
		}
		out = append(out, bar{upto, number(counts[i]), float64(counts[i]) / float64(most)})
	}
	return out
}

func (r Report) requests() section {
	s := section{Heading: "Service level"}
	if r.Arrivals == 0 {
		s.Said = append(s.Said, "No requests came.")
	} else {
		s.Said = append(s.Said, fmt.Sprintf("%s came; %s ended in a 5xx or broke off%s, %s of these without having reached a pod.",
			count(r.Arrivals, "request", "requests"), number(r.Failures), of(float64(r.Failures), float64(r.Arrivals)), number(r.Rejected)))
	}
	if n := WakeUps(r.Totals); n > 0 {
		s.Said = append(s.Said, fmt.Sprintf("%s of %s%s took more than half as long again as a start was expected to, or failed.",
			number(r.Late+r.Failed), count(n, "wake-up", "wake-ups"), of(float64(r.Late+r.Failed), float64(n))))
	}
	return s
}

func (r Report) items() section {
	s := section{
		Heading: "Applications", Left: 1,
		Heads: []string{"Application", "Asleep", "Pods", "Saved (one)", "Saved (max)", "Wake-ups", "Half ≤", "95 % ≤", "Late", "Failed", "Requests", "Not answered"},
		More:  beyond(r.LeftOut.Items, "application", "applications"),
	}
	for _, i := range r.Items {
		half, most := "–", "–"
		if i.Waits.Len() > 0 {
			half, most = took(i.Waits.Quantile(.5)), took(i.Waits.Quantile(.95))
		}
		s.Rows = append(s.Rows, []string{
			r.name(i.Key), share(i.Asleep, i.Observed), hours(i.PodSeconds), hours(i.SavedAgainstOne), hours(i.SavedAgainstMaximum),
			number(WakeUps(i.Totals)), half, most, number(i.Late), number(i.Failed), number(i.Arrivals), number(i.Failures),
		})
	}
	return s
}

func (r Report) contested() section {
	s := section{Heading: "Contested Deployments", More: beyond(r.LeftOut.Contested, "Deployment", "Deployments")}
	if len(r.Contested) == 0 {
		s.Said = []string{"None: nobody else set the number of pods."}
		return s
	}
	s.Heads, s.Left = []string{"Deployment", "Who", "For"}, 2
	for _, c := range r.Contested {
		by := c.By
		if by == "" {
			by = "nobody any more"
		}
		s.Rows = append(s.Rows, []string{r.name(c.Key), by, took(c.For)})
	}
	return s
}

func (r Report) silent() section {
	s := section{Heading: "Rules that did not fire", More: beyond(r.LeftOut.Silent, "rule", "rules")}
	if len(r.Silent) == 0 {
		s.Said = []string{"None, of the applications that were awake: each threshold and rule asked for something, or there are none."}
		return s
	}
	s.Said = []string{"Of applications that were awake; each was looked at, and asked for nothing."}
	s.Heads, s.Left = []string{"Application", "Rule", "Last fired", "Looked at since"}, 4
	for _, one := range r.Silent {
		last, since := "never", "not known"
		if !one.Last.IsZero() {
			last = moment(one.Last)
		}
		if !one.Since.IsZero() {
			since = moment(one.Since)
		}
		s.Rows = append(s.Rows, []string{r.name(one.Key), one.Rule, last, since})
	}
	return s
}

// name is what an application is called where the namespace is known, or is not.
func (r Report) name(k fleet.Key) string {
	if r.Namespace != "" {
		return k.Deployment
	}
	return k.String()
}

func beyond(n int, one, many string) string {
	if n == 0 {
		return ""
	}
	return "And " + count(int64(n), one, many) + " more."
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// number writes 1234567 as 1,234,567.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// hours writes pod seconds as pod hours.
func hours(seconds float64) string {
	switch h := seconds / 3600; {
	case h == 0:
		return "0 h"
	case h < .05:
		return "under 0.1 h"
	case h < 100:
		return strconv.FormatFloat(h, 'f', 1, 64) + " h"
	default:
		return number(int64(h+.5)) + " h"
	}
}

func share(part, whole float64) string {
	if whole <= 0 {
		return "–"
	}
	percent := 100 * part / whole
	switch { // what is not all is not said to be, nor what is something to be nothing
	case percent > 0 && percent < .01:
		return "< 0.01 %"
	case percent > 99.99 && percent < 100:
		return "> 99.99 %"
	}
	digits := 0
	if percent > 0 && percent < 10 || percent > 99 && percent < 100 {
		digits = 2
	}
	return strings.TrimSuffix(strconv.FormatFloat(percent, 'f', digits, 64), ".00") + " %"
}

// of is a share in brackets.
func of(part, whole float64) string {
	if whole <= 0 {
		return ""
	}
	return " (" + share(part, whole) + ")"
}

func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return strings.TrimSuffix(strconv.FormatFloat(d.Hours(), 'f', 1, 64), ".0") + " h"
	}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }
