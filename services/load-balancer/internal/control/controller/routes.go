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
	failures, version := 0, ""
	for ctx.Err() == nil {
		if c.anew.Swap(false) {
			version = ""
		}
		answer, err := c.poll(ctx, version)
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
		if answer.settings != nil && !settings.Follow(*answer.settings, answer.settingsVersion) {
			c.o.Log.Info("settings ignored that are older than those followed", "version", answer.settingsVersion)
		}
		update := answer.routes
		if update.Version == version && !update.Complete && len(update.Routes)+len(update.Removed) == 0 && update.Balancers == nil {
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

// Why a poll that is under way is begun again.
var (
	errRedial = errors.New("other exchanges with the controller failed: the poll is begun again")
	errAnew   = errors.New("everything is asked for anew")
)

// PollAnew has everything asked for anew, at once.
func (c *Client) PollAnew() {
	c.anew.Store(true)
	c.link.mu.Lock()
	redial := c.link.redial
	c.link.mu.Unlock()
	if redial != nil {
		redial(errAnew)
	}
}

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

// news is what one poll has brought.
type news struct {
	routes          routing.Update
	settings        *tuning.Settings // nil: it has none
	settingsVersion uint64           // 0: a controller older than versions
}

// poll waits for one change.
func (c *Client) poll(ctx context.Context, version string) (news, error) {
	ctx, end := c.beginPoll(ctx)
	defer end()
	asked := time.Now()
	wait := fmt.Sprintf("%ds", int(pollWait.Seconds()))
	params := &autoscaler.WatchRoutesParams{Wait: &wait}
	if version != "" {
		params.After = &version
	}
	answer, err := c.api.WatchRoutesWithResponse(ctx, params)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errRedial) || errors.Is(cause, errAnew) {
			err = cause
		}
		return news{}, err
	}
	if answer.JSON200 == nil {
		return news{}, refused(answer.StatusCode(), answer.Body)
	}
	out := news{routes: update(answer.JSON200), settingsVersion: settingsVersion(answer.JSON200.SettingsVersion)}
	out.routes.Asked = asked
	if answer.JSON200.Settings != nil {
		out.settings = new(balancerSettings(answer.JSON200.Settings))
	}
	return out, nil
}
