package batch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func item(pod string, second, push int) Item[int] {
	at := start.Add(time.Duration(second) * time.Second)
	return Item[int]{Pod: Pod{"ns", pod}, At: at, Until: at.Add(20 * time.Second), Push: push}
}

func pushes(items []Item[int]) []int {
	list := []int{}
	for _, i := range items {
		list = append(list, i.Push)
	}
	return list
}

func TestQueue_OfEachPodTheNewestIsSentInItsPlace(t *testing.T) {
	q := NewQueue[int](10)
	q.Put(item("a", 1, 1))
	q.Put(item("b", 1, 2))
	q.Put(item("a", 3, 3))
	q.Put(item("a", 2, 4)) // came late
	if diff := cmp.Diff([]int{3, 2}, pushes(q.Take(10, start))); diff != "" || q.Len() != 0 {
		t.Errorf("%d left (-want +got):\n%s", q.Len(), diff)
	}
	if c := q.Counts(); c != (Counts{Superseded: 2}) {
		t.Errorf("%+v", c)
	}
}

func TestQueue_WhereTooManyWaitTheLongestWaitingGoes(t *testing.T) {
	q := NewQueue[int](2)
	for i := range 5 {
		q.Put(item(fmt.Sprint(i), 1, i))
	}
	if diff := cmp.Diff([]int{3, 4}, pushes(q.Take(10, start))); diff != "" || q.Counts() != (Counts{Crowded: 3}) {
		t.Errorf("%+v (-want +got):\n%s", q.Counts(), diff)
	}
}

func TestQueue_WhatCountsNoLongerIsNotSent(t *testing.T) {
	q := NewQueue[int](10)
	q.Put(item("a", 0, 1))
	q.Put(item("b", 5, 2))
	if diff := cmp.Diff([]int{2}, pushes(q.Take(10, start.Add(21*time.Second)))); diff != "" || q.Counts() != (Counts{Expired: 1}) {
		t.Errorf("%+v (-want +got):\n%s", q.Counts(), diff)
	}
}

func TestQueue_WhatIsReturnedWaitsUnlessANewerOneCame(t *testing.T) {
	q := NewQueue[int](10)
	q.Put(item("a", 0, 1))
	q.Put(item("b", 0, 2))
	taken := q.Take(10, start)
	q.Put(item("a", 1, 3))
	q.Return(taken)
	if diff := cmp.Diff([]int{3, 2}, pushes(q.Take(10, start))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever comes, each pod is sent at most once, the newest of it, and everything is accounted for.
func TestQueue_AccountsForEverything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	q, put, got := NewQueue[int](8), 0, 0
	for step := range 20_000 {
		if random.IntN(3) > 0 {
			q.Put(item(fmt.Sprint(random.IntN(12)), step, step))
			put++
			continue
		}
		taken := q.Take(random.IntN(5), start.Add(time.Duration(step-random.IntN(40))*time.Second))
		names := []string{}
		for _, i := range taken {
			names = append(names, i.Pod.Name)
		}
		if slices.Sort(names); len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Fatalf("a pod twice: %v", names)
		}
		got += len(taken)
		if q.Len() > 8 || len(q.order)-q.next != q.Len() || len(q.order) > 32 {
			t.Fatalf("%d wait, %d in order, next %d", q.Len(), len(q.order), q.next)
		}
	}
	if c := q.Counts(); int64(put) != int64(got+q.Len())+c.Superseded+c.Crowded+c.Expired {
		t.Errorf("%d came, %d were sent, %d wait, %+v", put, got, q.Len(), c)
	}
}
