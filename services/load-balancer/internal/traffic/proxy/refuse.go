package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// errFault stands for a fault of ours, whose stack is in the log.
var errFault = errors.New("a fault in the load balancer")

// connectionsRetry is when a client may try again that was one too many: connections come and go.
const connectionsRetry = time.Second

// refuse answers with a problem document when the request did not get an answer from a pod.
func (x *exchange) refuse(err error) {
	x.fault = err
	if errors.Is(err, ErrGone) || x.c.HasGone() && !errors.Is(err, errBodyTooLarge) {
		return // nobody reads an answer
	}
	problem := x.problem(err)
	x.status, x.refused = problem.Code.Status(), problem.Code
	if x.call {
		x.refusal = problem
		return
	}
	x.c.Interrupt() // the rest of the body is not wanted
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
	x.answerAdd = append(x.answerAdd[:0],
		message.Field{Name: "Content-Type", Value: fault.ContentType, Known: message.ContentType},
		message.Field{Name: "X-Content-Type-Options", Value: "nosniff"},
		message.Field{Name: "Cache-Control", Value: "no-store", Known: message.CacheControl})
	if seconds := problem.RetryAfterSeconds(); seconds > 0 {
		x.answerAdd = append(x.answerAdd, message.Field{Name: "Retry-After", Value: strconv.Itoa(seconds)})
	}
	x.answered = x.answerAdd
	head := &Head{
		Status: x.status, Reason: http.StatusText(x.status), Add: x.answerAdd, Length: int64(len(document)),
		Close: x.r.HasBody() && !x.body.ended.Load() || problem.Code == fault.TooManyConns,
	}
	if x.r.Method == http.MethodHead {
		head.Bodiless = true
		head.Add = append(head.Add, message.Field{Name: "Content-Length", Value: strconv.Itoa(len(document))})
	}
	if err := x.c.Begin(head); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	for !head.Bodiless && len(document) > 0 {
		n := copy(x.c.Space(), document)
		document = document[n:]
		x.sent += int64(n)
		if err := x.c.Commit(n); err != nil {
			return fmt.Errorf("write to the client: %w", err)
		}
	}
	if err := x.c.End(nil); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
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
