package admin

import (
	"context"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// The bounds of what is shown of one request, and how many of an application are where nothing is said.
const (
	maxPath      = 2048
	maxMethod    = 32
	waitingShown = 20
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
	out := loadbalancer.ListWaiting200JSONResponse{Balancer: s.o.Balancer, At: s.o.Now().UTC(), Items: []loadbalancer.WaitingRoom{}}
	wanted := func(of routing.Application) bool {
		return may.has(of.Namespace) && asked(p.Namespace, of.Namespace) && asked(p.Deployment, of.Deployment)
	}
	for _, room := range s.o.Source.Waiting(wanted, limit) {
		out.Items = append(out.Items, waitingRoom(room))
	}
	return out, nil
}

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
