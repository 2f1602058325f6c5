package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// How long the controller is asked to wait for a change, and how long its answer may take beyond.
const (
	pollWait  = 20 * time.Second
	pollGrace = 5 * time.Second
)

// Fleet follows the routes.
type Fleet interface {
	Apply(update routing.Update) (lost []routing.Application)
	ControllerAway(away bool)
}

// FollowRoutes hands every change of the routes to the fleet, and of the settings to their holder,
// until ctx ends.
func (c *Client) FollowRoutes(ctx context.Context, fleet Fleet, settings Settings) {
	c.link.mu.Lock()
	c.link.changed = fleet.ControllerAway
	c.link.mu.Unlock()
	failures := 0
	version, seen := "", settings.Mark()
	for ctx.Err() == nil {
		polling, end := c.beginPoll(ctx) // before the mark: a change after it ends this poll
		mark := settings.Mark()
		if mark != seen {
			version, seen = "", mark
		}
		update, told, err := c.poll(polling, version)
		end()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAnew) {
			continue
		}
		if err != nil {
			failures++
			delay := backOff.Near(failures, rand.Float64)
			if !errors.Is(err, errRedial) {
				c.ended("routes", err)
			}
			c.o.Log.Warn("routes not received", "error", err, "again_ms", delay.Milliseconds())
			retry.Pause(ctx, delay)
			continue
		}
		failures = 0
		c.ended("routes", nil)
		settled := told == nil || settings.Polled(mark, *told, time.Now())
		if settled && update.Version == version && !update.Complete && len(update.Routes)+len(update.Removed) == 0 {
			continue // nothing has changed
		}
		lost := fleet.Apply(update)
		version = update.Version
		c.o.Log.Info("routes followed", "version", version, "complete", update.Complete, "changed", len(update.Routes), "removed", len(update.Removed))
		for _, app := range lost {
			c.o.Log.Warn("host and path belong to another application", "application", app.String())
		}
		if !settled { // what stands now must be read anew
			version = ""
			retry.Pause(ctx, unsettledPause)
		}
	}
}

// unsettledPause is how soon everything is asked for again when the settings that came may be older
// than those that are followed.
const unsettledPause = 50 * time.Millisecond

// Why a poll that is under way is begun again.
var (
	errRedial = errors.New("other exchanges with the controller failed: the poll is begun again")
	errAnew   = errors.New("the settings were changed: everything is asked for anew")
)

// beginPoll makes the context of one poll, which link.redial can end. Call end after the poll.
func (c *Client) beginPoll(ctx context.Context) (polling context.Context, end func()) {
	ctx, cancel := context.WithTimeout(ctx, pollWait+pollGrace)
	ctx, redial := context.WithCancelCause(ctx)
	c.link.mu.Lock()
	c.link.redial = redial
	c.link.mu.Unlock()
	return ctx, func() {
		redial(nil)
		cancel()
	}
}

// poll waits for one change. The settings are nil when the answer has none.
func (c *Client) poll(ctx context.Context, version string) (routing.Update, *tuning.Settings, error) {
	wait := fmt.Sprintf("%ds", int(pollWait.Seconds()))
	params := &autoscaler.WatchRoutesParams{Wait: &wait}
	if version != "" {
		params.After = &version
	}
	answer, err := c.api.WatchRoutesWithResponse(ctx, params)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errRedial) || errors.Is(cause, errAnew) {
			return routing.Update{}, nil, cause
		}
		return routing.Update{}, nil, err
	}
	if answer.JSON200 == nil {
		return routing.Update{}, nil, problemOf(answer.StatusCode(), answer.Body)
	}
	if answer.JSON200.Settings == nil {
		return update(answer.JSON200), nil, nil
	}
	told := balancerSettings(answer.JSON200.Settings)
	return update(answer.JSON200), &told, nil
}
