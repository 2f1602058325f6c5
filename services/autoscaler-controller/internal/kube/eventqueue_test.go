package kube

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func of(name string) corev1.ObjectReference {
	return corev1.ObjectReference{Kind: "CustomAutoscaler", Namespace: "ns", Name: name}
}

// drops counts what was dropped: of what matters, and of the rest.
type drops struct{ major, minor int }

func (d *drops) drop(_ string, minor bool) {
	if minor {
		d.minor++
	} else {
		d.major++
	}
}

func TestEventQueue_WhatMattersGoesFirst(t *testing.T) {
	q := newEventQueue(nil)
	for i, minor := range []bool{true, false, true, false} {
		q.add(Event{About: of("a"), Minor: minor, Message: fmt.Sprint(i)}, noon)
	}
	got := ""
	for range 4 {
		e, _ := q.take(noon)
		got += e.Message
	}
	if e, wait := q.take(noon); got != "1302" || e != nil || wait != 0 {
		t.Errorf("in the order %s, then %v after %v", got, e, wait)
	}
}

func TestEventQueue_ARepeatIsCountedAndNotWrittenAnew(t *testing.T) {
	q := newEventQueue(nil)
	e := Event{About: of("a"), Reason: "Scaled", Message: "0 → 1"}
	q.add(e, noon)
	q.add(e, noon.Add(time.Second)) // while it waits
	first, _ := q.take(noon.Add(time.Second))
	if first.count != 2 || first.name != "" {
		t.Fatalf("took %+v", first)
	}
	q.wrote(first, "a.1", noon.Add(time.Second))
	at := noon.Add(time.Minute)
	for range 100 {
		q.add(e, at)
	}
	if next, wait := q.take(at); next != nil || wait != repeatEvery {
		t.Errorf("took %+v, or after %v", next, wait)
	}
	again, _ := q.take(at.Add(repeatEvery))
	if again == nil || again.name != "a.1" || again.count != 102 || !again.last.Equal(at) {
		t.Fatalf("took %+v", again)
	}
	q.add(e, at.Add(repeatEvery)) // while it is being written
	q.wrote(again, "a.1", at.Add(repeatEvery))
	if next, _ := q.take(at.Add(2 * repeatEvery)); next == nil || next.count != 103 {
		t.Errorf("took %+v", next)
	}
}

func TestEventQueue_AVersionOfTheObjectIsNoOtherObject(t *testing.T) {
	q := newEventQueue(nil)
	for i := range 5 {
		about := of("a")
		about.ResourceVersion = fmt.Sprint(i)
		q.add(Event{About: about, Message: "the same"}, noon)
	}
	if q.waiting() != 1 {
		t.Errorf("%d wait", q.waiting())
	}
}

func TestEventQueue_WhereTooManyWaitTheLeastGoFirst(t *testing.T) {
	for name, c := range map[string]struct {
		about func(i int) corev1.ObjectReference
		bound int
	}{
		"of one object": {func(int) corev1.ObjectReference { return of("a") }, maxObjectEvents},
		"of all":        {func(i int) corev1.ObjectReference { return of(fmt.Sprint(i)) }, maxWaitingEvents},
	} {
		d := &drops{}
		q := newEventQueue(d.drop)
		for i := range c.bound { // half of them matter
			q.add(Event{About: c.about(i), Minor: i%2 == 0, Message: fmt.Sprint(i)}, noon)
		}
		for i := range c.bound / 2 {
			q.add(Event{About: c.about(-i), Message: fmt.Sprint("more ", i)}, noon)
		}
		if *d != (drops{0, c.bound / 2}) || q.waiting() != c.bound {
			t.Errorf("%s: dropped %+v, %d wait", name, *d, q.waiting())
		}
		q.add(Event{About: c.about(1), Minor: true, Message: "a minor one"}, noon)
		if *d != (drops{0, c.bound/2 + 1}) {
			t.Errorf("%s: for a minor one something was dropped that matters: %+v", name, *d)
		}
		q.add(Event{About: c.about(1), Message: "one too many"}, noon)
		if *d != (drops{1, c.bound/2 + 1}) || q.waiting() != c.bound {
			t.Errorf("%s: dropped %+v, %d wait", name, *d, q.waiting())
		}
		if e, _ := q.take(noon); e.Message == "1" {
			t.Errorf("%s: the oldest is kept: %+v", name, e)
		}
	}
}

// While the API server is away all that waits has been tried, and is put off. That makes it no more
// important than what comes.
func TestEventQueue_WhatIsPutOffGoesToo(t *testing.T) {
	for name, c := range map[string]struct {
		about func(i int) corev1.ObjectReference
		bound int
	}{
		"of one object": {func(int) corev1.ObjectReference { return of("a") }, maxObjectEvents},
		"of all":        {func(i int) corev1.ObjectReference { return of(fmt.Sprint(i)) }, maxWaitingEvents},
	} {
		d := &drops{}
		q := newEventQueue(d.drop)
		for i := range c.bound {
			q.add(Event{About: c.about(i), Minor: i != 1, Message: fmt.Sprint(i)}, noon.Add(time.Duration(i)))
			e, _ := q.take(noon)
			q.failed(e, false, noon)
		}
		for i := range 3 {
			q.add(Event{About: c.about(-i), Message: fmt.Sprint("it matters ", i)}, noon.Add(time.Minute))
		}
		if *d != (drops{0, 3}) || q.waiting() != c.bound {
			t.Errorf("%s: dropped %+v, %d wait", name, *d, q.waiting())
		}
		left := map[string]bool{}
		for e, _ := q.take(noon.Add(time.Hour)); e != nil; e, _ = q.take(noon.Add(time.Hour)) {
			left[e.Message] = true
		}
		if left["0"] || left["2"] || left["3"] || !left["1"] || !left["4"] || !left["it matters 2"] {
			t.Errorf("%s: not the oldest of the minor ones have gone, but others: %d are left", name, len(left))
		}
	}
}

func TestEventQueue_WhatFailsIsTriedLessAndLess(t *testing.T) {
	for name, answered := range map[string]bool{"the API server answers": true, "it does not": false} {
		d := &drops{}
		q := newEventQueue(d.drop)
		q.add(Event{About: of("a"), Message: "m"}, noon)
		now, tries := noon, 0
		for now.Before(noon.Add(time.Hour)) {
			e, wait := q.take(now)
			if e == nil {
				if wait == 0 {
					break
				}
				now = now.Add(wait)
				continue
			}
			tries++
			q.failed(e, answered, now)
		}
		if answered && (tries != eventAttempts || d.major != 1 || q.waiting() != 0) || !answered && (tries < 100 || tries > 130 || q.waiting() != 1) {
			t.Errorf("%s: tried %d times, %+v, %d wait", name, tries, *d, q.waiting())
		}
	}
}

func TestEventQueue_WhatHasGoneIsWrittenAnew(t *testing.T) {
	q := newEventQueue(nil)
	e := Event{About: of("a"), Message: "m"}
	q.add(e, noon)
	first, _ := q.take(noon)
	q.wrote(first, "a.1", noon)
	q.add(e, noon)
	again, _ := q.take(noon.Add(repeatEvery))
	q.gone(again)
	if next, _ := q.take(noon.Add(repeatEvery)); next != again || next.name != "" || next.count != 2 {
		t.Errorf("took %+v", next)
	}
}

func TestEventQueue_ForgetsWhatWasWrittenLongAgo(t *testing.T) {
	q := newEventQueue(nil)
	for i := range 2 * keptEvents {
		q.add(Event{About: of(fmt.Sprint(i)), Message: "m"}, noon)
		e, _ := q.take(noon)
		q.wrote(e, "x", noon)
	}
	if n := len(q.known); n > keptEvents+1 {
		t.Errorf("%d are kept", n)
	}
	q.add(Event{About: of("new"), Message: "m"}, noon.Add(keptFor))
	if n := len(q.known); n != 1 || len(q.objects) != 1 {
		t.Errorf("%d are kept, of %d objects", n, len(q.objects))
	}
}

// Whatever happens, what waits is somewhere, once.
func TestEventQueue_CountsWhatWaits(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	now := noon
	q := newEventQueue(func(string, bool) {})
	var sending []*entry
	for range 100_000 {
		now = now.Add(time.Duration(random.IntN(300)) * time.Millisecond)
		switch n := random.IntN(6); {
		case n < 3:
			q.add(Event{About: of(fmt.Sprint(random.IntN(4))), Minor: random.IntN(2) == 0, Message: fmt.Sprint(random.IntN(80))}, now)
		case n == 3 || len(sending) == 0:
			if e, _ := q.take(now); e != nil {
				sending = append(sending, e)
			}
		default:
			e := sending[0]
			sending = sending[1:]
			switch random.IntN(5) {
			case 0:
				q.failed(e, random.IntN(2) == 0, now)
			case 1:
				q.lose(e, DroppedRefused)
			case 2:
				q.gone(e)
			default:
				q.wrote(e, "x", now)
			}
		}
		waiting := q.lists[0].Len() + q.lists[1].Len() + len(q.delayed) + len(sending)
		if waiting != q.waiting() {
			t.Fatalf("%d wait, want %d", q.waiting(), waiting)
		}
		sum := 0
		for _, n := range q.objects {
			sum += n
		}
		if sum != waiting {
			t.Fatalf("%d of all objects, want %d", sum, waiting)
		}
	}
}
