package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

// pageSize is how many are asked for at a time.
const pageSize = 500

// Name is what people call an application: a Deployment, or the CustomAutoscaler that names it; with or without its
// namespace before a slash.
type Name struct{ Namespace, Name string }

func (n Name) String() string { return n.Namespace + "/" + n.Name }

// Of is the name of an application, by its Deployment.
func Of(a autoscaler.Application) Name { return Name{a.Namespace, a.Deployment} }

// NameOf reads [NAMESPACE/]NAME.
func (n *Nemesis) NameOf(said string) (Name, error) {
	namespace, name, ok := strings.Cut(said, "/")
	if !ok {
		namespace, name = n.Namespace(), said
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return Name{}, &UsageError{fmt.Sprintf("%q is no application: write NAME or NAMESPACE/NAME", said)}
	}
	return Name{namespace, name}, nil
}

// Applications are those of a namespace; of all that the caller may see when it is empty. selector is a field selector.
func (n *Nemesis) Applications(ctx context.Context, namespace, selector string) ([]autoscaler.Application, error) {
	all, _, err := n.Claimed(ctx, namespace, selector)
	return all, err
}

// Claimed are the same, and beside them the claims that are refused and that none of them says.
func (n *Nemesis) Claimed(ctx context.Context, namespace, selector string) (all []autoscaler.Application, refused []autoscaler.RefusedClaim, err error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return nil, nil, err
	}
	p := autoscaler.ListApplicationsParams{Namespace: orNil(namespace), FieldSelector: orNil(selector), Limit: new(autoscaler.PageSize(pageSize))}
	for {
		a, err := c.ListApplicationsWithResponse(ctx, &p)
		if err != nil {
			return nil, nil, err
		}
		page, err := read(a, a.JSON200)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, page.Items...)
		if page.RefusedClaims != nil {
			refused = append(refused, *page.RefusedClaims...)
		}
		if page.Metadata == nil || page.Metadata.Continue == nil || *page.Metadata.Continue == "" {
			return all, refused, nil
		}
		p.Continue = page.Metadata.Continue
	}
}

// Application is the one of this name: of the Deployment or, where none has it, of the CustomAutoscaler.
func (n *Nemesis) Application(ctx context.Context, name Name) (autoscaler.Application, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return autoscaler.Application{}, err
	}
	a, err := c.GetApplicationWithResponse(ctx, name.Namespace, name.Name)
	switch {
	case err == nil:
		return read(a, a.JSON200)
	case !NotFound(err):
		return autoscaler.Application{}, err
	}
	several, listed := n.Applications(ctx, name.Namespace, "autoscaler="+name.Name)
	switch {
	case listed != nil || len(several) == 0:
		return autoscaler.Application{}, err
	case len(several) > 1:
		return autoscaler.Application{}, &UsageError{fmt.Sprintf("the CustomAutoscaler %s has %d Deployments: name one of them: %s", name, len(several), deployments(several))}
	}
	return several[0], nil
}

func deployments(all []autoscaler.Application) string {
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.Deployment
	}
	return strings.Join(names, ", ")
}

// Decisions selects decision records.
type Decisions struct {
	Name    Name
	Result  string // applied, held, failed, unchanged; empty: all
	Since   time.Time
	AtMost  int                            // 0: all
	Through func(autoscaler.Decision) bool // nil: all; else whether to go on to older ones
}

// Decisions are the records that the controller still holds, newest first, and from when on none is missing among them
// (zero: it does not say).
func (n *Nemesis) Decisions(ctx context.Context, of Decisions) (all []autoscaler.Decision, complete time.Time, err error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	p := autoscaler.ListDecisionsParams{
		Namespace: orNil(of.Name.Namespace), Deployment: orNil(of.Name.Name), Limit: new(min(cmp.Or(of.AtMost, pageSize), pageSize)),
		Result: (*autoscaler.ListDecisionsParamsResult)(orNil(of.Result)),
	}
	if !of.Since.IsZero() {
		p.Since = &of.Since
	}
	for {
		a, err := c.ListDecisionsWithResponse(ctx, &p)
		if err != nil {
			return nil, time.Time{}, err
		}
		page, err := read(a, a.JSON200)
		if err != nil {
			return nil, time.Time{}, err
		}
		if complete = (time.Time{}); page.CompleteSince != nil {
			complete = *page.CompleteSince // of the last page: what is lost while they are read is missing
		}
		for _, d := range page.Items {
			all = append(all, d)
			if len(all) == of.AtMost || of.Through != nil && !of.Through(d) {
				return all, complete, nil
			}
		}
		if page.Metadata == nil || page.Metadata.Continue == nil || *page.Metadata.Continue == "" {
			return all, complete, nil
		}
		p.Continue = page.Metadata.Continue
	}
}

// Period is the one of a report: hours or days as 12h or 7d, and when they end; zero: now.
type Period struct {
	For   string
	Until time.Time
}

// Report is what became of the applications of a namespace, or of all that the caller may see, as it is written.
func (n *Nemesis) Report(ctx context.Context, namespace string, period Period, format autoscaler.ReportFormat) ([]byte, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.GetReportWithResponse(ctx, &autoscaler.GetReportParams{Namespace: orNil(namespace), For: orNil(period.For), Until: orNil(period.Until), Format: &format})
	if err != nil {
		return nil, err
	}
	if a.StatusCode() != http.StatusOK {
		return nil, refusalOf(a.StatusCode(), a.GetBody())
	}
	return a.GetBody(), nil
}

// Autoscaler is a CustomAutoscaler.
func (n *Nemesis) Autoscaler(ctx context.Context, name Name) (autoscaler.CustomAutoscaler, error) {
	c, err := n.Autoscalers(ctx)
	if err != nil {
		return autoscaler.CustomAutoscaler{}, err
	}
	a, err := c.GetCustomAutoscalerWithResponse(ctx, name.Namespace, name.Name)
	if err != nil {
		return autoscaler.CustomAutoscaler{}, err
	}
	return read(a, a.JSON200)
}

// PatchSpec changes fields of a CustomAutoscaler's spec; nil removes one.
func (n *Nemesis) PatchSpec(ctx context.Context, name Name, spec map[string]any) (autoscaler.CustomAutoscaler, error) {
	c, err := n.Autoscalers(ctx)
	if err != nil {
		return autoscaler.CustomAutoscaler{}, err
	}
	a, err := c.PatchCustomAutoscalerWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, name.Namespace, name.Name, autoscaler.MergePatch{"spec": spec})
	if err != nil {
		return autoscaler.CustomAutoscaler{}, err
	}
	return read(a, a.JSON200)
}

// Settings are what every load balancer follows.
func (n *Nemesis) Settings(ctx context.Context) (common.BalancerSettings, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return common.BalancerSettings{}, err
	}
	a, err := c.GetBalancerSettingsWithResponse(ctx)
	if err != nil {
		return common.BalancerSettings{}, err
	}
	return read(a, a.JSON200)
}

// PutSettings sets what every load balancer follows.
func (n *Nemesis) PutSettings(ctx context.Context, settings common.BalancerSettings) (common.BalancerSettings, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return common.BalancerSettings{}, err
	}
	a, err := c.PutBalancerSettingsWithResponse(ctx, settings)
	if err != nil {
		return common.BalancerSettings{}, err
	}
	return read(a, a.JSON200)
}

// orNil is a parameter that is left out where it says nothing.
func orNil[T comparable](v T) *T {
	var nothing T
	if v == nothing {
		return nil
	}
	return &v
}

// State is what a load balancer knows and does, of the applications of a namespace or of all that the caller may see.
func (b Balancer) State(ctx context.Context, of Name) (loadbalancer.State, error) {
	p := loadbalancer.GetStateParams{Namespace: orNil(of.Namespace), Deployment: orNil(of.Name), Limit: new(pageSize)}
	var whole loadbalancer.State
	for {
		a, err := b.GetStateWithResponse(ctx, &p)
		if err != nil {
			return whole, err
		}
		page, err := read(a, a.JSON200)
		if err != nil {
			return whole, err
		}
		page.Applications = append(whole.Applications, page.Applications...)
		whole = page
		if page.Metadata == nil || page.Metadata.Continue == nil || *page.Metadata.Continue == "" {
			whole.Metadata = nil
			return whole, nil
		}
		p.Continue = page.Metadata.Continue
	}
}

// Logs is a page of the log of proxied requests.
func (b Balancer) Logs(ctx context.Context, p loadbalancer.ListProxyLogsParams) (loadbalancer.ProxyLogPage, error) {
	a, err := b.ListProxyLogsWithResponse(ctx, &p)
	if err != nil {
		return loadbalancer.ProxyLogPage{}, err
	}
	return read(a, a.JSON200)
}

// Wake wakes an application, as a request would.
func (n *Nemesis) Wake(ctx context.Context, name Name) (autoscaler.StartResponse, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return autoscaler.StartResponse{}, err
	}
	a, err := c.WakeApplicationWithResponse(ctx, name.Namespace, name.Name)
	if err != nil {
		return autoscaler.StartResponse{}, err
	}
	return read(a, a.JSON200)
}

// Sleep lets an application sleep now.
func (n *Nemesis) Sleep(ctx context.Context, name Name) (autoscaler.SleepResponse, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return autoscaler.SleepResponse{}, err
	}
	a, err := c.SleepApplicationWithResponse(ctx, name.Namespace, name.Name)
	if err != nil {
		return autoscaler.SleepResponse{}, err
	}
	return read(a, a.JSON200)
}

// Preview is what would be decided on an application now with another spec.
func (n *Nemesis) Preview(ctx context.Context, name Name, spec autoscaler.CustomAutoscalerSpec) (autoscaler.Decision, error) {
	c, err := n.Controller(ctx)
	if err != nil {
		return autoscaler.Decision{}, err
	}
	a, err := c.PreviewDecisionWithResponse(ctx, name.Namespace, name.Name, autoscaler.PreviewRequest{Spec: spec})
	if err != nil {
		return autoscaler.Decision{}, err
	}
	return read(a, a.JSON200)
}

// Waiting is who waits at a load balancer now, page by page; the moment is that of the first.
func (b Balancer) Waiting(ctx context.Context, of Name, limit int) (loadbalancer.WaitingList, error) {
	p := loadbalancer.ListWaitingParams{Namespace: orNil(of.Namespace), Deployment: orNil(of.Name), Limit: &limit}
	var all loadbalancer.WaitingList
	for {
		a, err := b.ListWaitingWithResponse(ctx, &p)
		if err != nil {
			return loadbalancer.WaitingList{}, err
		}
		page, err := read(a, a.JSON200)
		if err != nil {
			return loadbalancer.WaitingList{}, err
		}
		if p.Continue == nil {
			all = page
		} else {
			all.Items = append(all.Items, page.Items...)
		}
		all.Metadata = nil
		if page.Metadata == nil || page.Metadata.Continue == nil || *page.Metadata.Continue == "" {
			return all, nil
		}
		p.Continue = page.Metadata.Continue
	}
}

// Raw is what the API server itself answers to a GET of this path, and its clock.
func (n *Nemesis) Raw(ctx context.Context, path string, limit int64) ([]byte, time.Time, error) {
	return n.exchange(ctx, http.MethodGet, path, nil, limit)
}

// exchange is a call of the API server itself: its answer, up to the limit, and its clock.
func (n *Nemesis) exchange(ctx context.Context, method, path string, body io.Reader, limit int64) ([]byte, time.Time, error) {
	way, err := n.toKubernetes()
	if err != nil {
		return nil, time.Time{}, err
	}
	r, err := http.NewRequestWithContext(ctx, method, way.url+path, body)
	if err != nil {
		return nil, time.Time{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := way.http.Do(r)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer answer.Body.Close()
	at, _ := http.ParseTime(answer.Header.Get("Date"))
	said, err := io.ReadAll(io.LimitReader(answer.Body, limit))
	return said, at, err
}

// reviewLimit bounds what is read of the answer to a review.
const reviewLimit = 64 << 10

// Allowed has the API server say whether somebody may do something. Who asks needs the right to create subjectaccessreviews.
func (n *Nemesis) Allowed(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	review := authorizationv1.SubjectAccessReview{TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"}, Spec: spec}
	body, err := json.Marshal(review)
	if err != nil {
		return false, err
	}
	said, _, err := n.exchange(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", bytes.NewReader(body), reviewLimit)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(said, &review); err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
