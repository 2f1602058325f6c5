package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// maxBy bounds the name of a person in a decision, in bytes: the name may be longer than a decision is.
const maxBy = 128

// by is who asks, as decisions name them.
func (a *api) by(ctx context.Context) string {
	name := cmp.Or(a.granted(ctx).Caller.Name, "somebody")
	return strings.ToValidUTF8(name[:min(len(name), maxBy)], "")
}

// WakeApplication starts an application for a person, in this call.
func (a *api) WakeApplication(ctx context.Context, in autoscaler.WakeApplicationRequestObject) (autoscaler.WakeApplicationResponseObject, error) {
	started, err := a.Control.Start(ctx, fleet.Key{Namespace: in.Namespace, Deployment: in.Name}, scaling.Call{By: a.by(ctx)})
	a.asked(ctx, "wakeApplication", in.Namespace, in.Name, err)
	if err != nil {
		return nil, err
	}
	return autoscaler.WakeApplication200JSONResponse(startResponse(started)), nil
}

// SleepApplication lets an application sleep now.
func (a *api) SleepApplication(ctx context.Context, in autoscaler.SleepApplicationRequestObject) (autoscaler.SleepApplicationResponseObject, error) {
	s, err := a.Control.Sleep(ctx, fleet.Key{Namespace: in.Namespace, Deployment: in.Name}, a.by(ctx))
	a.asked(ctx, "sleepApplication", in.Namespace, in.Name, err)
	if err != nil {
		return nil, err
	}
	return autoscaler.SleepApplication200JSONResponse{
		State: autoscaler.ApplicationState(s.State), Replicas: s.Replicas, DecisionId: optional(s.DecisionID), Message: s.Message,
	}, nil
}

// PreviewDecision is what would be decided with another spec.
func (a *api) PreviewDecision(ctx context.Context, in autoscaler.PreviewDecisionRequestObject) (autoscaler.PreviewDecisionResponseObject, error) {
	spec, err := readSpec(in.Body.Spec)
	if err != nil {
		return nil, err
	}
	decided, err := a.Control.Preview(ctx, fleet.Key{Namespace: in.Namespace, Deployment: in.Name}, spec)
	if err != nil {
		return nil, err
	}
	return autoscaler.PreviewDecision200JSONResponse(contract.Decision(decided)), nil
}

// readSpec is the part of a spec by which is scaled.
func readSpec(s autoscaler.CustomAutoscalerSpec) (scaling.Spec, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return scaling.Spec{}, fault.New(fault.Invalid, "").With("spec", "", "an object as the contract has it").Because(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return scaling.Spec{}, err //nolint:wrapcheck // never: it was written just now
	}
	read, err := contract.ReadSpec(map[string]any{"spec": object})
	if err != nil {
		return scaling.Spec{}, fault.New(fault.Invalid, "%v", err)
	}
	return read.Scaling, nil
}

// asked takes note of what a person asked for.
func (a *api) asked(ctx context.Context, operation, namespace, name string, err error) {
	if a.Audit == nil || errors.Is(err, context.Canceled) {
		return
	}
	c := Change{
		Who: a.granted(ctx).Caller.Name, Operation: operation, Namespace: namespace, Resource: "deployments/" + namespace + "/" + name, Status: http.StatusOK,
	}
	if err != nil {
		c.Status, c.Reason = refusedAs(err)
	}
	a.Audit.Changed(ctx, c)
}
