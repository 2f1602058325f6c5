package dispatch

import (
	"testing"
	"time"
)

func TestLongest_IsOfTheLastMinutesAndBoundsTheRest(t *testing.T) {
	start := time.Unix(1000, 0)
	var l longest
	if got := l.rest(start); got != unknownRest {
		t.Errorf("nothing seen: %v", got)
	}
	for _, c := range []struct {
		after, took, want time.Duration
	}{
		{0, time.Millisecond, leastRest},
		{time.Second, 8 * time.Second, 12 * time.Second},
		{2 * time.Second, time.Second, 12 * time.Second},
		{restMemory + time.Second, 4 * time.Second, 12 * time.Second}, // of the time before
		{2*restMemory + time.Second, 2 * time.Second, 6 * time.Second},
		{2*restMemory + 2*time.Second, time.Hour, mostRest},
		{9 * restMemory, 2 * time.Second, 3 * time.Second},
	} {
		now := start.Add(c.after)
		l.note(c.took, now)
		if got := l.rest(now); got != c.want {
			t.Errorf("after %v and an answer of %v it is %v, want %v", c.after, c.took, got, c.want)
		}
	}
	if got := l.rest(start.Add(12 * restMemory)); got != unknownRest {
		t.Errorf("long after the last answer it is %v", got)
	}
}
