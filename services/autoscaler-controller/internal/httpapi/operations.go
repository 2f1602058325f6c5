package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// StartApplication starts an application in this call.
func (a *api) StartApplication(ctx context.Context, in autoscaler.StartApplicationRequestObject) (autoscaler.StartApplicationResponseObject, error) {
	started, err := a.Control.Start(ctx, fleet.Key{Namespace: in.Namespace, Deployment: in.Name},
		scaling.Call{Balancer: in.Body.Balancer, Waiting: in.Body.Waiting})
	if err != nil {
		return nil, err
	}
	return autoscaler.StartApplication200JSONResponse(startResponse(started)), nil
}

// ReportTraffic hands a report to ingest.
func (a *api) ReportTraffic(ctx context.Context, in autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	return a.Traffic.ReportTraffic(ctx, in)
}

// SubmitPodMetrics hands a sidecar's measurement to ingest.
func (a *api) SubmitPodMetrics(ctx context.Context, in autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	return a.Metrics.SubmitPodMetrics(ctx, in)
}

// ListPods shows every pod of the applications.
func (a *api) ListPods(_ context.Context, in autoscaler.ListPodsRequestObject) (autoscaler.ListPodsResponseObject, error) {
	list := autoscaler.ListPods200JSONResponse(autoscaler.PodList{})
	list.Items = podItems(a.views(in.Params.Namespace, in.Params.Deployment))
	return list, nil
}

// ListMetrics shows what the applications use.
func (a *api) ListMetrics(_ context.Context, in autoscaler.ListMetricsRequestObject) (autoscaler.ListMetricsResponseObject, error) {
	list := autoscaler.ListMetrics200JSONResponse{Items: []autoscaler.ApplicationMetrics{}}
	for _, v := range a.views(in.Params.Namespace, in.Params.Deployment) {
		list.Items = append(list.Items, applicationMetrics(v))
	}
	return list, nil
}

// views are the applications of a namespace and a name; nil matches all.
func (a *api) views(namespace, deployment *string) []fleet.View {
	var list []fleet.View
	for _, k := range a.Fleet.Keys() {
		if namespace != nil && k.Namespace != *namespace || deployment != nil && k.Deployment != *deployment {
			continue
		}
		if v, ok := a.Fleet.View(k, time.Now()); ok {
			list = append(list, v)
		}
	}
	return list
}

// ListApplications shows every application.
func (a *api) ListApplications(_ context.Context, in autoscaler.ListApplicationsRequestObject) (autoscaler.ListApplicationsResponseObject, error) {
	list := autoscaler.ListApplications200JSONResponse{Items: []autoscaler.Application{}}
	for _, k := range a.Fleet.Keys() {
		if in.Params.Namespace != nil && k.Namespace != *in.Params.Namespace {
			continue
		}
		if shown, ok := a.show(k); ok {
			list.Items = append(list.Items, shown)
		}
	}
	return list, nil
}

// GetApplication shows one application.
func (a *api) GetApplication(_ context.Context, in autoscaler.GetApplicationRequestObject) (autoscaler.GetApplicationResponseObject, error) {
	k := fleet.Key{Namespace: in.Namespace, Deployment: in.Name}
	shown, ok := a.show(k)
	if !ok {
		return nil, fault.New(fault.NotFound, "no CustomAutoscaler names the Deployment %s; %s", k, a.known(in.Namespace))
	}
	return autoscaler.GetApplication200JSONResponse(shown), nil
}

// known says what there is, for a caller who asked for something else.
func (a *api) known(namespace string) string {
	var names []string
	for _, k := range a.Fleet.Keys() {
		if k.Namespace == namespace && len(names) < 20 {
			names = append(names, k.Deployment)
		}
	}
	if len(names) == 0 {
		return "none is named in the namespace " + namespace
	}
	return "in " + namespace + " are named: " + strings.Join(names, ", ")
}

func (a *api) show(k fleet.Key) (autoscaler.Application, bool) {
	view, ok := a.Fleet.View(k, time.Now())
	if !ok {
		return autoscaler.Application{}, false
	}
	last, conditions := a.Control.Insight(k)
	return application(view, last, conditions), true
}

// ListDecisions shows the last decisions.
func (a *api) ListDecisions(_ context.Context, in autoscaler.ListDecisionsRequestObject) (autoscaler.ListDecisionsResponseObject, error) {
	f := fleet.Filter{
		Key:     fleet.Key{Namespace: value(in.Params.Namespace, ""), Deployment: value(in.Params.Deployment, "")},
		Trigger: scaling.Trigger(value(in.Params.Trigger, "")), Result: fleet.Result(value(in.Params.Result, "")), Since: value(in.Params.Since, time.Time{}),
	}
	list := autoscaler.ListDecisions200JSONResponse{Items: []autoscaler.Decision{}}
	for _, r := range a.Control.Decisions(f, value(in.Params.Limit, 100)) {
		list.Items = append(list.Items, contract.Decision(r))
	}
	return list, nil
}

// SubmitPodMetricsBatch hands a collector's batch to ingest. It was read before; its outside is as the
// contract has it.
func (s *server) SubmitPodMetricsBatch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.api.badRequest(w, r, err)
		return
	}
	receipt, err := s.api.Metrics.SubmitBatch(body)
	if err != nil {
		s.api.refuse(w, r, err)
		return
	}
	answer(w, receipt)
}

// The operations on custom resources, all passed on.

func (s *server) ListCustomAutoscalers(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, _ autoscaler.ListCustomAutoscalersParams) {
	s.api.pass(w, r)
}

func (s *server) CreateCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace) {
	s.api.pass(w, r)
}

func (s *server) GetCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, _ autoscaler.Name) {
	s.api.pass(w, r)
}

func (s *server) ReplaceCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, _ autoscaler.Name) {
	s.api.pass(w, r)
}

func (s *server) PatchCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, _ autoscaler.Name) {
	s.api.pass(w, r)
}

func (s *server) DeleteCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, _ autoscaler.Name) {
	s.api.pass(w, r)
}
