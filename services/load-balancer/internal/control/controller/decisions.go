package controller

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/scalinglog"
)

// How often decisions and changes are asked for, how many at a time (the controller holds no more), and how long
// an answer may take.
const (
	decisionsEvery   = 5 * time.Second
	decisionsLimit   = 1000
	changesLimit     = 500
	decisionsTimeout = 10 * time.Second
)

// FollowDecisions hands every decision of the controller to who keeps them, from the place on, until ctx
// ends; false asks for them to be told again. It calls moved when the place has. What the controller has forgotten when
// it is asked, after a long time away, is not told.
func (c *Client) FollowDecisions(ctx context.Context, place *scalinglog.Place[scalinglog.Decision], keep func(scalinglog.Decision) bool, moved func(time.Time)) {
	follow(ctx, c, "decisions", place, c.decisions, keep, moved)
}

// FollowChanges hands every change that somebody made through the controller to who keeps them, as FollowDecisions does.
func (c *Client) FollowChanges(ctx context.Context, place *scalinglog.Place[scalinglog.Change], keep func(scalinglog.Change) bool, moved func(time.Time)) {
	follow(ctx, c, "changes", place, c.changes, keep, moved)
}

func follow[T scalinglog.Told](
	ctx context.Context, c *Client, what string, place *scalinglog.Place[T], ask func(context.Context, time.Time) ([]T, error), keep func(T) bool, moved func(time.Time),
) {
	for refusals := 0; ctx.Err() == nil; {
		before := place.Last()
		asking, cancel := context.WithTimeout(ctx, decisionsTimeout)
		list, err := ask(asking, place.Since())
		cancel()
		if ctx.Err() != nil {
			return
		}
		c.counted(what, err)
		if err != nil {
			c.o.Log.Debug(what+" not received", "error", err)
		}
		place.Keep(list, keep)
		if place.Last() != before {
			moved(place.Last())
		}
		if refusals++; !errors.Is(err, errNotLet) {
			refusals = 0
		}
		retry.Pause(ctx, max(decisionsEvery, bearer.Backoff.Near(refusals, rand.Float64)))
	}
}

// from is how a moment is asked from; the zero value asks for all.
func from(since time.Time) *time.Time {
	if since.IsZero() {
		return nil
	}
	return &since
}

func (c *Client) changes(ctx context.Context, since time.Time) ([]scalinglog.Change, error) {
	answer, err := c.api.ListChangesWithResponse(ctx, &autoscaler.ListChangesParams{Limit: new(changesLimit), Since: from(since)})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode() == http.StatusNotFound {
		return nil, nil // a controller of before has none
	}
	if answer.JSON200 == nil {
		return nil, refused(answer.StatusCode(), answer.Body)
	}
	all := make([]scalinglog.Change, 0, len(answer.JSON200.Items))
	for _, one := range answer.JSON200.Items {
		all = append(all, scalinglog.Change{
			ID: one.Id, Time: one.Time, Who: one.Who, Operation: one.Operation, Namespace: value(one.Namespace), Resource: one.Resource,
			Status: one.Status, Made: one.Result == autoscaler.ChangeMade, Reason: value(one.Reason), Before: value(one.Before), After: value(one.After),
		})
	}
	return all, nil
}

func (c *Client) decisions(ctx context.Context, since time.Time) ([]scalinglog.Decision, error) {
	answer, err := c.api.ListDecisionsWithResponse(ctx, &autoscaler.ListDecisionsParams{Limit: new(decisionsLimit), Since: from(since)})
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil {
		return nil, refused(answer.StatusCode(), answer.Body)
	}
	all := make([]scalinglog.Decision, 0, len(answer.JSON200.Items))
	for _, d := range answer.JSON200.Items {
		all = append(all, decision(d))
	}
	return all, nil
}

func decision(d autoscaler.Decision) scalinglog.Decision {
	out := scalinglog.Decision{
		ID: d.Id, Time: d.Time, Application: accesslog.Application{Namespace: d.Namespace, Deployment: d.Deployment},
		From: d.From, To: d.To, Trigger: d.Trigger, Applied: d.Applied, Result: string(value(d.Result)), Error: value(d.Error),
		TraceID: value(d.TraceId), Summary: d.Summary,
	}
	for _, r := range d.Reasons {
		reason := scalinglog.Reason{Rule: r.Rule, Effect: string(r.Effect), Replicas: r.Replicas, Message: r.Message}
		for _, in := range value(r.Inputs) {
			reason.Inputs = append(reason.Inputs, scalinglog.Input{Name: in.Name, Value: in.Value, Unit: value(in.Unit), AgeSeconds: in.AgeSeconds})
		}
		out.Reasons = append(out.Reasons, reason)
	}
	return out
}
