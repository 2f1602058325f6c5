package proxy

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

var (
	// errStarting refuses a request that would have to wait for the first pod.
	errStarting = errors.New("no pod serves yet")
	// errAnswered ends an exchange that was answered while it waited.
	errAnswered = errors.New("answered")
)

// wait stays in the waiting room until there is a pod, or answers before, as the application wants
// it: then the error is errAnswered.
func (x *exchange) wait() error {
	if x.span != nil {
		_, span := x.p.o.Tracer.Start(x.ctx, "wait")
		defer span.End()
	}
	mode := x.whileWaiting()
	switch mode {
	case routing.ShowProgress:
		return x.waitWithProgress()
	case routing.RefuseAtOnce, routing.Accept, routing.ShowPage:
		if x.visit.Detach(x.p.o.Now()) { // the start goes on
			return x.answerMeanwhile(mode)
		}
	default:
	}
	return x.visit.Wait(x.c.Gone())
}

// whileWaiting is what the client gets while its request waits for the first pod. Who waits for a
// place on a pod, or for an application that was falling asleep, has no wake-up to wait for. An order
// is held, for it has to have an answer; so is what could not be understood: gRPC knows no 202, and
// who wants to change the protocol takes the first answer for the last.
func (x *exchange) whileWaiting() routing.WhileWaiting {
	mode := x.match.Target.Route().WhileWaiting
	if x.early {
		return routing.ShowProgress // as it was begun
	}
	if x.call || mode == "" || x.visit.WakeUp == "" || x.match.Target.Progress(x.p.o.Now()).Serving {
		return routing.Hold
	}
	if mode == routing.RefuseAtOnce {
		return mode
	}
	if x.r.Upgrade != "" || isGRPC(x.r.Fields.First(message.ContentType)) ||
		mode == routing.ShowProgress && x.r.Version == message.HTTP10 || mode == routing.ShowPage && !x.takesPage() {
		return routing.Hold
	}
	return mode
}

// answerMeanwhile answers a request that waits no more.
func (x *exchange) answerMeanwhile(mode routing.WhileWaiting) error {
	app, now := x.match.Target, x.p.o.Now()
	if mode == routing.RefuseAtOnce {
		return errStarting
	}
	progress, retryAfter := app.Progress(now), seconds(app.RetryAfter(now))
	if mode == routing.Accept {
		x.p.o.Metrics.rejects(app.ID, reasonAccepted)
		x.fault = x.writeState(http.StatusAccepted, startStateOf(progress, app.Route(), x.startAddress(x.visit.WakeUp)), retryAfter)
		return errAnswered
	}
	x.p.o.Metrics.rejects(app.ID, reasonPage)
	x.fault = x.writePage(progress, retryAfter)
	return errAnswered
}

// seconds is a duration in whole seconds, rounded up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// accepts tells whether the client asks for this media type by its name: who takes anything does not
// mean it.
func accepts(fields message.Fields, media string) bool {
	for i := range fields {
		if fields[i].Known != message.Accept {
			continue
		}
		for item := range strings.SplitSeq(fields[i].Value, ",") {
			name, parameters, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.Trim(name, " \t"), media) && !unwanted(parameters) {
				return true
			}
		}
	}
	return false
}

// unwanted tells whether the parameters of a media type say that it is not wanted: q=0.
func unwanted(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
		if strings.EqualFold(name, "q") && strings.Trim(value, "0.") == "" && value != "" {
			return true
		}
	}
	return false
}
