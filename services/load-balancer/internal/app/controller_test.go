package app_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// fakeController serves the control plane by the generated strict server, from what a test sets. It
// keeps every report, and calls onStart in the start call.
type fakeController struct {
	autoscaler.StrictServerInterface

	mu      sync.Mutex
	epoch   string
	version int
	changed chan struct{} // closed at each change
	routes  map[autoscaler.ApplicationKey]autoscaler.Route
	polled  string // the version that the last long poll came with: its routes are followed
	reports []autoscaler.TrafficReport
	starts  []start
	onStart func(autoscaler.ApplicationKey)
	down    bool   // refuses everything
	refusal string // of every start, if not ""
	issues  *testauthority.Authority

	settings        common.BalancerSettings
	settingsVersion int64 // grows with every change; 0: the controller is older than versions
	puts            []common.BalancerSettings
	onPut           func(common.BalancerSettings) autoscaler.PutBalancerSettingsResponseObject // nil: they are kept
	onPoll          func(*autoscaler.RoutesUpdate)                                             // before an answer leaves

	decisions []autoscaler.Decision // newest first
	edits     []autoscaler.Change   // likewise

	names   bool                               // the load balancers are named in the routes
	members map[string]autoscaler.LiveBalancer // that report
}

// ListDecisions answers those that are not older than is asked for.
func (f *fakeController) ListDecisions(_ context.Context, in autoscaler.ListDecisionsRequestObject) (autoscaler.ListDecisionsResponseObject, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := autoscaler.ListDecisions200JSONResponse{Items: []autoscaler.Decision{}}
	for _, d := range f.decisions {
		if in.Params.Since == nil || !d.Time.Before(*in.Params.Since) {
			list.Items = append(list.Items, d)
		}
	}
	return list, nil
}

// ListChanges answers all of them.
func (f *fakeController) ListChanges(context.Context, autoscaler.ListChangesRequestObject) (autoscaler.ListChangesResponseObject, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return autoscaler.ListChanges200JSONResponse{Items: slices.Clone(f.edits)}, nil
}

// GetIdentityKeys has none: nobody's token is verified by them.
func (*fakeController) GetIdentityKeys(context.Context, autoscaler.GetIdentityKeysRequestObject) (autoscaler.GetIdentityKeysResponseObject, error) {
	return autoscaler.GetIdentityKeys200JSONResponse{Issuer: "none", Keys: []map[string]any{}}, nil
}

type start struct {
	key         autoscaler.ApplicationKey
	request     autoscaler.StartRequest
	traceparent string
}

func (c *fakeController) IssueCertificate(_ context.Context, in autoscaler.IssueCertificateRequestObject) (autoscaler.IssueCertificateResponseObject, error) {
	key, err := authority.ReadRequest([]byte(in.Body.Request))
	if err != nil {
		return nil, err
	}
	chain, err := c.issues.Sign(key)
	return autoscaler.IssueCertificate200JSONResponse{Certificate: string(chain), Authority: string(c.issues.Bundle())}, err
}

func newFakeController(t *testing.T) (*fakeController, *httptest.Server) {
	t.Helper()
	c := &fakeController{issues: testauthority.New(t), epoch: "k3x9", settingsVersion: 1, changed: make(chan struct{}), routes: map[autoscaler.ApplicationKey]autoscaler.Route{}, members: map[string]autoscaler.LiveBalancer{}}
	handler := autoscaler.HandlerWithOptions(autoscaler.NewStrictHandler(c, []autoscaler.StrictMiddlewareFunc{keepTrace}), autoscaler.ChiServerOptions{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		down := c.down
		c.mu.Unlock()
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return c, server
}

type traceKey struct{}

func keepTrace(next autoscaler.StrictHandlerFunc, _ string) autoscaler.StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		return next(context.WithValue(ctx, traceKey{}, r.Header.Get("traceparent")), w, r, request)
	}
}

// edit changes the routes and wakes the long polls.
func (c *fakeController) edit(change func(routes map[autoscaler.ApplicationKey]autoscaler.Route)) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.routes)
	return c.bump()
}

func (c *fakeController) bump() string {
	c.version++
	c.tell()
	return c.versionText()
}

// tell wakes who waits for a change.
func (c *fakeController) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *fakeController) versionText() string { return fmt.Sprintf("%s.%d", c.epoch, c.version) }

func (c *fakeController) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	c.bump()
}

func (c *fakeController) WatchRoutes(ctx context.Context, request autoscaler.WatchRoutesRequestObject) (autoscaler.WatchRoutesResponseObject, error) {
	c.mu.Lock()
	if request.Params.After != nil {
		c.polled = *request.Params.After
		c.tell()
	}
	c.mu.Unlock()
	for {
		c.mu.Lock()
		version, changed := c.versionText(), c.changed
		if (request.Params.After == nil || *request.Params.After != version) && c.version > 0 && !c.down {
			settings := c.settings
			answer := autoscaler.WatchRoutes200JSONResponse{Settings: &settings, SettingsVersion: c.versionOfSettings(), Version: version, Complete: true, Removed: []autoscaler.ApplicationKey{}, Applications: []autoscaler.Route{}}
			for _, r := range c.routes {
				answer.Applications = append(answer.Applications, r)
			}
			if c.names {
				answer.Balancers = c.named()
			}
			onPoll := c.onPoll
			c.mu.Unlock()
			if onPoll != nil {
				onPoll((*autoscaler.RoutesUpdate)(&answer))
			}
			return answer, nil
		}
		down := c.down
		c.mu.Unlock()
		if down {
			return nil, fmt.Errorf("down")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// PutBalancerSettings keeps the settings, and wakes the long polls.
func (c *fakeController) PutBalancerSettings(_ context.Context, request autoscaler.PutBalancerSettingsRequestObject) (autoscaler.PutBalancerSettingsResponseObject, error) {
	c.mu.Lock()
	c.puts = append(c.puts, *request.Body)
	onPut := c.onPut
	c.mu.Unlock()
	if onPut != nil {
		return onPut(*request.Body), nil
	}
	return autoscaler.PutBalancerSettings200JSONResponse{
		Body: *request.Body, Headers: autoscaler.PutBalancerSettings200ResponseHeaders{NemesisSettingsVersion: c.set(*request.Body)},
	}, nil
}

// versionOfSettings is nil for a controller older than versions.
func (c *fakeController) versionOfSettings() *int64 {
	if c.settingsVersion == 0 {
		return nil
	}
	return new(c.settingsVersion)
}

// set changes the settings, as another load balancer would, and returns their version.
func (c *fakeController) set(s common.BalancerSettings) *int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
	if c.settingsVersion > 0 {
		c.settingsVersion++
	}
	c.bump()
	return c.versionOfSettings()
}

func (c *fakeController) StartApplication(ctx context.Context, request autoscaler.StartApplicationRequestObject) (autoscaler.StartApplicationResponseObject, error) {
	key := autoscaler.ApplicationKey{Namespace: request.Namespace, Deployment: request.Name}
	c.mu.Lock()
	trace, _ := ctx.Value(traceKey{}).(string)
	c.starts = append(c.starts, start{key: key, request: *request.Body, traceparent: trace})
	onStart, refusal := c.onStart, c.refusal
	c.mu.Unlock()
	if refusal != "" {
		return autoscaler.StartApplication409ApplicationProblemPlusJSONResponse{ConflictApplicationProblemPlusJSONResponse: autoscaler.ConflictApplicationProblemPlusJSONResponse{
			Type: "urn:nemesis:problem:conflict", Title: "The state forbids it", Status: http.StatusConflict, Code: "conflict", Detail: &refusal,
		}}, nil
	}
	if onStart != nil {
		onStart(key)
	}
	return autoscaler.StartApplication200JSONResponse{State: autoscaler.ApplicationStateWaking, Replicas: 1, Scaled: true, Message: "0 to 1"}, nil
}

func (c *fakeController) ReportTraffic(_ context.Context, request autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, *request.Body)
	c.tell()
	receipt := autoscaler.ReportTraffic200JSONResponse{Status: autoscaler.TrafficReceived}
	if c.names {
		c.meet(*request.Body)
		receipt.Epoch, receipt.Leader = &c.epoch, new(true)
	}
	return receipt, nil
}

// meet keeps who reports, as the controller does.
func (c *fakeController) meet(r autoscaler.TrafficReport) {
	now := autoscaler.LiveBalancer{Name: r.Balancer, StartedAt: r.StartedAt, Address: r.Address}
	before, known := c.members[r.Balancer]
	switch {
	case r.Leaving:
		delete(c.members, r.Balancer)
	case known && before.StartedAt.Equal(now.StartedAt) && (before.Address != nil) == (now.Address != nil):
		return
	default:
		c.members[r.Balancer] = now
	}
	c.bump()
}

// named are they, ordered.
func (c *fakeController) named() *[]autoscaler.LiveBalancer {
	list := []autoscaler.LiveBalancer{}
	for _, name := range slices.Sorted(maps.Keys(c.members)) {
		list = append(list, c.members[name])
	}
	return &list
}

// bury takes a load balancer out, as when Kubernetes says that its process has ended.
func (c *fakeController) bury(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, name)
	c.bump()
}

// await waits until a report fits, and returns it.
func (c *fakeController) await(t *testing.T, what string, fits func(autoscaler.TrafficReport) bool) autoscaler.TrafficReport {
	t.Helper()
	deadline := time.After(testwait.Limit())
	seen := 0
	for {
		c.mu.Lock()
		reports, changed := slices.Clone(c.reports), c.changed
		c.mu.Unlock()
		for _, r := range reports[seen:] {
			if fits(r) {
				return r
			}
		}
		seen = len(reports)
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no report says %s; the last is %+v", what, reports[max(0, len(reports)-1):])
		}
	}
}

func (c *fakeController) calls() []start {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.starts)
}

// route is the route of a sleeping application.
func route(name, prefix string) autoscaler.Route {
	return autoscaler.Route{
		Namespace: "default", Deployment: name, Autoscaler: name, ApiPrefix: prefix, Hosts: []string{},
		Algorithm: new(autoscaler.RoundRobin), State: autoscaler.ApplicationStateAsleep, WakeUpTimeoutSeconds: int32(testwait.Limit().Seconds()), Endpoints: []autoscaler.Endpoint{},
	}
}

// starting is a pod that is not ready, but can be checked by HTTP at /ready.
func starting(name, address string) autoscaler.Endpoint {
	port, _ := strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:])
	path := "/ready"
	return autoscaler.Endpoint{
		Pod: name, Address: address, Probeable: true,
		Probes: []autoscaler.Probe{{Type: autoscaler.Http, Port: int32(port), Path: &path, TimeoutSeconds: 1}},
	}
}

func ready(name, address string) autoscaler.Endpoint {
	return autoscaler.Endpoint{Pod: name, Address: address, Ready: true, Probes: []autoscaler.Probe{}}
}

func key(name string) autoscaler.ApplicationKey {
	return autoscaler.ApplicationKey{Namespace: "default", Deployment: name}
}

// traffic is what a report says of an application.
func traffic(r autoscaler.TrafficReport, name string) (autoscaler.ApplicationTraffic, bool) {
	for _, a := range r.Applications {
		if a.Deployment == name {
			return a, true
		}
	}
	return autoscaler.ApplicationTraffic{}, false
}
