package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

func errMethod() error {
	return fault.New(fault.MethodNotAllowed, "CONNECT is not offered: this is no forward proxy")
}

func errURITooLong(size, limit int) error {
	return fault.New(fault.Invalid, "the request's target is too long").
		With("target", strconv.Itoa(size)+" bytes", "at most "+strconv.Itoa(limit)+" bytes")
}

// connectionsRetry is when a client may try again that was one too many: connections come and go.
const connectionsRetry = time.Second

func errConnections(most int) error {
	return fault.New(fault.TooManyConns, "%d client connections are open, as many as max_connections of the settings allows", most).After(connectionsRetry)
}

// refuse answers with a problem document when the request did not get an answer from a pod.
func (x *exchange) refuse(err error) {
	x.fault = err
	if x.r.Context().Err() != nil && !errors.Is(err, errBodyTooLarge) {
		x.cut = true // the client is gone: nobody reads an answer
		return
	}
	// The rest of the body is not wanted, and who reads it must stop before the answer is written.
	x.endBody()
	problem := x.problem(err)
	x.status, x.refused = problem.Code.Status(), problem.Code
	if x.call {
		x.refusal = problem
		return
	}
	if x.body.unread() || problem.Code == fault.TooManyConns {
		x.w.Header().Set("Connection", "close")
	}
	fault.Write(x.w, x.r.WithContext(x.ctx), problem)
}

// problem is how a failure looks to the client; it is counted here.
func (x *exchange) problem(err error) *fault.Error {
	problem, reason := x.classify(err)
	var app routing.Application
	if x.visit.App != nil {
		app = x.visit.App.ID
	}
	if reason != "" {
		x.p.o.Metrics.rejects(app, reason)
	}
	return problem.Because(err)
}

func (x *exchange) classify(err error) (problem *fault.Error, reason string) {
	if known, ok := errors.AsType[*fault.Error](err); ok {
		switch known.Code {
		case fault.TooLarge:
			return known, reasonTooLarge
		case fault.TooManyConns:
			return known, reasonConns
		default:
			return known, reasonInvalid
		}
	}
	switch {
	case errors.Is(err, routing.ErrNoRoute):
		return fault.New(fault.NotFound, "no application has this host and path; a CustomAutoscaler gives it an apiPrefix"), reasonNoRoute
	case errors.Is(err, routing.ErrPathForm), errors.Is(err, routing.ErrPathNUL), errors.Is(err, routing.ErrAmbiguous):
		return fault.New(fault.Invalid, "").With("path", x.r.URL.EscapedPath(), err.Error()), reasonInvalid
	case errors.Is(err, waitroom.ErrTooMany), errors.Is(err, waitroom.ErrTooLarge):
		return fault.New(fault.WaitingRoomFull, "%s, and no pod is free", err).After(x.visit.RetryAfter(time.Now())), reasonRoomFull
	case errors.Is(err, dispatch.ErrBusy):
		return fault.New(fault.TooMany, "every pod of %s works on as many requests as it may, and none was free within %v", x.visit.App.ID, rounded(x.visit.Waited)).
			After(x.visit.RetryAfter(time.Now())), reasonTooLate
	case errors.Is(err, dispatch.ErrTries):
		return fault.New(fault.Unavailable, "%s, the last of %d", err, x.visit.Tries).After(x.visit.RetryAfter(time.Now())), reasonTooLate
	case isBlocked(err):
		return fault.New(fault.Unavailable, "%s is not started: %s", x.visit.App.ID, err).After(x.visit.RetryAfter(time.Now())), reasonTooLate
	case errors.Is(err, dispatch.ErrTooLate):
		return fault.New(fault.WakeUpTimeout, "no pod of %s was free within %v; %s", x.visit.App.ID, rounded(x.visit.Waited), orElse(x.visit.Trouble, "it goes on being started")).
			After(x.visit.RetryAfter(time.Now())), reasonTooLate
	case errors.Is(err, dispatch.ErrNoRoute):
		return fault.New(fault.Unavailable, "the application's route was removed while the request waited").After(time.Second), reasonNoRoute
	case errors.Is(err, dispatch.ErrClosing):
		return fault.New(fault.Unavailable, "this load balancer is ending; another one takes the request").After(time.Second), reasonClosing
	case errors.Is(err, errBodyTooLarge):
		return httpserver.TooLarge(-1, x.p.o.Limits.Body), reasonTooLarge
	case isBodyError(err):
		return fault.New(fault.Invalid, "the body did not arrive: it broke off, or paused for more than %v", x.p.o.Limits.StreamIdle), ""
	case errors.Is(err, dispatch.ErrGone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "the exchange was ended"), ""
	}
	x.broken = true
	kind, problem := "broken", fault.New(fault.BadGateway, "the connection to the pod broke before it answered; the request may have been worked on, so it was not sent again")
	if errors.Is(err, ErrHeadTimeout) {
		kind, problem = "head-timeout", fault.New(fault.UpstreamTimeout, "the pod sent no answer: it was silent for longer than timeout_seconds of the settings allows")
	}
	x.p.o.Metrics.failures.WithLabelValues(x.visit.App.ID.Namespace, x.visit.App.ID.Deployment, kind).Inc()
	return problem, ""
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func isBodyError(err error) bool {
	_, ok := errors.AsType[*BodyError](err)
	return ok
}

func isBlocked(err error) bool {
	_, ok := errors.AsType[*dispatch.BlockedError](err)
	return ok
}

// rounded is a duration for a person.
func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return fmt.Sprint(d.Round(100 * time.Millisecond))
}

var _ http.Handler = (*Proxy)(nil)
