package notices

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

func utc(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestPeriod_IsTheLastThatHasEnded(t *testing.T) {
	for _, c := range []struct {
		every         Every
		hour          int
		day           time.Weekday
		now, from, to string // 2026-03-02 is a Monday
	}{
		{Daily, 6, 0, "2026-03-02 12:00", "2026-03-01 06:00", "2026-03-02 06:00"},
		{Daily, 6, 0, "2026-03-02 06:05", "2026-03-01 06:00", "2026-03-02 06:00"},
		{Daily, 6, 0, "2026-03-02 06:01", "2026-02-28 06:00", "2026-03-01 06:00"},
		{Daily, 6, 0, "2026-03-02 05:59", "2026-02-28 06:00", "2026-03-01 06:00"},
		{Daily, 0, 0, "2026-03-01 00:30", "2026-02-28 00:00", "2026-03-01 00:00"},
		{Daily, 23, 0, "2026-01-01 22:59", "2025-12-30 23:00", "2025-12-31 23:00"},
		{Weekly, 6, time.Monday, "2026-03-02 12:00", "2026-02-23 06:00", "2026-03-02 06:00"},
		{Weekly, 6, time.Monday, "2026-03-02 05:00", "2026-02-16 06:00", "2026-02-23 06:00"},
		{Weekly, 6, time.Monday, "2026-03-01 12:00", "2026-02-16 06:00", "2026-02-23 06:00"},
		{Weekly, 18, time.Sunday, "2026-03-07 12:00", "2026-02-22 18:00", "2026-03-01 18:00"},
	} {
		r := Receiver{Report: c.every, ReportHour: c.hour, ReportDay: c.day}
		from, to := r.Period(utc(c.now).In(time.FixedZone("", 5*3600)))
		if !from.Equal(utc(c.from)) || !to.Equal(utc(c.to)) {
			t.Errorf("%+v: from %v to %v", c, from, to)
		}
	}
}

// Whenever somebody looks, the periods follow one another, each of its length, and none is told before it has settled.
func TestPeriod_Property_FollowOneAnother(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		r := Receiver{Name: fmt.Sprint(random.Int()), Report: []Every{Daily, Weekly}[random.IntN(2)], ReportHour: random.IntN(24), ReportDay: time.Weekday(random.IntN(7))}
		length := map[Every]time.Duration{Daily: 24 * time.Hour, Weekly: 7 * 24 * time.Hour}[r.Report]
		now := utc("2026-01-01 00:00").Add(time.Duration(random.Int64N(int64(365 * 24 * time.Hour))))
		_, last := r.Period(now)
		for range 100 {
			now = now.Add(time.Duration(random.Int64N(int64(12 * time.Hour))))
			from, to := r.Period(now)
			if to.Sub(from) != length || !to.Equal(last) && !from.Equal(last) || now.Sub(to) < settles || now.Sub(to) > length+settles+spread {
				t.Fatalf("%+v at %v: from %v to %v, before it was until %v", r, now, from, to, last)
			}
			last = to
		}
	}
}

func TestReportKey_NamesTheReceiverAndWhatItIsSent(t *testing.T) {
	r := Receiver{Namespace: "shop", Name: "chat", URL: "https://a.example/secret", Format: "Slack", Report: Daily}
	seen := map[string]bool{r.ReportKey(): true}
	for name, change := range map[string]func(*Receiver){
		"namespace": func(r *Receiver) { r.Namespace = "other" }, "name": func(r *Receiver) { r.Name = "chat2" }, "url": func(r *Receiver) { r.URL += "x" },
		"format": func(r *Receiver) { r.Format = "CloudEvents" }, "report": func(r *Receiver) { r.Report = Weekly },
	} {
		other := r
		change(&other)
		if seen[other.ReportKey()] {
			t.Errorf("another %s is the same", name)
		}
		seen[other.ReportKey()] = true
	}
	same := r
	same.ReportHour, same.PerMinute, same.Deployments = 9, 1, []string{"a"}
	if same.ReportKey() != r.ReportKey() {
		t.Error("who is told at another hour is another one: it would be told twice")
	}
	if a, b := r.ReportID(utc("2026-03-01 06:00")), r.ReportID(utc("2026-03-02 06:00")); a == b || a != r.ReportID(utc("2026-03-01 06:00").Local()) {
		t.Errorf("%s, %s", a, b)
	}
}

func TestWants_WhoAsksForReportsIsToldOfNothingElseUnlessItSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		r    Receiver
		want bool
	}{
		"without a report": {Receiver{}, true}, "with one": {Receiver{Report: Daily}, false},
		"with one and the event": {Receiver{Report: Daily, Kinds: []fleet.Happening{fleet.Contested}}, true}, "with one and another event": {Receiver{Report: Daily, Kinds: []fleet.Happening{fleet.Slept}}, false},
	} {
		if got := c.r.Wants(Notice{Kind: fleet.Contested}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// ended takes note of what became of reports.
type ended []Dropped

func (e *ended) of(at time.Time) Notice {
	return Notice{Kind: Reported, At: at, Report: &report.Report{}, Ended: func(why Dropped) { *e = append(*e, why) }}
}

func TestOutbox_AReportGoesToItsReceiverAloneAndSaysHowItEnded(t *testing.T) {
	now := utc("2026-03-01 06:00")
	for name, c := range map[string]struct {
		become func(o *Outbox, d Delivery)
		want   []Dropped
	}{
		"taken":             {func(o *Outbox, d Delivery) { o.Done(d, Taken, 0, 0, now) }, []Dropped{""}},
		"later":             {func(o *Outbox, d Delivery) { o.Done(d, Later, 0, 0, now) }, nil},
		"too late":          {func(o *Outbox, d Delivery) { o.Done(d, Later, 0, 0, now.Add(waitsFor)) }, []Dropped{DroppedAged}},
		"never":             {func(o *Outbox, d Delivery) { o.Done(d, Never, 0, 0, now) }, []Dropped{DroppedRefused}},
		"gone":              {func(o *Outbox, d Delivery) { o.Done(d, Gone, 0, 0, now) }, []Dropped{DroppedReceiver}},
		"taken out, later":  {func(o *Outbox, d Delivery) { o.Follow("shop", nil); o.Done(d, Later, 0, 0, now) }, []Dropped{DroppedReceiver}},
		"taken out, it was": {func(o *Outbox, d Delivery) { o.Follow("shop", nil); o.Done(d, Taken, 0, 0, now) }, []Dropped{""}},
	} {
		o := New("nemesis-system", func(Dropped, Receiver) {})
		o.Follow("shop", []Receiver{{Name: "a", Report: Daily, PerMinute: 60}, {Name: "b", PerMinute: 60}})
		var e ended
		list := o.Reporting()
		if len(list) != 1 || !o.Send(e.of(now), list[0]) || o.Waiting() != 1 {
			t.Fatalf("%s: %+v, %d wait", name, list, o.Waiting())
		}
		d, _, ok := o.Next(now)
		if !ok || d.Receiver.Name != "a" || d.Notice.Report == nil {
			t.Fatalf("%s: %+v", name, d)
		}
		if c.become(o, d); !slices.Equal(e, c.want) {
			t.Errorf("%s: it ended with %q, want %q", name, e, c.want)
		}
	}
}

func TestOutbox_AReportThatNobodyIsThereForIsNotTaken(t *testing.T) {
	now := utc("2026-03-01 06:00")
	o := New("nemesis-system", func(Dropped, Receiver) {})
	o.Follow("shop", []Receiver{{Name: "a", URL: "x", Report: Daily}, {Name: "b"}})
	var e ended
	for name, to := range map[string]Receiver{
		"another address": {Namespace: "shop", Name: "a", URL: "y", Report: Daily}, "another namespace": {Namespace: "other", Name: "a", URL: "x", Report: Daily}, "who wants none": {Namespace: "shop", Name: "b"},
	} {
		if o.Send(e.of(now), to) || len(e) > 0 {
			t.Errorf("%s: it is taken", name)
		}
	}
	if !o.Send(e.of(now), o.Reporting()[0]) {
		t.Fatal("it is not taken")
	}
	if o.Follow("shop", nil); !slices.Equal(e, ended{DroppedReceiver}) || o.Waiting() != 0 {
		t.Errorf("with its receiver taken out it ended with %q", e)
	}
}

func TestOutbox_ReportsAreForSoManyReceiversAtTheMost(t *testing.T) {
	o := New("nemesis-system", func(Dropped, Receiver) {})
	for i := range MostReports {
		o.Follow(fmt.Sprintf("n%04d", i), []Receiver{{Name: "a", Report: Daily}, {Name: "b", Report: Weekly}})
	}
	if n := len(o.Reporting()); n != MostReports {
		t.Errorf("%d", n)
	}
}
