package balance

import (
	"testing"
	"time"
)

func TestDrain_GetsNothingNewWhileAnotherPodServesBeItFull(t *testing.T) {
	for _, name := range Names() {
		b, pods := made(t, name, 3)
		pods[1].SetDraining(began.Add(time.Minute))
		for key := range 50 {
			if p, _, _ := b.Pick(Request{Key: uint64(key)}, began); p == pods[1] {
				t.Fatalf("%s chose it", name)
			}
		}
		pods[0].SetLimit(1)
		pods[2].SetLimit(1)
		pods[0].Sent()
		pods[2].Sent()
		if p, _, waits := b.Pick(Request{Key: 7}, began); p != nil || waits {
			t.Errorf("%s: the others are full, and %d was chosen", name, indexOf(pods, p))
		}
		pods[0].SetUsable(false)
		pods[2].SetUsable(false)
		if p, reason, _ := b.Pick(Request{Key: 7}, began); p != pods[1] || reason != "draining, and no other pod serves" {
			t.Errorf("%s: no other serves, and %d was chosen: %q", name, indexOf(pods, p), reason)
		}
		pods[1].SetLimit(1)
		pods[1].Sent()
		if p, _, _ := b.Pick(Request{Key: 7}, began); p != nil {
			t.Errorf("%s: it is full, and %d was chosen", name, indexOf(pods, p))
		}
	}
}

func TestDrain_EndsWithItsTimeAndWhenItIsCalledOff(t *testing.T) {
	b, pods := made(t, RandomName, 2)
	until := began.Add(time.Minute)
	pods[0].SetDraining(until)
	if counts := chosen(b, pods, Request{}, 50); counts[0] != 0 {
		t.Fatalf("it gets requests: %v", counts)
	}
	if !b.Next(began).Equal(until) {
		t.Errorf("the pool changes at %v, want %v", b.Next(began), until)
	}
	seen := false
	for range 50 {
		p, _, _ := b.Pick(Request{}, until)
		seen = seen || p == pods[0]
	}
	if !seen {
		t.Error("its time is over, and it gets nothing")
	}
	pods[1].SetDraining(until)
	pods[1].SetDraining(time.Time{})
	if counts := chosen(b, pods, Request{}, 50); counts[1] == 0 {
		t.Errorf("it was called off, and gets nothing: %v", counts)
	}
}

func TestDrain_ASessionStays(t *testing.T) {
	b, pods := made(t, ConsistentHashName, 3)
	pods[1].SetDraining(began.Add(time.Hour))
	if p, _, _ := b.Pick(Request{Pin: pods[1].ID}, began); p != pods[1] {
		t.Errorf("its session went to %d", indexOf(pods, p))
	}
}

func TestDrain_AllOfThemServe(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 2)
	for _, p := range pods {
		p.SetDraining(began.Add(time.Hour))
	}
	busy(pods, 2, 1)
	if p, _, _ := b.Pick(Request{}, began); p != pods[1] {
		t.Errorf("chose %d", indexOf(pods, p))
	}
}
