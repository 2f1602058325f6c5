package proxy

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// startsPath is where a client that was answered 202 asks how far the start is, behind the prefix of
// the application: whatever leads to that one leads there, and every load balancer can answer, of
// which none keeps a list. What follows it is the id of the wake-up.
const startsPath = "/.well-known/nemesis/starts/"

// maxStartID bounds the ids that are asked for.
const maxStartID = 64

// The states of a start, in the words of the answer.
const (
	startUnderWay = "starting"
	startReady    = "ready"
	startBlocked  = "blocked" // no pod will come as things stand
	startAsleep   = "asleep"  // nobody waits for a pod: a request starts one
)

// startState is what a client is told of a start. It names no pod and no namespace.
type startState struct {
	Status          string   `json:"status"`
	Reason          string   `json:"reason,omitempty"` // why it is blocked
	ElapsedSeconds  float64  `json:"elapsedSeconds"`
	ExpectedSeconds *float64 `json:"expectedSeconds,omitempty"` // absent: not known
	Ask             string   `json:"ask"`
}

// startStateOf is how far the start of the application is.
func startStateOf(p dispatch.Progress, route *routing.Route, ask string) startState {
	s := startState{Status: startAsleep, ElapsedSeconds: tenths(p.Elapsed.Seconds()), Ask: ask}
	if p.Expected > 0 {
		expected := tenths(p.Expected.Seconds())
		s.ExpectedSeconds = &expected
	}
	switch {
	case p.Serving:
		s.Status = startReady
	case p.Blocked.Reason != "":
		s.Status, s.Reason = startBlocked, p.Blocked.Reason
	case p.UnderWay, route.State == routing.Waking:
		s.Status = startUnderWay
	}
	return s
}

func tenths(seconds float64) float64 { return float64(int64(seconds*10)) / 10 }

// asksForStart tells whether the request asks how far a start is.
func (x *exchange) asksForStart() bool { return strings.HasPrefix(x.match.Path, startsPath) }

// answerStart answers that. It is no traffic of the application's, and wakes nobody.
func (x *exchange) answerStart() error {
	id := x.match.Path[len(startsPath):]
	switch {
	case id == "" || len(id) > maxStartID || strings.ContainsFunc(id, func(c rune) bool { return !strings.ContainsRune("0123456789abcdef", c) }):
		return fault.New(fault.NotFound, "no start has this id")
	case x.r.Method != http.MethodGet && x.r.Method != http.MethodHead:
		return fault.New(fault.MethodNotAllowed, "how far a start is can only be asked: GET")
	}
	app, now := x.match.Target, x.p.o.Now()
	state, retryAfter := startStateOf(app.Progress(now), app.Route(), x.startAddress(id)), 0
	if state.Status != startReady {
		retryAfter = seconds(app.RetryAfter(now))
	}
	x.fault = x.writeState(http.StatusOK, state, retryAfter)
	return nil
}

// startAddress is the place to ask, as the client reaches it.
func (x *exchange) startAddress(id string) string {
	outer := ""
	if x.trusts(x.c.Peer().IP) {
		outer = joined(x.r.Fields, message.XForwardedPrefix)
	}
	return outer + x.match.Prefix + startsPath + id
}

// writeState answers with the state of a start; 202 says too where to ask.
func (x *exchange) writeState(status int, state startState, retryAfter int) error {
	body, err := json.Marshal(state)
	if err != nil {
		return err
	}
	o := ownAnswer{status: status, contentType: "application/json", body: append(body, '\n'), retryAfter: retryAfter}
	if status == http.StatusAccepted {
		o.add = []message.Field{{Name: "Location", Value: state.Ask, Known: message.Location}}
	}
	return x.writeOwn(o)
}
