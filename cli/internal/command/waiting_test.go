package command

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

func (b *balancer) ListWaiting(_ context.Context, in loadbalancer.ListWaitingRequestObject) (loadbalancer.ListWaitingResponseObject, error) {
	b.limit = *in.Params.Limit
	if b.waiting == nil {
		return notThere{}, nil
	}
	list := *b.waiting
	if n := len(list.Items); n > 1 { // a page for each application
		at := 0
		if in.Params.Continue != nil {
			at = slices.IndexFunc(list.Items, func(r loadbalancer.WaitingRoom) bool { return r.Deployment == *in.Params.Continue })
		}
		if at+1 < n {
			list.Metadata = &loadbalancer.PageMeta{Continue: &list.Items[at+1].Deployment}
		}
		list.Items = list.Items[at : at+1]
	}
	return loadbalancer.ListWaiting200JSONResponse(list), nil
}

// room is an application for which requests wait, the first since so long.
func room(name string, waitsFor loadbalancer.WaitingRoomWaitsFor, count int32, since ...time.Duration) loadbalancer.WaitingRoom {
	r := loadbalancer.WaitingRoom{Namespace: "shop", Deployment: name, Waiting: count, WaitsFor: waitsFor, Why: new("its pod " + name + "-1: no good check yet")}
	for _, d := range since {
		r.Requests = append(r.Requests, loadbalancer.WaitingRequest{
			ArrivedAt: now.Add(-d), Deadline: now.Add(15*time.Second - d), ClientIp: new("10.0.0.1"), Method: new("POST"), Path: new("/" + name), Bytes: 2048, TraceId: new("ab"), Tries: 0,
		})
	}
	return r
}

func TestWaiting_WhoseTimeIsOverFirst(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	a, b := w.balancer(t), w.balancer(t)
	a.waiting = &loadbalancer.WaitingList{Balancer: "lb-1", At: now, Items: []loadbalancer.WaitingRoom{room("cart", loadbalancer.Start, 2, 11*time.Second, time.Second)}}
	b.waiting = &loadbalancer.WaitingList{Balancer: "lb-2", At: now, Items: []loadbalancer.WaitingRoom{room("search", loadbalancer.FreePod, 30, 5*time.Second)}}
	golden(t, "waiting.txt", w.run(t, "waiting", "-A").ok(t))
	golden(t, "waiting-wide.txt", w.run(t, "waiting", "cart", "-o", "wide", "--limit", "7").ok(t))
	if a.limit != 7 {
		t.Errorf("asked for %d", a.limit)
	}
	var lists []loadbalancer.WaitingList
	if err := json.Unmarshal([]byte(w.run(t, "waiting", "-o", "json").ok(t)), &lists); err != nil || len(lists) != 2 || lists[1].Balancer != "lb-2" {
		t.Errorf("%+v %v", lists, err)
	}
	w.run(t, "waiting", "--limit", "101").fails(t, misused, "--limit 101 is not allowed: from 1 to 100")
}

func TestWaiting_AllPagesAreRead(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(t)
	b.waiting = &loadbalancer.WaitingList{Balancer: "lb-1", At: now}
	for _, name := range []string{"cart", "menu", "search"} {
		b.waiting.Items = append(b.waiting.Items, room(name, loadbalancer.Start, 1, time.Second))
	}
	var lists []loadbalancer.WaitingList
	if err := json.Unmarshal([]byte(w.run(t, "waiting", "-A", "-o", "json").ok(t)), &lists); err != nil || len(lists) != 1 || len(lists[0].Items) != 3 || lists[0].Metadata != nil {
		t.Errorf("%+v %v", lists, err)
	}
}

func TestWaiting_OlderLoadBalancersSayHowMany(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(t)
	b.state = loadbalancer.State{Balancer: "lb-old", Applications: []loadbalancer.ApplicationState{{Namespace: "shop", Deployment: "cart", Waiting: 3}, {Namespace: "shop", Deployment: "search"}}}
	golden(t, "waiting-older.txt", w.run(t, "waiting").ok(t))
	b.state.Applications = nil
	golden(t, "waiting-nobody.txt", w.run(t, "waiting").ok(t))
}
