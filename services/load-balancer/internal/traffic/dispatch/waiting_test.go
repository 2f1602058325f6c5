package dispatch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func all(routing.Application) bool { return true }

func TestWaiting_TheOldestWithTheirDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Waking, nil, pod("a", starting))
		if rooms := slices.Collect(w.Waiting(all, 10)); len(rooms) != 0 {
			t.Errorf("nobody waits: %+v", rooms)
		}
		began := time.Now()
		let := make(chan *Visit, 10)
		for i, path := range []string{"/fib/1", "/fib/2", "/fib/3"} {
			v := &Visit{}
			a := Arrival{Bytes: 100, Client: "10.0.0.1", Method: "GET", Path: path}
			if i == 0 {
				a.TraceID = [16]byte{0xab}
			}
			if waits, err := v.Arrive(w.app(), a, time.Now()); !waits || err != nil {
				t.Fatal(waits, err)
			}
			go func() {
				if v.Wait(nil) == nil {
					let <- v
				}
			}()
			time.Sleep(time.Second)
		}
		rooms := slices.Collect(w.Waiting(all, 2))
		if diff := cmp.Diff([]WaitingRoom{{
			Application: fib, Waiting: 3, Bytes: 300, Why: rooms[0].Why,
			Oldest: []WaitingRequest{
				{Arrived: began, Deadline: began.Add(time.Minute), Client: "10.0.0.1", Method: "GET", Path: "/fib/1", Bytes: 100, TraceID: "ab000000000000000000000000000000"},
				{Arrived: began.Add(time.Second), Deadline: began.Add(61 * time.Second), Client: "10.0.0.1", Method: "GET", Path: "/fib/2", Bytes: 100},
			},
		}}, rooms); diff != "" || rooms[0].Why == "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if rooms := slices.Collect(w.Waiting(func(of routing.Application) bool { return of != fib }, 2)); len(rooms) != 0 {
			t.Errorf("of one that is not wanted: %+v", rooms)
		}
		w.follow(routing.Awake, func(r *routing.Route) { r.Concurrency = 1 }, pod("a", nil))
		v := <-let
		synctest.Wait()
		if rooms := slices.Collect(w.Waiting(all, 10)); len(rooms) != 1 || !rooms[0].Busy || rooms[0].Waiting != 2 || rooms[0].Oldest[0].Path != "/fib/2" || rooms[0].Why != "every pod works on as many requests as it may" {
			t.Errorf("%+v", rooms)
		}
		for i := range 3 {
			if i > 0 {
				v = <-let
			}
			v.End(Outcome{Status: 200}, time.Now())
		}
		if rooms := slices.Collect(w.Waiting(all, 10)); len(rooms) != 0 {
			t.Errorf("all are gone: %+v", rooms)
		}
	})
}
