package testwait

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParse_TakesATimeThatMakesSense(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": usual, "1s": time.Second, "90s": 90 * time.Second, "5m": 5 * time.Minute, "24h": 24 * time.Hour,
		"0": 0, "999ms": 0, "25h": 0, "-1s": 0, "90": 0, "soon": 0,
	} {
		got, err := parse(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), Setting) || !strings.Contains(err.Error(), fmt.Sprintf("%q", text))) {
			t.Errorf("%q: the fault does not name the setting and its value: %v", text, err)
		}
	}
}

// given is a test that is watched: it keeps why it failed, and ends its goroutine as a real one does.
type given struct {
	testing.TB
	failed chan string
}

func (g given) Helper() {}
func (g given) Fatalf(format string, values ...any) {
	g.failed <- fmt.Sprintf(format, values...)
	panic(g)
}

// outcome runs a wait, and returns why it failed and after how long.
func outcome(wait func(given)) (why string, after time.Duration) {
	g, began := given{failed: make(chan string, 1)}, time.Now()
	func() {
		defer func() { _ = recover() }()
		wait(g)
	}()
	select {
	case why = <-g.failed:
	default:
	}
	return why, time.Since(began)
}

func TestUntil_EndsWithTheAnswerOrAtTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		holds time.Duration // when the answer is yes
		why   string
		after time.Duration
	}{
		"at once":           {0, "", 0},
		"after a while":     {Limit() / 2, "", Limit() / 2},
		"never, as it were": {2 * Limit(), fmt.Sprintf("not within %v: it holds", Limit()), Limit()},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			why, after := outcome(func(g given) {
				Until(g, "it holds", func() bool { return time.Since(began) >= c.holds })
			})
			if !strings.HasPrefix(why, c.why) || (why == "") != (c.why == "") || after != c.after {
				t.Errorf("%s: %q after %v", name, why, after)
			}
		})
	}
}

func TestProgress_GivesUpOnceNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		step := Limit() / 2
		left := func() int { return max(7, 10-int(time.Since(began)/step)) } // 3 are done, and then no more
		why, after := outcome(func(g given) {
			Progress(g, "nothing is left", func() (int, bool) { return left(), left() == 0 })
		})
		if why != fmt.Sprintf("not within %v: nothing is left; at last: 7", Limit()) || after != 3*step+Limit() {
			t.Errorf("%q after %v", why, after)
		}
	})
}

func TestProgress_WaitsForAsManyStepsAsThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, step := time.Now(), Limit()/2
		const steps = 5 // together they take longer than the limit
		left := func() int { return steps - int(time.Since(began)/step) }
		why, after := outcome(func(g given) {
			Progress(g, "nothing is left", func() (int, bool) { return left(), left() <= 0 })
		})
		if why != "" || after != steps*step {
			t.Errorf("%q after %v", why, after)
		}
	})
}

func TestReceive_TakesTheValueTheEndOrTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values := make(chan int)
		go func() {
			time.Sleep(Limit() / 2)
			values <- 7
			close(values)
		}()
		for _, want := range []int{7, 0} {
			why, _ := outcome(func(g given) {
				if got := Receive(g, "a value", values); got != want {
					t.Errorf("got %d, want %d", got, want)
				}
			})
			if why != "" {
				t.Error(why)
			}
		}
		why, after := outcome(func(g given) { Receive(g, "a value", make(chan int)) })
		if why != fmt.Sprintf("not within %v: a value", Limit()) || after != Limit() {
			t.Errorf("%q after %v", why, after)
		}
	})
}

func TestDeadline_IsTheLimitFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got := time.Until(Deadline()); got != Limit() {
			t.Errorf("%v", got)
		}
	})
}
