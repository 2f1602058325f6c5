package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// How long a controller that knows no streams is asked to wait for a change, and how long any may be
// silent: its answer may take a little longer, and a stream has a line every ten seconds.
const (
	pollWait = 20 * time.Second
	silence  = 25 * time.Second
	// A stream that ends sooner is not asked for anew at once.
	shortStream = time.Second
)

const linesType = "application/x-ndjson"

// Fleet follows the routes.
type Fleet interface {
	Apply(update routing.Update) (lost []routing.Application)
	ControllerAway(away bool)
}

// FollowRoutes hands every change of the routes to the fleet, and of the settings to their holder,
// until ctx ends.
func (c *Client) FollowRoutes(ctx context.Context, fleet Fleet, settings Settings) {
	c.link.notify(fleet.ControllerAway)
	f := &follower{c: c, fleet: fleet, settings: settings, source: newSource()}
	defer c.link.follow(f)()
	f.run(ctx)
}

// PollAnew has everything asked for anew, at once.
func (c *Client) PollAnew() {
	for _, f := range c.link.followers() {
		f.anew.Store(true)
		f.restart(errAnew)
	}
}

// Why an exchange that is under way is begun again, or given up.
var (
	errRedial = errors.New("other exchanges with the controller failed: the routes are asked for again")
	errAnew   = errors.New("everything is asked for anew")
	errSilent = fmt.Errorf("nothing came for %v", silence)
)

// follower follows the routes of one source.
type follower struct {
	c        *Client
	fleet    Fleet
	settings Settings
	source   source
	anew     atomic.Bool // everything is asked for anew

	mu  sync.Mutex
	end func(error) // the exchange that is under way; nil: none is
}

// restart ends the exchange that is under way, so that it is begun again.
func (f *follower) restart(because error) {
	f.mu.Lock()
	end := f.end
	f.mu.Unlock()
	if end != nil {
		end(because)
	}
}

func (f *follower) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		taken, err := f.exchange(ctx)
		if taken > 0 {
			failures = 0
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errAnew):
		case err != nil:
			failures++
			delay := backOff.Near(failures, rand.Float64)
			if !errors.Is(err, errRedial) {
				f.c.ended("routes", err)
			}
			f.c.o.Log.Warn("routes not received", "error", err, "again_ms", delay.Milliseconds())
			retry.Pause(ctx, delay)
		case f.source.streams && time.Since(began) < shortStream:
			retry.Pause(ctx, backOff.Near(1, rand.Float64))
		}
	}
}

// exchange asks once, and takes what comes until the answer ends. It returns how much came.
func (f *follower) exchange(ctx context.Context) (taken int, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	f.mu.Lock()
	f.end = end
	f.mu.Unlock()
	if f.anew.Swap(false) {
		f.source.version = ""
	}
	quiet := time.AfterFunc(silence, func() { end(errSilent) })
	defer quiet.Stop()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
	}()
	asked := time.Now()
	params, buckets := f.source.ask()
	answer, err := f.c.routes.WatchRoutes(ctx, params)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	next, err := f.read(answer)
	if err != nil {
		return 0, err
	}
	parts := change{asked: asked, buckets: buckets}
	for ; ; taken++ {
		line, err := next()
		switch {
		case errors.Is(err, io.EOF) && !parts.begun():
			return taken, nil
		case errors.Is(err, io.EOF):
			return taken, io.ErrUnexpectedEOF
		case err != nil:
			return taken, err
		}
		quiet.Reset(silence)
		f.c.ended("routes", nil)
		if err := f.take(&parts, line); err != nil {
			return taken, err
		}
	}
}

// read finds out what the answer is, and returns how its parts are read: io.EOF is its end.
func (f *follower) read(answer *http.Response) (next func() (*autoscaler.RoutesUpdate, error), err error) {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	f.source.streams = answer.StatusCode == http.StatusOK && kind == linesType
	if f.source.streams {
		return newLines(answer.Body).next, nil
	}
	whole, err := httpclient.ReadAll(answer.Body, maxAnswer)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK || kind != "application/json" {
		return nil, refused(answer.StatusCode, whole)
	}
	return newLines(oneLine(whole)).next, nil
}

// take takes one part of a change, and hands it on when it is whole.
func (f *follower) take(parts *change, line *autoscaler.RoutesUpdate) error {
	if err := parts.add(line); err != nil {
		return err
	}
	if value(line.Continued) {
		return nil
	}
	whole := *parts
	*parts = change{asked: parts.asked, buckets: parts.buckets}
	if s := whole.settings; s != nil && !f.settings.Follow(*s, whole.settingsVersion) {
		f.c.o.Log.Info("settings ignored that are older than those followed", "version", whole.settingsVersion)
	}
	if whole.version == f.source.version && whole.nothing() {
		return nil // a sign of life
	}
	update := f.source.take(&whole)
	lost := f.fleet.Apply(update)
	log := f.c.o.Log.Debug
	if update.Anew {
		log = f.c.o.Log.Info
	}
	log("routes followed", "version", update.Version, "anew", update.Anew, "changed", len(update.Routes), "removed", len(update.Removed))
	for _, app := range lost {
		f.c.o.Log.Warn("host and path belong to another application", "application", app.String())
	}
	return nil
}
