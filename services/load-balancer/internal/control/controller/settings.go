package controller

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
)

// Settings holds those that are followed. In which order what comes on two ways is followed is its
// own business; see tuning.Holder.
type Settings interface {
	Mark() int
	Polled(mark int, s tuning.Settings, now time.Time) bool
	Changed(s tuning.Settings, now time.Time)
}

var _ Settings = (*tuning.Holder)(nil)

// How long the controller may take to keep the settings, and when to try again.
const (
	settingsTimeout = 10 * time.Second
	settingsRetry   = time.Second
)

// PutSettings has the controller keep the settings, and follows what it answers. One change at a
// time is under way, so that the answers come in the order of the changes. The error is a
// *fault.Error.
func (c *Client) PutSettings(ctx context.Context, s tuning.Settings, held Settings) (tuning.Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, settingsTimeout)
	defer cancel()
	select {
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	case <-ctx.Done():
		return tuning.Settings{}, fault.New(fault.Unavailable, "another change of the settings is under way, so nothing was changed").After(settingsRetry)
	}
	answer, err := c.api.PutBalancerSettingsWithResponse(ctx, settingsRequest(s))
	if err != nil {
		c.ended("settings", err)
		return tuning.Settings{}, settingsUnknown(err)
	}
	if answer.JSON200 == nil {
		refusal := refusalOf(answer.StatusCode(), answer.Body)
		c.ended("settings", ofTheirs(answer.StatusCode(), refusal))
		return tuning.Settings{}, refusal
	}
	c.ended("settings", nil)
	kept := balancerSettings(answer.JSON200)
	held.Changed(kept, time.Now())
	c.pollAnew()
	return kept, nil
}

// pollAnew ends the poll that is under way: what it would bring may be older.
func (c *Client) pollAnew() {
	c.link.mu.Lock()
	redial := c.link.redial
	c.link.mu.Unlock()
	if redial != nil {
		redial(errAnew)
	}
}

// settingsUnknown says what is known of a change that got no answer.
func settingsUnknown(err error) *fault.Error {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return fault.New(fault.Unavailable, "the controller cannot be reached, so nothing was changed").After(settingsRetry).Because(err)
	}
	return fault.New(fault.Unavailable, "the controller did not answer, and it is not known whether it kept the settings: "+
		"GET /loadbalancer/settings shows what is followed once it is back").After(settingsRetry).Because(err)
}

// refusalOf passes on what the controller says in its problem document. That it failed itself is,
// seen from here, that the change is not possible now.
func refusalOf(status int, body []byte) *fault.Error {
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		return fault.New(fault.Unavailable, "the controller is of an older version and keeps no settings, so nothing was changed: bring it up to date").
			After(settingsRetry).Because(problemOf(status, body))
	}
	problem, ok := readProblem(body)
	if !ok {
		return fault.New(fault.Unavailable, "the controller answered %d, so nothing was changed", status).
			After(settingsRetry).Because(problemOf(status, body))
	}
	refusal := &fault.Error{Code: fault.Code(problem.Code), Detail: value(problem.Detail), Cause: problemOf(status, body)}
	if refusal.Code.Status() != status {
		refusal.Code = fault.FromStatus(status)
	}
	if problem.RetryAfterSeconds != nil {
		refusal.RetryAfter = time.Duration(*problem.RetryAfterSeconds) * time.Second
	}
	if problem.Errors != nil {
		for _, e := range *problem.Errors {
			refusal.With(e.Field, value(e.Value), e.Allowed)
		}
	}
	if status >= http.StatusInternalServerError {
		refusal.Code, refusal.RetryAfter = fault.Unavailable, max(refusal.RetryAfter, settingsRetry)
		refusal.Detail = "the controller did not keep the settings, so nothing was changed: " + refusal.Detail
	}
	return refusal
}

// ofTheirs is the error when it is the controller's own: with a definite no it is there.
func ofTheirs(status int, err error) error {
	if status < http.StatusInternalServerError {
		return nil
	}
	return err
}
