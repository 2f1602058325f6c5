package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// WatchRoutes answers with what changed: by a stream where one is asked for and gets through, else at
// once or as soon as something does.
func (s *server) WatchRoutes(w http.ResponseWriter, r *http.Request, params autoscaler.WatchRoutesParams) {
	if !value(params.Stream, false) || !passesStreams(r) {
		s.ServerInterface.WatchRoutes(w, r, params)
		return
	}
	if err := s.api.streamRoutes(w, r, params); err != nil {
		s.api.refuse(w, r, err)
	}
}

// watch is what was asked for.
type watch struct {
	after string
	have  fleet.Digest // nil: nothing is said of it
	wait  time.Duration
}

// watched reads the parameters. Without one for it, the wait is the one that is given.
func (a *api) watched(p autoscaler.WatchRoutesParams, wait time.Duration) (watch, error) {
	asked := watch{after: value(p.After, ""), wait: wait}
	if missing := a.Missing(); missing != "" {
		// Half a picture would look to the load balancer like routes that have gone.
		return asked, fault.New(fault.Unavailable, "the picture is not whole yet: %s", missing).After(time.Second)
	}
	var err error
	if p.Wait != nil {
		if asked.wait, err = time.ParseDuration(*p.Wait); err != nil {
			return asked, fault.New(fault.Invalid, "").With("wait", *p.Wait, "whole seconds from 0s to 60s").Because(err)
		}
	}
	if p.Have != nil {
		if asked.have, err = fleet.ParseDigest(*p.Have); err != nil {
			return asked, fault.New(fault.Invalid, "").With("have", "", err.Error()).Because(err)
		}
	}
	return asked, nil
}

// routes are what changed after a version, for somebody who holds what was said.
func (a *api) routes(asked watch) (fleet.Update, <-chan struct{}) {
	update, changed := a.Fleet.Routes(asked.after)
	if update.Complete && asked.have != nil {
		update = update.Against(asked.have)
	}
	return update, changed
}

// isEnding refuses what would last, at the end of the service.
func (a *api) isEnding() error {
	select {
	case <-a.Ending:
		return fault.New(fault.Unavailable, "this replica is about to end").After(time.Second)
	default:
		return nil
	}
}

// WatchRoutes answers with what changed, at once or as soon as something does.
func (a *api) WatchRoutes(ctx context.Context, in autoscaler.WatchRoutesRequestObject) (autoscaler.WatchRoutesResponseObject, error) {
	asked, err := a.watched(in.Params, 30*time.Second)
	if err != nil {
		return nil, err
	}
	update, changed := a.routes(asked)
	if update.News() || asked.wait == 0 {
		return autoscaler.WatchRoutes200JSONResponse(a.shownRoutes(ctx, update)), nil
	}
	if err := a.isEnding(); err != nil {
		return nil, err
	}
	a.Meter.Polling(1)
	defer a.Meter.Polling(-1)
	timer := time.NewTimer(asked.wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-a.Ending:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	update, _ = a.routes(asked)
	return autoscaler.WatchRoutes200JSONResponse(a.shownRoutes(ctx, update)), nil
}

// shownRoutes is what changed, as whoever asks may see it.
func (a *api) shownRoutes(ctx context.Context, u fleet.Update) autoscaler.RoutesUpdate {
	out := routesUpdate(u, time.Now())
	if by := a.granted(ctx).Caller; !by.SeesProbeHeaders() {
		withoutHeaders(&out)
	}
	return out
}

// withoutHeaders leaves out the headers of probes: applications keep secrets in them.
func withoutHeaders(u *autoscaler.RoutesUpdate) {
	for _, route := range u.Applications {
		for _, e := range route.Endpoints {
			for i := range e.Probes {
				e.Probes[i].Headers = nil
			}
		}
	}
}
