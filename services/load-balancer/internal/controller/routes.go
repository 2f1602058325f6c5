package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/routing"
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

// FollowRoutes hands every change of the routes to the fleet until ctx ends.
func (c *Client) FollowRoutes(ctx context.Context, fleet Fleet) {
	c.link.mu.Lock()
	c.link.changed = fleet.ControllerAway
	c.link.mu.Unlock()
	var back backOff
	version := ""
	for ctx.Err() == nil {
		update, err := c.poll(ctx, version)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			delay := back.next()
			if !errors.Is(err, errRedial) {
				c.ended("routes", err)
			}
			c.o.Log.Warn("routes not received", "error", err, "again_ms", delay.Milliseconds())
			pause(ctx, delay)
			continue
		}
		back.reset()
		c.ended("routes", nil)
		if update.Version == version && !update.Complete && len(update.Routes)+len(update.Removed) == 0 {
			continue // nothing has changed
		}
		lost := fleet.Apply(update)
		version = update.Version
		c.o.Log.Info("routes followed", "version", version, "complete", update.Complete, "changed", len(update.Routes), "removed", len(update.Removed))
		for _, app := range lost {
			c.o.Log.Warn("host and path belong to another application", "application", app.String())
		}
	}
}

var errRedial = errors.New("other exchanges with the controller failed: the poll is begun again")

// poll waits for one change.
func (c *Client) poll(ctx context.Context, version string) (routing.Update, error) {
	ctx, cancel := context.WithTimeout(ctx, pollWait+pollGrace)
	defer cancel()
	ctx, redial := context.WithCancelCause(ctx)
	defer redial(nil)
	c.link.mu.Lock()
	c.link.redial = func() { redial(errRedial) }
	c.link.mu.Unlock()

	wait := fmt.Sprintf("%ds", int(pollWait.Seconds()))
	params := &autoscaler.WatchRoutesParams{Wait: &wait}
	if version != "" {
		params.After = &version
	}
	answer, err := c.api.WatchRoutesWithResponse(ctx, params)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errRedial) {
			return routing.Update{}, cause
		}
		return routing.Update{}, err
	}
	if answer.JSON200 == nil {
		return routing.Update{}, problemOf(answer.StatusCode(), answer.Body)
	}
	return update(answer.JSON200), nil
}

// maxProblem bounds how much of a refusal goes into a log line.
const maxProblem = 512

// problemOf is an answer that is not what was asked for.
func problemOf(status int, body []byte) error {
	return fmt.Errorf("%d %s: %.*s", status, http.StatusText(status), maxProblem, body)
}
