package contract

import (
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// Report is a report as the contract has it.
func Report(r report.Report) autoscaler.Report {
	out := autoscaler.Report{
		From: r.From.UTC(), To: r.To.UTC(), Namespace: optional(r.Namespace), Applications: short(r.Applications), PartlyKnown: short(r.Partly),
		Totals: totals(r.Totals, true), Items: make([]autoscaler.ReportItem, 0, len(r.Items)),
		Contested: make([]autoscaler.ReportContested, 0, len(r.Contested)), SilentRules: make([]autoscaler.ReportSilentRule, 0, len(r.Silent)),
	}
	for _, i := range r.Items {
		out.Items = append(out.Items, autoscaler.ReportItem{Namespace: i.Namespace, Deployment: i.Deployment, Totals: totals(i.Totals, false)})
	}
	for _, c := range r.Contested {
		out.Contested = append(out.Contested, autoscaler.ReportContested{Namespace: c.Namespace, Deployment: c.Deployment, Seconds: c.For.Seconds(), By: optional(c.By)})
	}
	for _, s := range r.Silent {
		out.SilentRules = append(out.SilentRules, autoscaler.ReportSilentRule{Namespace: s.Namespace, Deployment: s.Deployment, Rule: s.Rule, Since: when(s.Since), Last: when(s.Last)})
	}
	if l := r.LeftOut; l != (report.LeftOut{}) {
		out.LeftOut = &struct {
			Contested   int32 `json:"contested"`
			Items       int32 `json:"items"`
			SilentRules int32 `json:"silentRules"`
		}{short(l.Contested), short(l.Items), short(l.Silent)}
	}
	return out
}

// ReadReport is the report of another replica.
func ReadReport(r autoscaler.Report) report.Report {
	out := report.Report{From: r.From, To: r.To, Namespace: value(r.Namespace, ""), Applications: int(r.Applications), Partly: int(r.PartlyKnown), Totals: readTotals(r.Totals)}
	for _, i := range r.Items {
		out.Items = append(out.Items, report.Item{Key: fleet.Key{Namespace: i.Namespace, Deployment: i.Deployment}, Totals: readTotals(i.Totals)})
	}
	for _, c := range r.Contested {
		out.Contested = append(out.Contested, report.Contested{Key: fleet.Key{Namespace: c.Namespace, Deployment: c.Deployment}, For: duration(c.Seconds), By: value(c.By, "")})
	}
	for _, s := range r.SilentRules {
		out.Silent = append(out.Silent, report.Silent{
			Key: fleet.Key{Namespace: s.Namespace, Deployment: s.Deployment}, Rule: s.Rule, Since: value(s.Since, time.Time{}), Last: value(s.Last, time.Time{}),
		})
	}
	if l := r.LeftOut; l != nil {
		out.LeftOut = report.LeftOut{Items: int(l.Items), Contested: int(l.Contested), Silent: int(l.SilentRules)}
	}
	return out
}

func totals(t history.Totals, whole bool) autoscaler.ReportTotals {
	woken := autoscaler.ReportWakeUps{Ended: report.WakeUps(t), Failed: t.Failed, Late: t.Late}
	if t.Waits.Len() > 0 {
		half, most := t.Waits.Quantile(.5).Seconds(), t.Waits.Quantile(.95).Seconds()
		woken.MedianSeconds, woken.P95Seconds = &half, &most
		if whole {
			woken.Waits = waits(t.Waits)
		}
	}
	return autoscaler.ReportTotals{
		ObservedSeconds: t.Observed, AsleepSeconds: t.Asleep, PodSeconds: t.PodSeconds, SavedAgainstOne: t.SavedAgainstOne, SavedAgainstMaximum: t.SavedAgainstMaximum,
		Requests: t.Arrivals, Failures: t.Failures, Rejected: t.Rejected, ContestedSeconds: t.Contested, WakeUps: woken,
	}
}

type reportWaits = []struct {
	Seconds float64 `json:"seconds"`
	Times   int64   `json:"times"`
}

func waits(w history.Waits) *reportWaits {
	out := reportWaits{}
	for took, times := range w.All {
		out = append(out, struct {
			Seconds float64 `json:"seconds"`
			Times   int64   `json:"times"`
		}{took.Seconds(), times})
	}
	return &out
}

func readTotals(t autoscaler.ReportTotals) history.Totals {
	out := history.Totals{
		Observed: t.ObservedSeconds, Asleep: t.AsleepSeconds, PodSeconds: t.PodSeconds, SavedAgainstOne: t.SavedAgainstOne, SavedAgainstMaximum: t.SavedAgainstMaximum,
		Arrivals: t.Requests, Failures: t.Failures, Rejected: t.Rejected, Contested: t.ContestedSeconds, Failed: t.WakeUps.Failed, Late: t.WakeUps.Late,
	}
	switch {
	case t.WakeUps.Waits != nil:
		for _, one := range *t.WakeUps.Waits {
			out.Waits.AddTimes(duration(one.Seconds), one.Times)
		}
	case t.WakeUps.MedianSeconds != nil && t.WakeUps.P95Seconds != nil: // of one application: as many, with the same quantiles
		n := t.WakeUps.Ended - t.WakeUps.Failed
		beyond := n - (19*n+19)/20 + 1
		out.Waits.AddTimes(duration(*t.WakeUps.MedianSeconds), n-beyond)
		out.Waits.AddTimes(duration(*t.WakeUps.P95Seconds), beyond)
	}
	return out
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func short(n int) int32 { return int32(min(n, 1<<30)) } //nolint:gosec // bounded

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
