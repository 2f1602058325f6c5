package balance

import (
	"strconv"
	"testing"
	"time"
)

// refuse has a pod answer 429 to one request.
func refuse(p *Pod, now time.Time) {
	level := p.Sent()
	p.Answered(Busy, time.Millisecond, level, now)
	p.Released()
}

// byNumber are the policies that go by the number of requests in flight.
var byNumber = []string{LeastConnectionsName, LeastRequestName, ModelAwareName, PeakEWMAName, PrequalName}

func TestRest_ABusyPodGetsNothingNewWhileAnotherServesBeItFull(t *testing.T) {
	for _, name := range byNumber {
		b, pods := made(t, name, 3)
		refuse(pods[1], began)
		for key := range 50 {
			if p, _, _ := b.Pick(Request{Key: uint64(key)}, began); p == pods[1] {
				t.Fatalf("%s chose it", name)
			}
		}
		if p, _, _ := b.Pick(Request{Pin: pods[1].ID}, began); p != pods[1] {
			t.Errorf("%s: its session went to %d", name, indexOf(pods, p))
		}
		for _, i := range []int{0, 2} {
			pods[i].SetLimit(1)
			pods[i].Sent()
		}
		if p, _, waits := b.Pick(Request{Key: 7}, began); p != nil || waits {
			t.Errorf("%s: the others are full, and %d was chosen", name, indexOf(pods, p))
		}
		if next := b.Next(began); !next.Equal(began.Add(firstRest)) {
			t.Errorf("%s: who waits is looked at again after %v", name, next.Sub(began))
		}
		if p, _, _ := b.Pick(Request{Key: 7}, began.Add(firstRest)); p != pods[1] {
			t.Errorf("%s: its rest is over, and %d was chosen", name, indexOf(pods, p))
		}
	}
}

func TestRest_WhereAllAreBusyTheLeastServesAndADrainingOneLast(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 3)
	for _, p := range pods {
		p.rest.Busy(began, .5)
		p.changed()
	}
	busy(pods, 2, 1, 0)
	pods[2].SetDraining(began.Add(time.Minute))
	if p, reason, _ := b.Pick(Request{}, began); p != pods[1] || reason != "busy, as are all others that serve" {
		t.Errorf("chose %d: %q", indexOf(pods, p), reason)
	}
	pods[0].SetUsable(false)
	pods[1].SetUsable(false)
	if p, reason, _ := b.Pick(Request{}, began); p != pods[2] || reason != "draining, and no other pod serves" {
		t.Errorf("chose %d: %q", indexOf(pods, p), reason)
	}
}

// The controller takes a draining pod away when it is empty, and trusts that nothing comes to it while another one serves.
func TestRest_ADrainingPodGetsNothingWhileABusyOneServesBeItFull(t *testing.T) {
	for _, name := range byNumber {
		b, pods := made(t, name, 2)
		pods[0].SetDraining(began.Add(time.Minute))
		refuse(pods[1], began)
		if !pods[1].Busy(began) {
			t.Fatalf("%s: it does not rest", name)
		}
		pods[1].SetLimit(1)
		if p, _, _ := b.Pick(Request{}, began); p != pods[1] {
			t.Errorf("%s: chose %d", name, indexOf(pods, p))
		}
		pods[1].Sent()
		if p, _, waits := b.Pick(Request{}, began); p != nil || waits {
			t.Errorf("%s: the busy one is full, and %d was chosen", name, indexOf(pods, p))
		}
	}
}

// Somebody who calls too often is refused wherever he comes: were each pod that has refused him to rest, one would serve all others.
func TestRest_AtMostHalf(t *testing.T) {
	for _, size := range []int{2, 3, 5, 10, 50, 100} {
		b, pods := made(t, LeastConnectionsName, size)
		for _, p := range pods {
			p.Sent() // long answers, under way
		}
		for range 20 {
			for _, p := range pods {
				refuse(p, began)
			}
		}
		resting := 0
		for _, p := range pods {
			if p.Busy(began) {
				resting++
			}
		}
		if resting == 0 || resting > size/2 {
			t.Errorf("of %d pods %d rest", size, resting)
		}
		if b.look(began.Add(lookIn)); b.resting != resting {
			t.Errorf("of %d pods %d rest, and are counted as %d", size, resting, b.resting)
		}
	}
}

// Of a thousand pods that refuse now and then not each refusal has all of them looked at.
func BenchmarkRest(b *testing.B) {
	for _, size := range []int{16, 1000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			pool, pods := made(b, LeastConnectionsName, size)
			now, i := began, 0
			for b.Loop() {
				now, i = now.Add(100*time.Microsecond), i+1
				p, _, _ := pool.Pick(Request{}, now)
				if p == nil {
					continue
				}
				level, verdict := p.Sent(), Good
				if i%20 == 0 {
					verdict = Busy
				}
				p.Answered(verdict, time.Millisecond, level, now)
				p.Released()
			}
			_ = pods
		})
	}
}

func TestRest_GrowsWithRefusalsAndBeginsAnewWithAGoodAnswer(t *testing.T) {
	b, pods := made(t, LeastRequestName, 2)
	now := began
	for _, want := range []time.Duration{firstRest, 2 * firstRest, 4 * firstRest, 8 * firstRest, longestRest, longestRest} {
		refuse(pods[0], now)
		if got := pods[0].rest.Until().Sub(now); got != want {
			t.Fatalf("it rests for %v, want %v", got, want)
		}
		refuse(pods[0], now.Add(want/2)) // it was on its way
		if now = b.Next(now); pods[0].Busy(now) {
			t.Fatal("what was on its way made it longer")
		}
	}
	well(pods[0], 1, now)
	if refuse(pods[0], now); pods[0].rest.Until().Sub(now) != firstRest {
		t.Errorf("after a good answer it rests for %v", pods[0].rest.Until().Sub(now))
	}
}

// A server that takes so many at a time is asked again as soon as one of them has ended.
func TestRest_EndsWhenOneOfItsRequestsDoes(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 2)
	level := pods[0].Sent()
	busy(pods, 1, 5)
	refuse(pods[0], began)
	if p, _, _ := b.Pick(Request{}, began); p != pods[1] {
		t.Fatal("it has said that it is full")
	}
	pods[0].Answered(Good, time.Second, level, began)
	if !pods[0].Busy(began) {
		t.Error("an answer that has begun is no place that is free")
	}
	pods[0].Released()
	if p, _, _ := b.Pick(Request{}, began); p != pods[0] || pods[0].Busy(began) {
		t.Error("one of its requests has ended, and it still rests")
	}
}

func TestRest_TimesVary(t *testing.T) {
	var low, high Rest
	low.Busy(began, 0)
	high.Busy(began, 1)
	if low.Until().Sub(began) != firstRest*8/10 || high.Until().Sub(began) != firstRest*12/10 {
		t.Errorf("from %v to %v, want 20%%", low.Until().Sub(began), high.Until().Sub(began))
	}
}

// An application may refuse whoever calls too often: that is no pod's own fault, and whose key it is has no other pod to go to.
func TestRest_WhatIsRefusedEverywhereOrForAKeySaysNothingOfAPod(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 4)
	for range 3 {
		for _, p := range pods {
			refuse(p, began)
		}
	}
	now := b.Next(began)
	for range 20 {
		for _, p := range pods {
			well(p, 3, now)
			refuse(p, now)
		}
	}
	for i, p := range pods {
		if p.Busy(now) {
			t.Errorf("a quarter is refused everywhere, and %d rests", i)
		}
	}
	for _, name := range []string{ConsistentHashName, RoundRobinName, RandomName} {
		_, pods := made(t, name, 4)
		if refuse(pods[1], began); pods[1].Busy(began) {
			t.Errorf("%s: it rests", name)
		}
	}
}

func TestRest_IsForgottenByAPodThatStartsAnew(t *testing.T) {
	_, pods := made(t, LeastRequestName, 2)
	refuse(pods[0], began)
	if pods[0].Forgive(); pods[0].Busy(began) {
		t.Error("it rests")
	}
}
