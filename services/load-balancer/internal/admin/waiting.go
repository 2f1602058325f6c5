package admin

import (
	"context"
	"slices"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/paging"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// The bounds of what is shown of one request, how many of an application are where nothing is said, and how many are on
// a page.
const (
	maxPath      = 2048
	maxMethod    = 32
	waitingShown = 20
	waitingPage  = 1000
)

// ListWaiting answers who waits at this moment.
func (s *server) ListWaiting(ctx context.Context, request loadbalancer.ListWaitingRequestObject) (loadbalancer.ListWaitingResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	p := request.Params
	may, err := who.list(ctx, value(p.Namespace), s.o.namespaces)
	if err != nil {
		return nil, err
	}
	limit := waitingShown
	if p.Limit != nil {
		limit = *p.Limit
	}
	list := paging.List{Name: "waiting", Selection: []string{value(p.Namespace), value(p.Deployment)}, Keys: 2}
	after, err := list.Open(value(p.Continue))
	if err != nil {
		return nil, err
	}
	out := loadbalancer.ListWaiting200JSONResponse{Balancer: s.o.Balancer, At: s.o.Now().UTC(), Items: []loadbalancer.WaitingRoom{}}
	wanted := func(of routing.Application) bool {
		return may.has(of.Namespace) && asked(p.Namespace, of.Namespace) && asked(p.Deployment, of.Deployment) &&
			(after == nil || slices.Compare(keyOf(of), after) > 0)
	}
	var last routing.Application
	requests := 0
	for room := range s.o.Source.Waiting(wanted, limit) {
		if requests += len(room.Oldest); requests > waitingPage && len(out.Items) > 0 {
			token := list.Token(keyOf(last))
			out.Metadata = &loadbalancer.PageMeta{Continue: &token}
			return out, nil
		}
		out.Items, last = append(out.Items, waitingRoom(room)), room.Application
	}
	if after != nil {
		out.Metadata = &loadbalancer.PageMeta{} // the last page of several
	}
	return out, nil
}

func keyOf(of routing.Application) []string { return []string{of.Namespace, of.Deployment} }

func waitingRoom(room dispatch.WaitingRoom) loadbalancer.WaitingRoom {
	out := loadbalancer.WaitingRoom{
		Namespace: room.Application.Namespace, Deployment: room.Application.Deployment, Waiting: int32of(room.Waiting), WaitingBytes: room.Bytes,
		WaitsFor: loadbalancer.Start, Why: optional(room.Why[:min(len(room.Why), maxError)]), Requests: make([]loadbalancer.WaitingRequest, len(room.Oldest)),
	}
	if room.Busy {
		out.WaitsFor = loadbalancer.FreePod
	}
	for i, r := range room.Oldest {
		out.Requests[i] = loadbalancer.WaitingRequest{
			ArrivedAt: r.Arrived.UTC(), Deadline: r.Deadline.UTC(), Bytes: r.Bytes, Tries: int32of(r.Tries), ClientIp: optional(r.Client),
			Method: optional(r.Method[:min(len(r.Method), maxMethod)]), Path: optional(r.Path[:min(len(r.Path), maxPath)]), TraceId: optional(r.TraceID),
		}
	}
	return out
}
