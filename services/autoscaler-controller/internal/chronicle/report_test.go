package chronicle

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// lastDay is the day that ends with the hour that is being filled.
func lastDay() report.Asked {
	now := time.Now()
	return report.Asked{From: now.Add(-24 * time.Hour).Truncate(time.Hour), To: now}
}

func TestReport_IsOfWhatWasSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}, terms: fleet.Terms{Rules: []string{"CPUThreshold", "Rule:night"}, Contest: "somebody"}}
		woken := &fleet.WakesEnded{Total: 5, Last: []fleet.WakeEnded{{Took: time.Minute}}}
		w.set(fleet.Sample{Key: cart, Pods: 1, Ready: 1, Replicas: 1, Maximum: 3, Arrived: 10, Failures: 2, Rejected: 1, Woken: woken}, fleet.Sample{Key: menu, Maximum: 1})
		c := w.new()
		lead(c, time.Minute, func() {
			if !c.Whole() {
				t.Error("what was kept is read, and it is not whole")
			}
			c.Decided(fleet.Record{Key: cart, Time: time.Now(), Decision: scaling.Decision{Reasons: []scaling.Reason{
				{Rule: "CPUThreshold", Effect: scaling.Note, Trigger: scaling.ByMetric}, {Rule: "Rule:night", Effect: scaling.Wish, Trigger: scaling.ByRule}, {Rule: "Keep", Effect: scaling.Wish, Trigger: scaling.Reconcile},
			}}})
			next := &fleet.WakesEnded{Total: 8, Last: []fleet.WakeEnded{{Took: time.Minute}, {Took: time.Second}, {Took: 3 * time.Second, Late: true}, {Failed: true}}}
			w.set(fleet.Sample{Key: cart, Pods: 1, Ready: 1, Replicas: 1, Maximum: 3, Arrived: 30, Failures: 5, Rejected: 2, Contested: true, Woken: next}, fleet.Sample{Key: menu, Maximum: 1})
			time.Sleep(time.Minute)
			synctest.Wait()
			r := c.Report(lastDay(), time.Now())
			if r.Applications != 2 || r.Partly != 2 || r.Arrivals != 20 || r.Failures != 3 || r.Rejected != 1 || r.Failed != 1 || r.Late != 1 || r.Waits.Len() != 2 {
				t.Errorf("%+v", r)
			}
			if r.Observed != 240 || r.PodSeconds != 120 || r.SavedAgainstOne != 120 || r.SavedAgainstMaximum != 2*120+120 || r.Totals.Contested < 55 || r.Totals.Contested > 60 {
				t.Errorf("%+v", r.Totals)
			}
			if len(r.Contested) != 2 || r.Contested[0].Key != cart || r.Contested[0].By != "somebody" {
				t.Errorf("contested: %+v", r.Contested)
			}
			if len(r.Silent) != 1 || r.Silent[0].Key != cart || r.Silent[0].Rule != "CPUThreshold" || r.Silent[0].Since.IsZero() {
				t.Errorf("silent: %+v", r.Silent)
			}
			one := lastDay()
			one.Namespace = "cafe"
			if r := c.Report(one, time.Now()); r.Applications != 1 || len(r.Items) != 1 || r.Items[0].Key != menu {
				t.Errorf("of one namespace: %+v", r)
			}
		})
		if c.Whole() || c.Report(lastDay(), time.Now()).Applications != 0 {
			t.Error("who does not lead tells of something")
		}
	})
}

// A decision that says the same as the last one is not recorded: the rule that asked for it goes on asking.
func TestReport_ARuleThatGoesOnAskingIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}, terms: fleet.Terms{Rules: []string{"Rule:full"}}}
		w.set(fleet.Sample{Key: cart, Pods: 3, Maximum: 3})
		c := w.new()
		decide := func(e scaling.Effect) {
			c.Decided(fleet.Record{Key: cart, Time: time.Now(), Decision: scaling.Decision{Reasons: []scaling.Reason{{Rule: "Rule:full", Effect: e, Trigger: scaling.ByRule}}}})
		}
		lead(c, time.Second, func() {
			decide(scaling.Wish)
			time.Sleep(40 * time.Hour)
			if r := c.Report(lastDay(), time.Now()); len(r.Silent) != 0 {
				t.Errorf("it asks all the time: %+v", r.Silent)
			}
			decide(scaling.Note)
			time.Sleep(26 * time.Hour)
			if r := c.Report(lastDay(), time.Now()); len(r.Silent) != 1 || r.Silent[0].Last.IsZero() {
				t.Errorf("it has not asked for 26 hours: %+v", r.Silent)
			}
		})
	})
}

func TestReport_OfAnApplicationThatWasMadeAgainNothingCountsTwice(t *testing.T) {
	r := record{last: fleet.Sample{Arrived: 100, Failures: 9, Woken: &fleet.WakesEnded{Total: 40, Last: []fleet.WakeEnded{{}}}}}
	got := r.sample(fleet.Sample{Arrived: 3, Woken: &fleet.WakesEnded{Total: 1, Last: []fleet.WakeEnded{{Failed: true}}}})
	h := &history.History{}
	h.Add(time.Unix(7200, 0), time.Unix(7205, 0), got)
	totals, _ := h.Between(time.Unix(7200, 0), time.Unix(7205, 0))
	if totals.Failures != 0 || totals.Arrivals != 0 || totals.Failed != 1 {
		t.Errorf("%+v", totals)
	}
}

func TestReport_TheFirstDecisionMayComeBeforeTheFirstSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}, terms: fleet.Terms{Rules: []string{"CPUThreshold"}}}
		c := w.new()
		lead(c, time.Minute+time.Second, func() {
			w.set(fleet.Sample{Key: cart, Pods: 1})
			c.Decided(fleet.Record{Key: cart, Time: time.Now(), Decision: scaling.Decision{Reasons: []scaling.Reason{{Rule: "CPUThreshold", Effect: scaling.Note, Trigger: scaling.ByMetric}}}})
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if r := c.Report(lastDay(), time.Now()); len(r.Silent) != 1 || r.Silent[0].Since.IsZero() {
				t.Errorf("%+v", r.Silent)
			}
			if _, decisions, _ := minutes(t, c, cart); decisions != 1 {
				t.Errorf("%d decisions", decisions)
			}
		})
	})
}

// An application may be made, be woken and be asked before it is looked at for the first time.
func TestReport_WhatANewApplicationCountedBeforeItWasSampledIsInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{kept: map[fleet.Key][]byte{}}
		before := fleet.Sample{Key: menu, Arrived: 1000, Woken: &fleet.WakesEnded{Total: 9, Last: []fleet.WakeEnded{{}}}} // of another term
		w.set(before)
		c := w.new()
		lead(c, time.Minute, func() {
			w.set(before, fleet.Sample{Key: cart, Pods: 1, Arrived: 3, Woken: &fleet.WakesEnded{Total: 1, Last: []fleet.WakeEnded{{Took: time.Second}}}})
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if r := c.Report(lastDay(), time.Now()); r.Arrivals != 3 || r.Waits.Len() != 1 || r.Failed != 0 {
				t.Errorf("%+v", r.Totals)
			}
		})
	})
}

func BenchmarkReport_OfTenThousandApplications(b *testing.B) {
	w := &world{terms: fleet.Terms{Rules: []string{"CPUThreshold", "Rule:night"}}}
	c := w.new()
	c.of = map[fleet.Key]*record{}
	now := time.Unix(1_800_000_000, 0)
	for i := range 10_000 {
		h := &history.History{}
		for n := range 192 {
			at := now.Add(time.Duration(n-192) * time.Hour)
			h.Add(at, at.Add(5*time.Second), history.Sample{Maximum: 3, Pods: int32((n + i) % 3), Arrivals: float64(n), Wakes: []history.Wake{{Took: time.Duration(n) * time.Second}}})
		}
		c.of[fleet.Key{Namespace: fmt.Sprintf("n%d", i%100), Deployment: fmt.Sprintf("d%d", i)}] = &record{history: h}
	}
	c.Fleet = everything{w}
	for b.Loop() {
		if r := c.Report(report.Asked{From: now.Add(-168 * time.Hour), To: now}, now); r.Applications != 10_000 {
			b.Fatal(r.Applications)
		}
	}
}

// everything knows every application.
type everything struct{ *world }

func (e everything) Terms(fleet.Key, time.Time) (fleet.Terms, bool) { return e.terms, true }
