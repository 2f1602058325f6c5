package control

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Scaler scales Deployments.
type Scaler interface {
	// Scale asks for `to` pods, but only if the Deployment is still as it was decided on: of the
	// same version, where that is known. It returns how the Deployment stands afterwards; with
	// fleet.ErrMoved, how it was found instead.
	Scale(ctx context.Context, k fleet.Key, from fleet.Scale, to int32) (fleet.Scale, error)
}

// Marker marks the pods that were chosen to go.
type Marker interface {
	// Mark writes and takes back marks. It returns when all are written; a pod that has gone needs
	// none. After an error some may have been written: to write them again does no harm.
	Mark(ctx context.Context, k fleet.Key, list []fleet.Marking) error
}

// Recorder tells people what happened, beside the API: on the CustomAutoscaler itself.
type Recorder interface {
	// Event tells of something that happened once. It does not wait.
	Event(a fleet.Autoscaler, e fleet.Event)
	// Status compares how the targets of a CustomAutoscaler stand with what is written on it, and tells
	// what there is to write. It asks nobody. It returns fleet.ErrGone when there is nothing to write to,
	// as does the write itself.
	Status(a fleet.Autoscaler, targets []fleet.Target) (fleet.StatusChange, error)
	// Restored tells, on the Deployment, what became of it when no CustomAutoscaler named it any more.
	Restored(k fleet.Key, e fleet.Event)
}

// Changes takes note of what is not as it was, for those who follow it. Its methods do not wait.
type Changes interface {
	// Changed: an application is. It is urgent when people wait for it: another state, a wake-up; not traffic, or a pod more.
	Changed(k fleet.Key, urgent bool)
	// Removed: there is no such application any more.
	Removed(k fleet.Key)
	// Decided: a decision was recorded.
	Decided(r fleet.Record)
}

// unwatched is that nobody follows.
type unwatched struct{}

func (unwatched) Changed(fleet.Key, bool) {}
func (unwatched) Removed(fleet.Key)       {}
func (unwatched) Decided(fleet.Record)    {}

// Observer measures. Its methods do not wait.
type Observer interface {
	// Deciding begins the span of a decision that does something; end ends it. traceID is "" when
	// there is no trace.
	Deciding(ctx context.Context, k fleet.Key, d scaling.Decision) (_ context.Context, traceID string, end func(fleet.Record))
	// Decided counts a decision that was recorded.
	Decided(r fleet.Record)
	// Settled measures how long it took until the pods of a scaling were alive, or gone.
	Settled(from, to int32, took time.Duration)
	// Delayed measures how long news waited for a decision.
	Delayed(by time.Duration)
	// Waited measures how long a start call waited for the application's turn.
	Waited(took time.Duration)
	// Worked measures what a start call that scaled took of this process itself: neither the turn nor /scale.
	Worked(took time.Duration)
	// StatusDone counts what became of a status that was looked at.
	StatusDone(r StatusResult)
	// Started measures a start call, from its arrival to its answer.
	Started(took time.Duration, scaled bool, err error)
}
