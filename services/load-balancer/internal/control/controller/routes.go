package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	// After so long the number of the controller's shards counts as one that stays.
	steadyLayout = 10 * time.Second
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
	sources := divide(nil, 1)
	for changes := 0; ; changes++ {
		began := time.Now()
		shards := c.follow(ctx, fleet, settings, sources)
		if ctx.Err() != nil {
			return
		}
		c.o.Log.Info("the controller has another number of shards", "before", len(sources), "now", shards)
		sources = divide(sources, shards)
		if time.Since(began) > steadyLayout {
			changes = 0
		}
		if changes > 0 { // replicas that do not agree yet
			retry.Pause(ctx, backOff.Near(changes, rand.Float64))
		}
	}
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
	picture  *picture
	settings Settings
	source   *source
	log      *slog.Logger
	moved    context.CancelCauseFunc // ends all followers
	anew     atomic.Bool             // everything is asked for anew

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
		case isLayout(err):
			f.moved(err)
			return
		case err != nil:
			failures++
			delay := pause(err, failures)
			if !errors.Is(err, errRedial) {
				f.ended(err)
			}
			f.log.Warn("routes not received", "error", err, "again_ms", delay.Milliseconds())
			retry.Pause(ctx, delay)
		case f.source.streams && time.Since(began) < shortStream:
			retry.Pause(ctx, backOff.Near(1, rand.Float64))
		}
	}
}

// ended counts an exchange, and tells the link where it says something of that.
func (f *follower) ended(err error) {
	if f.picture.went(f.source.shard, err) {
		f.c.ended("routes", err)
		return
	}
	f.c.counted("routes", err)
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
		f.ended(nil)
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
	if answer.StatusCode == http.StatusBadRequest && f.source.shards > 1 {
		return nil, &layoutError{} // there is no such shard
	}
	if answer.StatusCode != http.StatusOK || kind != "application/json" {
		return nil, refused(answer.StatusCode, whole)
	}
	return newLines(oneLine(whole)).next, nil
}

// take takes one part of a change, and hands it on when it is whole.
func (f *follower) take(parts *change, line *autoscaler.RoutesUpdate) error {
	if err := f.source.layout(line); err != nil {
		return err
	}
	if err := parts.add(line); err != nil {
		return err
	}
	if value(line.Continued) {
		return nil
	}
	whole := *parts
	*parts = change{asked: parts.asked, buckets: parts.buckets}
	if s := whole.settings; s != nil && !f.settings.Follow(*s, whole.settingsVersion) {
		f.log.Info("settings ignored that are older than those followed", "version", whole.settingsVersion)
	}
	if whole.version != f.source.version || !whole.nothing() { // else it is a sign of life
		f.hand(&whole)
	}
	if shards := int(value(line.Shards)); f.source.shards == 1 && shards > 1 {
		return &layoutError{shards}
	}
	return nil
}

// hand hands a whole change on.
func (f *follower) hand(whole *change) {
	update := f.source.take(whole)
	lost := f.picture.apply(f.source.shard, update)
	log := f.log.Debug
	if update.Anew {
		log = f.log.Info
	}
	log("routes followed", "version", update.Version, "anew", update.Anew, "changed", len(update.Routes), "removed", len(update.Removed))
	for _, app := range lost {
		f.log.Warn("host and path belong to another application", "application", app.String())
	}
}

func isLayout(err error) bool {
	_, is := errors.AsType[*layoutError](err)
	return is
}
