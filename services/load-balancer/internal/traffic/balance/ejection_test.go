package balance

import (
	"testing"
	"time"
)

// fail has a pod fail so often.
func fail(p *Pod, n int, now time.Time) { answers(p, n, time.Millisecond, Failed, now) }

func well(p *Pod, n int, now time.Time) { answers(p, n, time.Millisecond, Good, now) }

func TestEjection_GrowsAndIsCalledOffByGoodAnswers(t *testing.T) {
	b, pods := made(t, RandomName, 4)
	now, want := began, time.Second
	fail(pods[0], rowToEject-1, now)
	if pods[0].Ejected(now) {
		t.Fatal("out too early")
	}
	fail(pods[0], 1, now)
	for range 12 {
		if !pods[0].Ejected(now) {
			t.Fatalf("it should be out for %v", want)
		}
		if got := pods[0].ejection.Until().Sub(now); got != want {
			t.Fatalf("out for %v, want %v", got, want)
		}
		if counts := chosen(b, pods, Request{}, 50); counts[0] != 0 {
			t.Fatal("it gets requests while it is out")
		}
		now = b.Next(now)
		b.look(now)
		if pods[0].Ejected(now) || pods[0].Ramping() != trialFirst {
			t.Fatalf("its time is over: %d at a time", pods[0].Ramping())
		}
		fail(pods[0], 1, now) // one is enough on trial
		want = min(2*want, longestEjection)
	}
	now = b.Next(now)
	b.look(now)
	well(pods[0], trialAnswers, now)
	if fail(pods[0], 1, now); pods[0].Ejected(now) || pods[0].ejection.OnTrial() {
		t.Error("it has shown that it answers")
	}
	now = now.Add(relapse*longestEjection + time.Hour)
	if fail(pods[0], rowToEject, now); pods[0].ejection.Until().Sub(now) != firstEjection {
		t.Errorf("long after, it is out for %v", pods[0].ejection.Until().Sub(now))
	}
}

func TestEjection_TimesVary(t *testing.T) {
	var low, high Ejection
	low.Eject(began, 0)
	high.Eject(began, 1)
	if low.Until().Sub(began) != 800*time.Millisecond || high.Until().Sub(began) != 1200*time.Millisecond {
		t.Errorf("from %v to %v, want 20%%", low.Until().Sub(began), high.Until().Sub(began))
	}
}

func TestEjection_AtMostHalf(t *testing.T) {
	for n, most := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 7: 3} {
		b, pods := made(t, RandomName, n)
		well(pods[n-1], 64, began)
		out := 0
		for _, p := range pods {
			fail(p, 40, began)
			if p.Ejected(began) {
				out++
			}
		}
		if out > most || n > 1 && out == 0 {
			t.Errorf("of %d pods %d are out, want %d at most", n, out, most)
		}
		if p, _, _ := b.Pick(Request{}, began); p == nil {
			t.Errorf("of %d pods none is left", n)
		}
	}
}

func TestEjection_IsIgnoredWhenTooFewAreLeft(t *testing.T) {
	b, pods := made(t, RandomName, 4)
	for _, p := range pods[2:] {
		well(p, 20, began)
	}
	fail(pods[0], 6, began)
	fail(pods[1], 6, began)
	if counts := chosen(b, pods, Request{}, 100); counts[0]+counts[1] != 0 {
		t.Fatalf("two are out: %v", counts)
	}
	pods[2].SetUsable(false)
	counts := chosen(b, pods, Request{}, 300)
	if counts[0] == 0 || counts[1] == 0 || counts[3] == 0 || pods[0].Ejected(began) {
		t.Errorf("one sound pod is left of three, and the others are not used: %v", counts)
	}
}

func TestEjection_WhatFailsEverywhereIsNoPodsFault(t *testing.T) {
	for name, prepare := range map[string]func([]*Pod){
		"from the beginning": func([]*Pod) {},
		"after a good time": func(pods []*Pod) {
			for _, p := range pods {
				well(p, 200, began)
			}
		},
	} {
		_, pods := made(t, RandomName, 4)
		prepare(pods)
		for range 100 {
			for i, p := range pods {
				fail(p, 1, began)
				if p.Ejected(began) {
					t.Fatalf("%s: pod %d is out", name, i)
				}
			}
		}
	}
}

func TestEjection_BySharesWhereFailuresDoNotComeInARow(t *testing.T) {
	_, pods := made(t, RandomName, 4)
	for range 30 {
		well(pods[0], 1, began)
		fail(pods[0], 1, began)
		for _, p := range pods[1:] {
			well(p, 1, began)
		}
	}
	if !pods[0].Ejected(began) {
		t.Error("every second answer of it fails, no other pod's does, and it is not out")
	}
	_, pods = made(t, RandomName, 4)
	r := seeded()
	for range 20_000 { // each fails a fifth of its requests, by chance
		p := pods[r.IntN(4)]
		if r.IntN(5) == 0 {
			fail(p, 1, began)
		} else {
			well(p, 1, began)
		}
		if p.Ejected(began) && p.ejection.last > firstEjection {
			t.Fatal("a pod that is no worse than the others is out for longer and longer")
		}
	}
}

func TestEjection_ClientsFaultsDoNotCount(t *testing.T) {
	_, pods := made(t, RandomName, 2)
	for _, v := range []Verdict{Blameless, Busy} {
		answers(pods[0], 100, time.Millisecond, v, began)
	}
	if pods[0].Ejected(began) || pods[0].history.count != 0 {
		t.Errorf("it is out: %+v", pods[0].history)
	}
	fail(pods[0], rowToEject-1, began)
	answers(pods[0], 1, time.Millisecond, Blameless, began)
	if fail(pods[0], 1, began); !pods[0].Ejected(began) {
		t.Error("a client's fault between must not hide a row of failures")
	}
}

func TestEjection_IsForgottenByAPodThatStartsAnew(t *testing.T) {
	_, pods := made(t, RandomName, 2)
	fail(pods[0], 5, began)
	pods[0].Forgive()
	if pods[0].Ejected(began) || pods[0].history.count != 0 {
		t.Error("it is still out")
	}
}

func TestByStatus_SaysWhoseFaultItIs(t *testing.T) {
	for status, want := range map[int]Verdict{
		101: Good, 200: Good, 304: Good, 400: Blameless, 404: Blameless, 429: Busy, 499: Blameless, 500: Failed, 501: Failed, 503: Failed, 599: Failed,
	} {
		if got := ByStatus(status); got != want {
			t.Errorf("%d is %d, want %d", status, got, want)
		}
	}
}

func TestRampUp_DoublesWithEachWindowThatWasAnswered(t *testing.T) {
	var r RampUp
	if r.Limit() != 0 || !r.Next().IsZero() || r.Answered(began) {
		t.Error("a pod that was warm before has a limit")
	}
	r.Start(WokenFirst, began)
	r.Start(1, began) // begins once
	for want := int32(WokenFirst); want < rampEnd; want *= 2 {
		if r.Limit() != want {
			t.Fatalf("the limit is %d, want %d", r.Limit(), want)
		}
		for range want - 1 {
			if r.Answered(began) {
				t.Fatal("too early")
			}
		}
		if !r.Answered(began) {
			t.Fatalf("after %d answers it is still %d", want, r.Limit())
		}
	}
	if r.Limit() != 0 {
		t.Errorf("at the end the limit is %d", r.Limit())
	}
}

func TestRampUp_GoesOnAlsoWhenNothingIsAnswered(t *testing.T) {
	var r RampUp
	r.Start(JoinedFirst, began)
	r.Pass(began.Add(rampPatience - 1))
	if r.Limit() != JoinedFirst || !r.Next().Equal(began.Add(rampPatience)) {
		t.Errorf("the limit is %d until %v", r.Limit(), r.Next())
	}
	if r.Pass(began.Add(rampPatience)); r.Limit() != 2*JoinedFirst {
		t.Errorf("after %v the limit is %d", rampPatience, r.Limit())
	}
}
