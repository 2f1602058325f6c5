package dispatch

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

func TestShare_CountsTheExchangesOfAnApplication(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Asleep, nil)
	a := w.app()
	if a.Enter() != 1 || a.Enter() != 2 || !a.Alone() {
		t.Error("two exchanges of the only application")
	}
	a.Leave()
	if a.Enter() != 2 {
		t.Error("one has left")
	}
	w.Apply(routing.Update{Version: "2", Routes: []routing.Route{{Application: routing.Application{Namespace: "default", Deployment: "blog"}, Prefix: "/blog"}}})
	if a.Alone() {
		t.Error("there is another one")
	}
	w.Apply(routing.Update{Version: "3", Removed: []routing.Application{{Namespace: "default", Deployment: "blog"}}})
	if !a.Alone() {
		t.Error("the other one is gone")
	}
}

func TestShare_OneApplicationDoesNotFillTheRoomOfAll(t *testing.T) {
	w := newWorld(func(o *Options) { o.RoomBytes = 1000 })
	w.follow(routing.Asleep, nil)
	fill := func() (err error) {
		for range 20 {
			v := &Visit{}
			if _, err = v.Arrive(w.app(), Arrival{Bytes: 100}, time.Now()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(); !errors.Is(err, waitroom.ErrTooLarge) || w.app().room.Bytes() != 1000 {
		t.Errorf("alone: %v with %d bytes", err, w.app().room.Bytes())
	}
	w.app().dismiss(ErrTooLate, time.Now())
	blog := routing.Route{Application: routing.Application{Namespace: "z", Deployment: "blog"}, Prefix: "/blog", WakeUpTimeout: time.Minute}
	w.Apply(routing.Update{Version: "2", Routes: []routing.Route{blog}})
	if err := fill(); !errors.Is(err, waitroom.ErrShare) || w.app().room.Bytes() != 700 {
		t.Errorf("beside another: %v with %d bytes", err, w.app().room.Bytes())
	}
	other, v := w.Applications()[1], &Visit{}
	if waits, err := v.Arrive(other, Arrival{Bytes: 250}, time.Now()); err != nil || !waits {
		t.Errorf("the other one: %v", err)
	}
}

func TestEnd_TakesAVisitOutOfTheRoomThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, waits := w.arrive(t)
		select {
		case <-v.Settled():
			t.Error("it is settled")
		default:
		}
		time.Sleep(time.Second)
		v.End(Outcome{}, time.Now())
		if !waits || w.app().room.Len() != 0 || v.Waited != time.Second || w.app().start != nil {
			t.Errorf("waits %v, %d in the room, waited %v", waits, w.app().room.Len(), v.Waited)
		}
		if s := w.Snapshots()[0]; s.InFlight != 0 || s.Waiting != 0 || len(w.woken) != 1 || w.woken[0].Outcome != WakeFailed {
			t.Errorf("%+v, woken %+v", s, w.woken)
		}
	})
}

func TestSettled_IsClosedWithAPodAndWithARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, _ := w.arrive(t)
		w.follow(routing.Awake, nil, pod("a", nil))
		<-v.Settled()
		if err := v.Wait(nil); err != nil || v.Pod == nil {
			t.Errorf("%v %v", err, v.Pod)
		}
		v.End(Outcome{Status: 200}, time.Now())
		w.follow(routing.Asleep, nil)
		v, _ = w.arrive(t)
		w.Close()
		<-v.Settled()
		if err := v.Wait(nil); !errors.Is(err, ErrClosing) {
			t.Error(err)
		}
		v.End(Outcome{}, time.Now())
	})
}
