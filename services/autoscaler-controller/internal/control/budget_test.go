package control

import (
	"testing"
	"time"
)

func TestBudget_ManyAtOnceAndThenOneAfterTheOther(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := budget{every: 10 * time.Millisecond, burst: 3}
	for i, want := range []time.Duration{0, 0, 0, 10, 20, 30} {
		if got := b.reserve(now).Sub(now); got != want*time.Millisecond {
			t.Errorf("the write %d is due after %v", i, got)
		}
	}
	if got := b.reserve(now.Add(time.Hour)); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("after an hour: %v", got.Sub(now))
	}
}

func TestBudget_NeverSpendsMoreThanItHas(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := budget{every: 20 * time.Millisecond, burst: 50}
	seconds := map[int]int{}
	for i := range 20_000 {
		asked := now.Add(time.Duration(i) * 3 * time.Millisecond)
		at := b.reserve(asked)
		if at.Before(asked) {
			t.Fatal("a moment that has passed")
		}
		seconds[int(at.Sub(now)/time.Second)]++
	}
	for second, n := range seconds {
		if n > 100 || second > 0 && n > 51 {
			t.Errorf("%d writes in second %d", n, second)
		}
	}
}
