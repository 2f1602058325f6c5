package reporter

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// office is a source, a post and a store.
type office struct {
	mu        sync.Mutex
	partial   bool // the history is not whole
	receivers []notices.Receiver
	become    func(to notices.Receiver) (notices.Dropped, bool) // of each; nil: it is taken; false: it goes on
	sent      []letter
	marks     map[string]time.Time
	failing   error
	reads     int
	gone      bool // no receiver is there when something is sent
	pending   []func(notices.Dropped)
}

type letter struct {
	to notices.Receiver
	id string
	report.Report
}

func (o *office) Whole() bool { o.mu.Lock(); defer o.mu.Unlock(); return !o.partial }

func (o *office) Report(asked report.Asked, _ time.Time) report.Report {
	return report.New(asked).Report()
}

// everywhere are all shards.
type everywhere struct {
	mu      sync.Mutex
	failing error
	asked   []report.Asked
}

func (e *everywhere) Report(ctx context.Context, asked report.Asked) (report.Report, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, asked)
	if _, bounded := ctx.Deadline(); !bounded {
		return report.Report{}, errors.New("whoever asks would wait for ever")
	}
	r := report.New(asked).Report()
	r.Applications = 7
	return r, e.failing
}

func (e *everywhere) become(err error) { e.mu.Lock(); defer e.mu.Unlock(); e.failing = err }

func (o *office) Reporting() []notices.Receiver {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.receivers)
}

func (o *office) Send(to notices.Receiver, id string, r report.Report, ended func(notices.Dropped)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone {
		return false
	}
	o.sent = append(o.sent, letter{to, id, r})
	why, over := notices.Dropped(""), true
	if o.become != nil {
		why, over = o.become(to)
	}
	if over {
		ended(why)
		return true
	}
	o.pending = append(o.pending, ended)
	return true
}

func (o *office) Marks(context.Context) (map[string]time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	return maps.Clone(o.marks), o.failing
}

func (o *office) Mark(_ context.Context, key string, until time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing != nil {
		return o.failing
	}
	if o.marks[key] = until; until.IsZero() {
		delete(o.marks, key)
	}
	return nil
}

// with does something with it that nobody else does meanwhile.
func (o *office) with(do func()) { o.mu.Lock(); defer o.mu.Unlock(); do() }

func (o *office) count() (n int) { o.with(func() { n = len(o.sent) }); return n }

func opened(list ...notices.Receiver) *office {
	return &office{receivers: list, marks: map[string]time.Time{}}
}

// leads has somebody lead for a time, with what happens meanwhile. It begins at midnight (UTC) of a Saturday.
func leads(o *office, change func(*Options), d time.Duration, meanwhile func()) {
	options := Options{Source: o, Post: o, Store: o, Log: slog.New(slog.DiscardHandler), Own: "nemesis-system", Ours: func(ns string) bool { return ns != "elsewhere" }}
	if change != nil {
		change(&options)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var leading sync.WaitGroup
	leading.Go(func() { New(options).Lead(ctx) })
	time.Sleep(d)
	synctest.Wait()
	if meanwhile != nil {
		meanwhile()
	}
	cancel()
	leading.Wait()
}

func daily(hour int) notices.Receiver {
	return notices.Receiver{Namespace: "shop", Name: "a", Report: notices.Daily, ReportHour: hour, Deployments: []string{"llama"}}
}

func TestReporter_SendsOnceInADayAndTheLastOneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now().UTC()
		o := opened(daily(6))
		leads(o, nil, time.Minute, func() {
			if o.count() != 1 {
				t.Errorf("a new one is sent %d", o.count())
			}
			time.Sleep(6*time.Hour + 5*time.Minute)
			if o.count() != 2 {
				t.Errorf("at six %d were sent", o.count())
			}
			time.Sleep(72 * time.Hour)
		})
		if len(o.sent) != 5 {
			t.Fatalf("%d were sent", len(o.sent))
		}
		for i, l := range o.sent {
			to := began.Truncate(24 * time.Hour).Add(time.Duration(i-1)*24*time.Hour + 6*time.Hour)
			if !l.To.Equal(to) || !l.From.Equal(to.Add(-24*time.Hour)) || l.Namespace != "shop" || l.id != daily(6).ReportID(to) {
				t.Errorf("the report %d is of %s from %v to %v", i, l.Namespace, l.From, l.To)
			}
		}
	})
}

func TestReporter_WhatWasSentIsNotSentAgainByTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := opened(daily(6), notices.Receiver{Namespace: "nemesis-system", Name: "b", Report: notices.Weekly, ReportDay: time.Friday})
		leads(o, nil, time.Minute, nil)
		if len(o.sent) != 2 || len(o.marks) != 2 {
			t.Fatalf("%d were sent, %d are kept", len(o.sent), len(o.marks))
		}
		for range 5 {
			leads(o, nil, time.Hour, nil)
		}
		if len(o.sent) != 2 {
			t.Errorf("after five leaders %d were sent", len(o.sent))
		}
		time.Sleep(50 * time.Hour) // nobody leads at six, twice
		if leads(o, nil, time.Hour, nil); len(o.sent) != 3 {
			t.Errorf("after two days without a leader %d were sent, not the last one alone", len(o.sent))
		}
	})
}

func TestReporter_WaitsForAHistoryThatIsWholeAndForWhatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := opened(daily(6))
		o.partial = true
		leads(o, nil, time.Hour, func() {
			if o.count() != 0 || o.reads != 0 {
				t.Error("it is sent of half a history")
			}
			o.with(func() { o.partial, o.failing = false, errors.New("away") })
			time.Sleep(time.Hour)
			if o.count() != 0 || o.reads < 100 {
				t.Errorf("%d are sent, and nobody knows whether it was before; %d times it was asked", o.count(), o.reads)
			}
			o.with(func() { o.failing = nil })
			time.Sleep(time.Minute)
			if o.count() != 1 {
				t.Errorf("%d were sent", o.count())
			}
		})
	})
}

func TestReporter_WhatIsNotTakenIsTriedAgainOrNot(t *testing.T) {
	for why, want := range map[notices.Dropped]int{notices.DroppedAged: 4, notices.DroppedFull: 4, notices.DroppedRefused: 1, notices.DroppedReceiver: 1, "": 1} {
		synctest.Test(t, func(t *testing.T) {
			o := opened(daily(6))
			o.become = func(notices.Receiver) (notices.Dropped, bool) { return why, true }
			leads(o, nil, 3*time.Hour+10*time.Minute, nil)
			if len(o.sent) != want {
				t.Errorf("%q: it was tried %d times", why, len(o.sent))
			}
			if kept := len(o.marks) > 0; kept != (want == 1) {
				t.Errorf("%q: it is kept that it was sent: %v", why, kept)
			}
		})
	}
}

func TestReporter_OneThatIsOnItsWayIsNotSentAgainAndEndsWithTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := opened(daily(6))
		o.become = func(notices.Receiver) (notices.Dropped, bool) { return "", false }
		leads(o, nil, time.Hour, func() {
			if o.count() != 1 || len(o.pending) != 1 {
				t.Errorf("%d were sent", o.count())
			}
		})
		o.pending[0]("")
		if len(o.marks) > 0 {
			t.Error("who does not lead writes")
		}
		o.become = nil
		if leads(o, nil, time.Hour, nil); len(o.sent) != 2 || o.sent[0].id != o.sent[1].id {
			t.Errorf("%d were sent; one that comes twice has the same id", len(o.sent))
		}
	})
}

func TestReporter_WhatCannotBeKeptIsKeptLaterAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := opened(daily(6))
		o.become = func(notices.Receiver) (notices.Dropped, bool) { o.failing = errors.New("away"); return "", true }
		leads(o, nil, time.Hour, func() {
			o.with(func() {
				if len(o.sent) != 1 || len(o.marks) != 0 {
					t.Errorf("%d were sent, %d are kept", len(o.sent), len(o.marks))
				}
				o.failing = nil
			})
		})
		if len(o.marks) != 1 {
			t.Error("it is not kept at the end of the term")
		}
	})
}

func TestReporter_OfNamespacesOfOtherShardsOthersReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere, own := daily(6), daily(6)
		elsewhere.Namespace, own.Namespace = "elsewhere", "nemesis-system"
		o, all := opened(daily(6), elsewhere, own), &everywhere{}
		for _, first := range []bool{false, true} {
			leads(o, func(options *Options) { options.Everywhere, options.First = all, first }, time.Minute, nil)
		}
		for i, want := range []struct {
			namespace    string
			applications int
		}{{"shop", 0}, {"nemesis-system", 7}} { // a namespace is in one shard, which reports on it by itself
			if len(o.sent) != 2 || o.sent[i].to.Namespace != want.namespace || o.sent[i].Applications != want.applications {
				t.Fatalf("%d were sent: %+v", len(o.sent), o.sent)
			}
		}
		if len(all.asked) != 1 || all.asked[0].Namespace != "" || len(all.asked[0].Deployments) != 1 || !all.asked[0].To.Equal(o.sent[1].To) {
			t.Errorf("all shards were asked for %+v", all.asked)
		}
	})
}

func TestReporter_OneOnAllWaitsForAllShardsAndIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := daily(6)
		own.Namespace = "nemesis-system"
		o, all := opened(own, daily(6)), &everywhere{failing: errors.New("shard 3 has no leader")}
		var said bytes.Buffer
		leads(o, func(options *Options) {
			options.Everywhere, options.First, options.Log = all, true, slog.New(slog.NewTextHandler(&said, nil))
		}, time.Hour, func() {
			if o.count() != 1 || o.sent[0].to.Namespace != "shop" {
				t.Errorf("%d were sent: half a report goes out, or others wait for it", o.count())
			}
			all.become(nil)
			time.Sleep(time.Hour)
			if o.count() != 2 || o.sent[1].Applications != 7 {
				t.Errorf("%d were sent when all answered", o.count())
			}
		})
		if n := strings.Count(said.String(), "shard 3 has no leader"); n != 1 {
			t.Errorf("it was said %d times that it waits: %s", n, said.String())
		}
	})
}

func TestReporter_ForgetsWhomNobodyReportsToAndWhoIsThereNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := opened(daily(6))
		o.marks["old"], o.marks["young"] = time.Now().Add(-16*24*time.Hour), time.Now().Add(-10*24*time.Hour)
		o.gone = true
		leads(o, nil, time.Minute, nil)
		if _, kept := o.marks["old"]; kept || len(o.marks) != 1 || len(o.sent) != 0 {
			t.Errorf("%v, %d were sent", o.marks, len(o.sent))
		}
	})
}
