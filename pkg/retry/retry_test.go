package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff_DoublesUpToItsBound(t *testing.T) {
	b := Backoff{First: 100 * time.Millisecond, Most: 30 * time.Second}
	for failures, bound := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 5: 1600 * time.Millisecond, 9: 25600 * time.Millisecond, 10: 30 * time.Second, 1 << 40: 30 * time.Second,
	} {
		for random, want := range map[float64]struct{ full, near time.Duration }{
			0:   {0, bound * 7 / 10},
			0.5: {bound / 2, bound},
		} {
			next := func() float64 { return random }
			if full, near := b.Full(failures, next), b.Near(failures, next); full != want.full || (near-want.near).Abs() > time.Microsecond {
				t.Errorf("after %d failures, at %v: %v and %v, want %+v", failures, random, full, near, want)
			}
		}
	}
	if got := (Backoff{}).Near(3, func() float64 { return 0.9 }); got != 0 {
		t.Errorf("the zero value waits %v", got)
	}
}

func TestPause_EndsWithItsTimeOrWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !Pause(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("%v", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if began = time.Now(); Pause(ctx, time.Minute) || time.Since(began) != time.Second {
			t.Errorf("%v with a context of a second", time.Since(began))
		}
	})
}
