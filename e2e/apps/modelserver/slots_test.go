package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestSlots_ServesInOrderAndRefusesBeyondTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 2)
		release, err := s.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		turns := make(chan int, 2)
		for i := range 2 {
			go func() {
				release, err := s.acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				turns <- i
				release()
			}()
			synctest.Wait()
		}
		if running, waiting := s.load(); running != 1 || waiting != 2 {
			t.Errorf("%d running, %d waiting", running, waiting)
		}
		if _, err := s.acquire(t.Context()); !errors.Is(err, errQueueFull) {
			t.Errorf("the fourth got %v", err)
		}
		release()
		if first, second := <-turns, <-turns; first != 0 || second != 1 {
			t.Errorf("served %d before %d", first, second)
		}
		synctest.Wait()
		if running, waiting := s.load(); running != 0 || waiting != 0 {
			t.Errorf("%d running, %d waiting", running, waiting)
		}
	})
}

func TestSlots_WaiterThatGivesUpLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1, 1)
		if _, err := s.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := s.acquire(ctx)
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if running, waiting := s.load(); running != 1 || waiting != 0 {
			t.Errorf("%d running, %d waiting", running, waiting)
		}
	})
}
