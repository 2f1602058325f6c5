package notices

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Every is how often a receiver is sent a report, as in the contract.
type Every string

// How often.
const (
	Daily  Every = "daily"
	Weekly Every = "weekly"
)

// settles is how long after a period it is reported on: what came in its last seconds is known by then.
const settles = time.Minute

// spread is over how long those are sent that are due at the same hour.
const spread = 4 * time.Minute

// MostReports bounds how many receivers are sent reports: those after that are sent none.
const MostReports = 1000

// Period is the last one that has ended and that a receiver may be told of now.
func (r Receiver) Period(now time.Time) (from, to time.Time) {
	at := now.UTC().Add(-settles - r.delay())
	to = time.Date(at.Year(), at.Month(), at.Day(), r.ReportHour, 0, 0, 0, time.UTC)
	if to.After(at) {
		to = to.AddDate(0, 0, -1)
	}
	if r.Report != Weekly {
		return to.AddDate(0, 0, -1), to
	}
	for to.Weekday() != r.ReportDay {
		to = to.AddDate(0, 0, -1)
	}
	return to.AddDate(0, 0, -7), to
}

// delay is by how much later than others it is told.
func (r Receiver) delay() time.Duration {
	sum := r.sum("delay")
	return time.Duration(int(sum[0])<<8|int(sum[1])) * spread / (1 << 16)
}

// ReportKey names a receiver and the reports that it is sent, without saying anything of it: whoever is told elsewhere, in
// another form or at other times is another one.
func (r Receiver) ReportKey() string {
	sum := r.sum("part 0") // as it was when shards sent parts: what one without shards was sent is not sent again
	return hex.EncodeToString(sum[:12])
}

// ReportID is the id of the report on the period that ended then: the same, whoever sends it and how often.
func (r Receiver) ReportID(to time.Time) string {
	sum := r.sum(fmt.Sprintf("part 0 to %d", to.Unix()))
	return "msg_report_" + hex.EncodeToString(sum[:12])
}

func (r Receiver) sum(of string) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %s", r.Namespace, r.Name, r.URL, r.Format, r.Report, of))
}

// Reporting are the receivers that are sent reports, no more than MostReports.
func (o *Outbox) Reporting() []Receiver {
	var list []Receiver
	for _, l := range o.order {
		if l.Report != "" && !l.gone && len(list) < MostReports {
			list = append(list, l.Receiver)
		}
	}
	return list
}

// Send takes a report for one receiver; false: it is there no more.
func (o *Outbox) Send(n Notice, r Receiver) bool {
	for _, l := range o.lanes[r.Namespace] {
		if l.Name == r.Name && l.is(r) && l.Report != "" && !l.gone {
			o.put(l, n)
			return true
		}
	}
	return false
}
