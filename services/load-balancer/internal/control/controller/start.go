package controller

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// Start asks the controller to start an application. The error is a dispatch.RefusedStartError
// when the controller answered with a definite no (4xx).
func (c *Client) Start(ctx context.Context, call dispatch.StartCall) (dispatch.Started, error) {
	ctx, span := c.o.Tracer.Start(ctx, "start application", trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	started, err := c.start(ctx, call)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return started, err
}

func (c *Client) start(ctx context.Context, call dispatch.StartCall) (dispatch.Started, error) {
	answer, err := c.api.StartApplicationWithResponse(ctx, call.App.Namespace, call.App.Deployment, startRequest(c.o.Identity, call))
	if err != nil {
		c.ended("start", err)
		return dispatch.Started{}, err
	}
	if answer.JSON200 != nil {
		c.ended("start", nil)
		return started(answer.JSON200), nil
	}
	refusal, _ := fault.Read(answer.StatusCode(), answer.Body)
	if err := refused(answer.StatusCode(), answer.Body); answer.StatusCode() >= http.StatusInternalServerError || errors.Is(err, errNotLet) {
		c.ended("start", err) // of the application it says nothing
		return dispatch.Started{}, err
	}
	c.ended("start", nil) // the controller is there, and says no
	return dispatch.Started{}, &dispatch.RefusedStartError{Detail: cmp.Or(refusal.Detail, answer.Status())}
}
