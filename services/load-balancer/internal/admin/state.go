package admin

import (
	"context"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/paging"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// GetState answers what is known and done at this moment, of all applications or of a page of those that are asked for.
func (s *server) GetState(ctx context.Context, request loadbalancer.GetStateRequestObject) (loadbalancer.GetStateResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	may, err := who.list(ctx, value(request.Params.Namespace), s.o.namespaces)
	if err != nil {
		return nil, err
	}
	page, meta, err := s.applications(request.Params, may)
	if err != nil {
		return nil, err
	}
	self := s.o.Source.Self()
	if !may.all { // what went wrong is said with names and addresses of all
		self.Link.LastError, self.Log.Trouble = "", nil
	}
	connections := int32of(self.Connections)
	return loadbalancer.GetState200JSONResponse{
		Balancer:     s.o.Balancer,
		StartedAt:    s.o.StartedAt,
		Draining:     &self.Draining,
		Controller:   controllerLink(self.Link, s.o.Now()),
		Settings:     balancerSettings(s.o.Settings.Current()),
		Connections:  &connections,
		Log:          logState(self.Log),
		Applications: page,
		Metadata:     meta,
	}, nil
}

// applications are those of a page, and what it says of itself; nil when they are all there.
func (s *server) applications(p loadbalancer.GetStateParams, may view) ([]loadbalancer.ApplicationState, *loadbalancer.PageMeta, error) {
	list := paging.List{Name: "state", Selection: []string{value(p.Namespace), value(p.Deployment), value(p.State)}, Keys: 2}
	after, err := list.Open(value(p.Continue))
	if err != nil {
		return nil, nil, err
	}
	page, behind := paging.NewPage[loadbalancer.ApplicationState](value(p.Limit), after), int64(0)
	for _, snapshot := range s.o.Source.Snapshots() {
		if !may.has(snapshot.Route.Application.Namespace) || !chosen(snapshot, p) {
			continue
		}
		of := snapshot.Route.Application
		if !page.Add([]string{of.Namespace, of.Deployment}, func() loadbalancer.ApplicationState { return applicationState(snapshot) }) {
			behind++
		}
	}
	if !page.More && after == nil {
		return page.Items, nil, nil
	}
	meta := &loadbalancer.PageMeta{}
	if page.More {
		token := list.Token(page.Last())
		meta.Continue, meta.RemainingItemCount = &token, &behind
	}
	return page.Items, meta, nil
}

// chosen tells whether an application is one of those that are asked for.
func chosen(s dispatch.Snapshot, p loadbalancer.GetStateParams) bool {
	return asked(p.Namespace, s.Route.Application.Namespace) && asked(p.Deployment, s.Route.Application.Deployment) && asked(p.State, string(s.Route.State))
}

// asked tells whether something is what was asked for, or nothing was.
func asked(one *string, of string) bool { return value(one) == "" || *one == of }
