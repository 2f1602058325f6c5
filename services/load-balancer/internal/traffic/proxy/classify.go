package proxy

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
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

// errTooLarge refuses a body; a negative size is not known.
func errTooLarge(size, limit int64) error {
	sent := ""
	if size >= 0 {
		sent = strconv.FormatInt(size, 10) + " bytes"
	}
	return fault.New(fault.TooLarge, "").With("body", sent, "at most "+strconv.FormatInt(limit, 10)+" bytes")
}

func errConnections(most int) error {
	return fault.New(fault.TooManyConns, "%d client connections are open, as many as max_connections of the settings allows", most).After(connectionsRetry)
}

func (x *exchange) retryAfter() time.Duration {
	if x.visit.App == nil { // it did not get that far
		return x.match.Target.RetryAfter(x.p.o.Now())
	}
	return x.visit.RetryAfter(x.p.o.Now())
}

// fullOr is how a request is refused for which there is no room: pods serve, and are busy, or none
// serves.
func (x *exchange) fullOr(code fault.Code) fault.Code {
	if x.progress().Serving {
		return fault.Busy
	}
	return code
}

// names tells whether the client is told of names: on the data port anybody is one, and whose applications
// stand behind it, and on which pods, is none of his business unless the operator says so. Who asks by the admin
// port may send requests in the application's namespace.
func (x *exchange) names() bool { return x.call || x.p.o.NamesInRefusals }

// whom is the application, as the client is told of it.
func (x *exchange) whom() string {
	if x.names() && x.match.Target != nil {
		return x.match.Target.ID.String()
	}
	return "the application"
}

// blocked says why no pod of the application can start. The cluster's own words have names in them: of images,
// quotas, nodes.
func (x *exchange) blocked(b routing.Blocked) *fault.Error {
	why := dispatch.Nameless(b, x.visit.App.ID)
	if x.names() {
		why = b.Reason + ": " + b.Message
	}
	return fault.New(fault.StartBlocked, "%s cannot start: %s", x.whom(), why).After(x.retryAfter())
}

// trouble is why the request waited in vain.
func (x *exchange) trouble() string {
	if x.names() {
		return orElse(x.visit.Trouble.Text, "it goes on being started")
	}
	return orElse(x.visit.Trouble.Nameless, "it goes on being started")
}

// noPort is that a pod cannot be asked for what was asked.
func (x *exchange) noPort() *fault.Error {
	pod := "the application's pod"
	if x.names() {
		pod = "the pod " + x.visit.Pod.Name + " of " + x.whom()
	}
	return fault.New(fault.BadGateway, "%s has no port for %s: see the CustomAutoscaler's condition TargetFound", pod, orElse(x.at, "/"))
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
	if caught, ok := errors.AsType[*FaultError](err); ok {
		x.p.caught(caught.Fault, caught.Stack)
		err = errFault
	}
	if blocked, ok := errors.AsType[*dispatch.BlockedError](err); ok {
		return x.blocked(blocked.Blocked), reasonBlocked
	}
	if syntax, ok := errors.AsType[*message.Error](err); ok && !errors.Is(err, ErrBroken) && !isBodyError(err) {
		code := fault.Invalid
		if syntax.Version {
			code = fault.VersionNotSupported
		}
		return fault.New(code, "").With(syntax.Part, "", syntax.Allowed), reasonInvalid
	}
	switch {
	case errors.Is(err, errFault):
		x.ours = true
		return fault.New(fault.Internal, ""), ""
	case errors.Is(err, routing.ErrNoRoute):
		return fault.New(fault.NotFound, "no application has this host and path; a CustomAutoscaler gives it an apiPrefix"), reasonNoRoute
	case errors.Is(err, routing.ErrPathForm), errors.Is(err, routing.ErrPathNUL), errors.Is(err, routing.ErrAmbiguous):
		return fault.New(fault.Invalid, "").With("path", x.r.Path, err.Error()), reasonInvalid
	case errors.Is(err, waitroom.ErrShare):
		return fault.New(x.fullOr(fault.WaitingRoomFull), "%s, and no pod is free", err).After(x.retryAfter()), reasonShare
	case errors.Is(err, waitroom.ErrTooMany), errors.Is(err, waitroom.ErrTooLarge):
		return fault.New(x.fullOr(fault.WaitingRoomFull), "%s, and no pod is free", err).After(x.retryAfter()), reasonRoomFull
	case errors.Is(err, errShare):
		return fault.New(x.fullOr(fault.Unavailable), "%s takes so many of the client connections that others would find none", x.whom()).
			After(x.retryAfter()), reasonShare
	case errors.Is(err, errStarting):
		return fault.New(fault.Unavailable, "no pod of %s serves yet: %s", x.whom(), progressText(x.progress())).After(x.retryAfter()), reasonStarting
	case errors.Is(err, errNoStream):
		return x.noStream(), ""
	case errors.Is(err, dispatch.ErrAsleep):
		return fault.New(fault.Unavailable, "no pod of %s serves, and this request starts none", x.whom()).After(x.retryAfter()), ""
	case errors.Is(err, dispatch.ErrTooLate):
		return fault.New(fault.WakeUpTimeout, "no pod of %s was free within %v; %s", x.whom(), rounded(x.tried()), x.trouble()).
			After(x.retryAfter()), reasonTooLate
	case errors.Is(err, dispatch.ErrBusy):
		return fault.New(fault.Busy, "every pod of %s works on as many requests as it may", x.whom()).After(x.retryAfter()), reasonBusy
	case errors.Is(err, dispatch.ErrTries):
		return fault.New(fault.BadGateway, "it was offered to pods %d times, and none took it", x.visit.Tries), ""
	case errors.Is(err, dispatch.ErrNoRoute):
		return fault.New(fault.Unavailable, "the application's route was removed while the request waited").After(time.Second), reasonNoRoute
	case errors.Is(err, errNoPort):
		return x.noPort(), ""
	case errors.Is(err, dispatch.ErrClosing):
		return fault.New(fault.Unavailable, "this load balancer is ending; another one takes the request").After(time.Second), reasonClosing
	case errors.Is(err, errBodyTooLarge):
		return fault.From(errTooLarge(-1, x.p.o.Limits.Body)), reasonTooLarge
	case errors.Is(err, errBodyTooSlow):
		return fault.New(fault.RequestTimeout, "the body paused for too long, or came too slowly"), ""
	case isBodyError(err):
		return fault.New(fault.Invalid, "the body did not arrive: it broke off, or its chunks are not well formed"), ""
	case errors.Is(err, ErrInterrupted):
		return fault.New(fault.Unavailable, "the exchange was ended"), ""
	case isLocal(err):
		x.ours = true
		x.p.o.Log.Warn("a limit of this load balancer keeps requests from pods", "error", err)
		return fault.New(fault.Unavailable, "the load balancer has no connection left to give").After(time.Second), reasonLocal
	}
	x.broken = true
	kind, problem := "broken", fault.New(fault.BadGateway, "the connection to the pod broke before it answered; the request may have been worked on, so it was not sent again")
	if errors.Is(err, ErrHeadTimeout) {
		kind, problem = "head-timeout", fault.New(fault.UpstreamTimeout, "the pod sent no answer: it was silent for longer than timeout_seconds of the settings allows")
	}
	x.p.o.Metrics.failures.of(x.visit.App.ID, kind).Inc()
	return problem, ""
}

func isLocal(err error) bool {
	_, ok := errors.AsType[*LocalError](err)
	return ok
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

// tried is how long a pod was looked for: while the request waited, and, where pods were asked in vain,
// meanwhile too.
func (x *exchange) tried() time.Duration {
	if x.visit.Tries == 0 {
		return x.visit.Waited
	}
	return x.p.o.Now().Sub(x.visit.Arrived)
}

// rounded is a duration for a person.
func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return fmt.Sprint(d.Round(100 * time.Millisecond))
}
