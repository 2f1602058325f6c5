package httpapi

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

// History is what became of applications.
type History interface {
	Read(k fleet.Key, of []history.Resolution, now time.Time) ([]history.Series, history.Savings, bool)
	Savings(k fleet.Key) (history.Savings, bool)
	Report(asked report.Asked, now time.Time) report.Report
	// Whole tells whether all is here that is known: this replica leads, and has read what the leader before kept.
	Whole() bool
}

// errHistoryAway is while nobody could tell the whole of it: less than is known would be taken for all that there was.
var errHistoryAway = fault.New(fault.Unavailable, "the history is with the replica that leads, and none does or it has not yet read what the one before kept").After(time.Second)

// GetApplicationHistory shows what became of an application.
func (a *api) GetApplicationHistory(ctx context.Context, in autoscaler.GetApplicationHistoryRequestObject) (autoscaler.GetApplicationHistoryResponseObject, error) {
	k, err := a.named(ctx, in.Namespace, in.Name)
	if err != nil {
		return nil, err
	}
	of := history.Resolutions()
	if one := in.Params.Resolution; one != nil {
		of = []history.Resolution{history.Resolution(*one)}
	}
	now := time.Now()
	series, savings, known := a.History.Read(k, of, now)
	if !known && !a.History.Whole() {
		return nil, errHistoryAway
	}
	out := autoscaler.GetApplicationHistory200JSONResponse{
		Namespace: k.Namespace, Deployment: k.Deployment, Time: now.UTC(), Savings: saved(savings), Rings: make([]autoscaler.HistoryRing, len(series)),
	}
	for i, s := range series {
		out.Rings[i] = ring(s)
	}
	return out, nil
}

// named is an application that the caller may see.
func (a *api) named(ctx context.Context, namespace, name string) (fleet.Key, error) {
	k := fleet.Key{Namespace: namespace, Deployment: name}
	seen, err := a.seen(ctx, namespace, nil)
	if err != nil {
		return k, err
	}
	if seen != nil && !seen[namespace] {
		return k, fault.New(fault.Forbidden, "you do not see the namespace %s", namespace)
	}
	if _, known := a.Fleet.View(k, time.Now()); !known {
		return k, a.unknown(k)
	}
	return k, nil
}

func ring(s history.Series) autoscaler.HistoryRing {
	n := len(s.Slots)
	out := autoscaler.HistoryRing{
		Resolution: autoscaler.HistoryResolution(s.Resolution), SlotSeconds: wholeSeconds(s.Slot), Start: s.Start.UTC(),
		Observed: make([]float64, n), Arrivals: make([]int64, n), Waiting: make([]int64, n), Replicas: make([]int64, n),
		ReadyReplicas: make([]int64, n), PodSeconds: make([]int64, n), Decisions: make([]int64, n),
	}
	for i, one := range s.Slots {
		out.Observed[i], out.Arrivals[i], out.Waiting[i], out.Replicas[i] = one.Observed, one.Arrivals, one.Waiting, one.Replicas
		out.ReadyReplicas[i], out.PodSeconds[i], out.Decisions[i] = one.Ready, one.PodSeconds, one.Decisions
	}
	return out
}

// saved is what was saved; nil: nobody has looked yet.
func saved(s history.Savings) *autoscaler.Savings {
	if s.Since.IsZero() {
		return nil
	}
	return &autoscaler.Savings{
		Since: s.Since.UTC(), ObservedSeconds: s.Observed, AsleepSeconds: s.Asleep, PodSeconds: s.PodSeconds,
		SavedAgainstOne: s.SavedAgainstOne, SavedAgainstMaximum: s.SavedAgainstMaximum,
	}
}

// noHistory is that of who keeps none.
type noHistory struct{}

func (noHistory) Read(fleet.Key, []history.Resolution, time.Time) ([]history.Series, history.Savings, bool) {
	return nil, history.Savings{}, false
}

func (noHistory) Savings(fleet.Key) (history.Savings, bool) { return history.Savings{}, false }

func (noHistory) Whole() bool { return true }

func (noHistory) Report(asked report.Asked, _ time.Time) report.Report {
	return report.New(asked).Report()
}
