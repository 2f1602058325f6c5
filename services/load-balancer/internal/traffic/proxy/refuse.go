package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// errFault stands for a fault of ours, whose stack is in the log.
var errFault = errors.New("a fault in the load balancer")

// connectionsRetry is when a client may try again that was one too many: connections come and go.
const connectionsRetry = time.Second

// shouldRetry is a field that clients of model servers obey, who else send a POST again after any 5xx.
const shouldRetry = "X-Should-Retry"

// refuse answers with a problem document when the request did not get an answer from a pod.
func (x *exchange) refuse(err error) {
	x.fault = err
	if errors.Is(err, ErrGone) || x.c.HasGone() && !errors.Is(err, errBodyTooLarge) {
		return // nobody reads an answer
	}
	if x.answerUncounted(err) {
		return
	}
	problem := x.problem(err)
	x.status, x.refused = problem.Code.Status(), problem.Code
	if x.call {
		x.refusal = problem
		return
	}
	x.c.Interrupt() // the rest of the body is not wanted
	x.mayHaveArrived = x.pod != nil && !isLocal(err) && x.status >= http.StatusInternalServerError
	write := x.writeProblem
	if contentType := x.r.Fields.First(message.ContentType); isGRPC(contentType) {
		write = func(problem *fault.Error) error { return x.writeGRPC(problem, contentType) }
	}
	if err := write(problem); err != nil {
		x.fault = errors.Join(x.fault, err)
	}
}

func (x *exchange) writeProblem(problem *fault.Error) error {
	traceID := ""
	if ids := x.ids(); ids.HasTraceID() {
		traceID = ids.TraceID().String()
	}
	document := fault.Document(problem, x.r.Path, traceID)
	if x.early {
		return x.writeErrorEvent(document)
	}
	o := ownAnswer{
		status: x.status, contentType: fault.ContentType, body: document, retryAfter: problem.RetryAfterSeconds(),
		close: problem.Code == fault.TooManyConns || x.crowdsOut,
	}
	if x.mayHaveArrived {
		o.add = []message.Field{{Name: shouldRetry, Value: "false"}}
	}
	return x.writeOwn(o)
}

// problem is how a failure looks to the client; it is counted here.
func (x *exchange) problem(err error) *fault.Error {
	problem, reason := x.classify(err)
	var app routing.Application
	if x.match.Target != nil {
		app = x.match.Target.ID
	}
	if reason != "" {
		x.p.o.Metrics.rejects(app, reason)
	}
	return problem.Because(err)
}
