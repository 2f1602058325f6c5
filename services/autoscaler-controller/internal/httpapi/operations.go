package httpapi

import (
	"cmp"
	"context"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// StartApplication starts an application in this call.
func (a *api) StartApplication(ctx context.Context, in autoscaler.StartApplicationRequestObject) (autoscaler.StartApplicationResponseObject, error) {
	if err := a.speaks(ctx, in.Body.Balancer); err != nil {
		return nil, err
	}
	started, err := a.Control.Start(ctx, fleet.Key{Namespace: in.Namespace, Deployment: in.Name},
		scaling.Call{Balancer: in.Body.Balancer, Waiting: in.Body.Waiting})
	if err != nil {
		return nil, err
	}
	return autoscaler.StartApplication200JSONResponse(startResponse(started)), nil
}

// speaks refuses a load balancer that speaks as another one.
func (a *api) speaks(ctx context.Context, balancer string) error {
	by := a.granted(ctx).Caller
	if by.SpeaksFor(balancer) {
		return nil
	}
	return fault.New(fault.Forbidden, "%s speaks for the load balancer %s, its pod", by.Name, cmp.Or(by.Pod, "of no name (its token is of no pod)")).
		With("balancer", balancer, "the name of the pod in the token")
}

// decided are the namespaces of the decisions that are held.
func (a *api) decided() []string {
	names := map[string]bool{}
	for _, r := range a.Control.Decisions(fleet.Filter{}, math.MaxInt) {
		names[r.Namespace] = true
	}
	return slices.Collect(maps.Keys(names))
}

// ReportTraffic hands a report to ingest.
func (a *api) ReportTraffic(ctx context.Context, in autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	if err := a.speaks(ctx, in.Body.Balancer); err != nil {
		return nil, err
	}
	return a.Traffic.ReportTraffic(ctx, in)
}

// SubmitPodMetrics hands a sidecar's measurement to ingest.
func (a *api) SubmitPodMetrics(ctx context.Context, in autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	if by := a.granted(ctx).Caller; !by.Measures(in.Body.Namespace, in.Body.PodName) {
		return nil, fault.New(fault.Forbidden, "%s may say what the pod %s in the namespace %s uses; this is of the pod %s in %s",
			by.Name, by.Pod, by.Account.Namespace, in.Body.PodName, in.Body.Namespace)
	}
	if by := a.granted(ctx).Caller; by.Collector && a.NodeOf != nil && !by.Reaches(a.NodeOf(in.Body.Namespace, in.Body.PodName)) {
		return nil, fault.New(fault.Forbidden, "%s", access.OtherNode(by.Node))
	}
	return a.Metrics.SubmitPodMetrics(ctx, in)
}

// ListPods shows every pod of the applications.
func (a *api) ListPods(ctx context.Context, in autoscaler.ListPodsRequestObject) (autoscaler.ListPodsResponseObject, error) {
	p := in.Params
	c := choice{namespace: value(p.Namespace, ""), deployment: value(p.Deployment, ""), labels: value(p.LabelSelector, ""), fields: value(p.FieldSelector, "")}
	q, err := newAsked(listOfPods(c), c, podFields, p.Limit, p.Continue)
	if err != nil {
		return nil, err
	}
	if q.sees, err = a.seen(ctx, q.namespace, a.Fleet.Namespaces); err != nil {
		return nil, err
	}
	page, meta := a.pods(q)
	return autoscaler.ListPods200JSONResponse{Items: page.Items, Metadata: meta}, nil
}

// ListMetrics shows what the applications use.
func (a *api) ListMetrics(ctx context.Context, in autoscaler.ListMetricsRequestObject) (autoscaler.ListMetricsResponseObject, error) {
	p := in.Params
	c := choice{namespace: value(p.Namespace, ""), deployment: value(p.Deployment, ""), labels: value(p.LabelSelector, ""), fields: value(p.FieldSelector, "")}
	q, err := newAsked(listOfMetrics(c), c, applicationFields, p.Limit, p.Continue)
	if err != nil {
		return nil, err
	}
	if q.sees, err = a.seen(ctx, q.namespace, a.Fleet.Namespaces); err != nil {
		return nil, err
	}
	page, meta := applications(a, q, applicationMetrics)
	return autoscaler.ListMetrics200JSONResponse{Items: page.Items, Metadata: meta}, nil
}

// ListApplications shows every application.
func (a *api) ListApplications(ctx context.Context, in autoscaler.ListApplicationsRequestObject) (autoscaler.ListApplicationsResponseObject, error) {
	p := in.Params
	c := choice{namespace: value(p.Namespace, ""), deployment: value(p.Deployment, ""), labels: value(p.LabelSelector, ""), fields: value(p.FieldSelector, "")}
	q, err := newAsked(listOfApplications(c), c, applicationFields, p.Limit, p.Continue)
	if err != nil {
		return nil, err
	}
	if q.sees, err = a.seen(ctx, q.namespace, a.Fleet.Namespaces); err != nil {
		return nil, err
	}
	holders := a.holders(ctx)
	page, meta := applications(a, q, func(v fleet.View) autoscaler.Application { return a.shown(v, holders) })
	return autoscaler.ListApplications200JSONResponse{Items: page.Items, Metadata: meta, RefusedClaims: a.refusedBeside(q, holders)}, nil
}

// GetApplication shows one application.
func (a *api) GetApplication(ctx context.Context, in autoscaler.GetApplicationRequestObject) (autoscaler.GetApplicationResponseObject, error) {
	k, err := a.named(ctx, in.Namespace, in.Name)
	if err != nil {
		return nil, err
	}
	shown, ok := a.show(k, a.holders(ctx))
	if !ok {
		return nil, a.unknown(k)
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

func (a *api) show(k fleet.Key, h *holders) (autoscaler.Application, bool) {
	view, ok := a.Fleet.View(k, time.Now())
	if !ok {
		return autoscaler.Application{}, false
	}
	return a.shown(view, h), true
}

func (a *api) shown(v fleet.View, h *holders) autoscaler.Application {
	last, conditions := a.Control.Insight(v.Observation.Key)
	out := application(v, last, conditions)
	out.RefusedClaims = h.claims(v.Refused, refusedOfOne)
	if s, known := a.History.Savings(v.Observation.Key); known {
		out.Savings = saved(s)
	}
	return out
}

// ListDecisions shows the last decisions.
func (a *api) ListDecisions(ctx context.Context, in autoscaler.ListDecisionsRequestObject) (autoscaler.ListDecisionsResponseObject, error) {
	p := in.Params
	c := choice{
		namespace: value(p.Namespace, ""), deployment: value(p.Deployment, ""), labels: value(p.LabelSelector, ""), fields: value(p.FieldSelector, ""),
		trigger: value(p.Trigger, ""), result: string(value(p.Result, "")), since: value(p.Since, time.Time{}),
	}
	limit := value(p.Limit, defaultLimit)
	q, err := newAsked(listOfDecisions(c), c, decisionFields, &limit, p.Continue)
	if err != nil {
		return nil, err
	}
	if q.sees, err = a.seen(ctx, q.namespace, a.decided); err != nil {
		return nil, err
	}
	page, meta := a.decisions(q)
	// Asked for after the decisions: what was lost meanwhile is among them, and nothing else is missing.
	since := a.Control.DecisionsSince(fleet.Key{Namespace: q.namespace, Deployment: q.deployment})
	list := autoscaler.ListDecisions200JSONResponse{Items: make([]autoscaler.Decision, len(page.Items)), Metadata: meta, CompleteSince: moment(since)}
	for i, r := range page.Items {
		list.Items[i] = contract.Decision(r)
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
	receipt, err := s.api.Metrics.SubmitBatch(body, s.api.granted(r.Context()).Caller)
	if err != nil {
		s.api.refuse(w, r, err)
		return
	}
	answer(w, receipt)
}

// The operations on custom resources, all passed on.

func (s *server) ListCustomAutoscalers(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, p autoscaler.ListCustomAutoscalersParams) {
	if value(p.Watch, false) {
		s.api.watch(w, r)
		return
	}
	s.api.pass(w, r)
}

func (s *server) CreateCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace) {
	s.api.pass(w, r)
}

func (s *server) GetCustomAutoscaler(w http.ResponseWriter, r *http.Request, _ autoscaler.Namespace, name autoscaler.Name) {
	if asksToWatch(r) {
		s.api.refuse(w, r, fault.New(fault.NotImplemented, "a single object is not watched here: watch the collection, %s?watch=true&fieldSelector=metadata.name%%3D%s",
			strings.TrimSuffix(r.URL.Path, "/"+name), name))
		return
	}
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
