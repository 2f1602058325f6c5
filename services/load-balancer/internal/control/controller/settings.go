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

// Settings holds those that are followed, of which the newest version stays; see tuning.Holder.
type Settings interface {
	Current() tuning.Settings
	Follow(s tuning.Settings, version uint64) bool
}

var _ Settings = (*tuning.Holder)(nil)

// How long the controller may take to keep the settings, and when to try again.
const (
	settingsTimeout = 10 * time.Second
	settingsRetry   = time.Second
)

// PutSettings has the controller keep the settings, and follows its answer, unless something newer is
// followed by then. It returns what is followed. The error is a *fault.Error.
//
// The answer of a controller older than versions is left to the next poll, which comes at once: two of
// them may come in another order than the changes were made.
func (c *Client) PutSettings(ctx context.Context, s tuning.Settings, held Settings) (tuning.Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, settingsTimeout)
	defer cancel()
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
	version := uint64(0)
	if answer.Headers200 != nil {
		version = settingsVersion(answer.Headers200.NemesisSettingsVersion)
	}
	if version == 0 {
		return kept, nil
	}
	held.Follow(kept, version)
	return held.Current(), nil
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
	refusal, ok := fault.Read(status, body)
	switch {
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fault.New(fault.Unavailable, "the controller is of an older version and keeps no settings, so nothing was changed: bring it up to date").
			After(settingsRetry).Because(refusal.Cause)
	case !ok:
		return fault.New(fault.Unavailable, "the controller answered %d, so nothing was changed", status).
			After(settingsRetry).Because(refusal.Cause)
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
