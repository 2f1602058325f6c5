package proxy

import (
	"errors"
	"net/http"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// uncounted is what is known of a request that may be no traffic, such as a health check: it gets a
// pod that is free, and else an answer of ours.
type uncounted struct {
	is       bool
	status   int    // of the answer while no pod serves
	answered string // in the place of a pod, and why; "" is not
}

// Who answered a request that is no traffic, as the label says it: a pod, or why none did.
const (
	answeredPod    = "pod"
	answeredAsleep = "asleep"
	answeredBusy   = "busy"
)

// recognise finds out whether the request is no traffic.
func (x *exchange) recognise() {
	rules := &x.match.Target.Route().Uncounted
	x.uncounted.status, x.uncounted.is = rules.Match(x.r.Method, x.match.Path, x.r.Fields.First(message.UserAgent))
}

// answerUncounted answers in the place of a pod, if it may: that the application sleeps, or is full,
// is no failure of it.
func (x *exchange) answerUncounted(err error) bool {
	if !x.uncounted.is {
		return false
	}
	answered, status := answeredBusy, http.StatusOK
	switch {
	case errors.Is(err, dispatch.ErrAsleep):
		answered, status = answeredAsleep, x.uncounted.status
	case !errors.Is(err, dispatch.ErrBusy):
		return false
	}
	x.uncounted.answered = answered
	contentType := x.r.Fields.First(message.ContentType)
	switch {
	case status != http.StatusOK:
		return false
	case !isGRPC(contentType):
		x.fault = x.writeOwn(ownAnswer{status: status, contentType: "text/plain; charset=utf-8", body: []byte(answered + "\n")})
	case strings.HasSuffix(x.match.Path, "/grpc.health.v1.Health/Check"):
		x.fault = x.writeServing(contentType)
	default:
		return false
	}
	return true
}

// writeServing says in gRPC's words that all is well: a HealthCheckResponse whose status is SERVING
// (github.com/grpc/grpc/blob/master/doc/health-checking.md).
func (x *exchange) writeServing(contentType string) error {
	x.c.Interrupt()
	const serving = "\x00\x00\x00\x00\x02\x08\x01"
	x.status = http.StatusOK
	x.answerAdd = append(x.answerAdd[:0], message.Field{Name: "Content-Type", Value: contentType, Known: message.ContentType})
	x.answered = x.answerAdd
	head := &Head{Status: http.StatusOK, Reason: http.StatusText(http.StatusOK), Add: x.answerAdd, Length: -1, Close: !x.body.ended.Load()}
	if err := x.c.Begin(head); err != nil {
		return err
	}
	if err := x.write([]byte(serving)); err != nil {
		return err
	}
	return x.endAnswer(message.Fields{{Name: "grpc-status", Value: "0"}})
}

// countUncounted counts it apart from the traffic.
func (x *exchange) countUncounted() {
	answered := x.uncounted.answered
	if answered == "" {
		answered = answeredPod
	}
	x.p.o.Metrics.uncounted.of(x.visit.App.ID, answered).Inc()
}
