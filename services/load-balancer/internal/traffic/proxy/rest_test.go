package proxy

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// A body is gathered up to 64 KiB. What is behind that comes while a place on a pod is held.
func TestRest_OfABodyThatHoldsAPlaceIsBoundedByItsRate(t *testing.T) {
	gathered := trickle(16, 4096, 0)
	stops := part{after: time.Hour}
	longIdle := func(o *Options, _ *routing.Route) { o.Limits.StreamIdle = 10 * time.Minute }
	limited := func(o *Options, r *routing.Route) { longIdle(o, r); r.Concurrency = 1 }
	for name, test := range map[string]struct {
		head   string
		rest   []part
		change func(*Options, *routing.Route)
		status int
		after  time.Duration
	}{
		"nothing of it comes":              {withLength + "70000", []part{stops}, limited, 408, gatherGrace},
		"it stops half way":                {withLength + "70000", []part{{text: strings.Repeat("x", 480)}, stops}, limited, 408, gatherGrace + 2*time.Second},
		"it stops after much of it":        {withLength + "900000", append(trickle(100, 4096, 0), stops), limited, 408, restPause},
		"it comes too slowly":              {withLength + "70000", trickle(1000, 120, time.Second), limited, 408, 9 * time.Second},
		"it comes in time":                 {withLength + "70336", trickle(20, 240, time.Second), limited, 200, 20 * time.Second},
		"it pauses, but not for too long":  {withLength + "75536", []part{{text: strings.Repeat("x", 9999)}, {after: restPause - time.Second, text: "x"}}, limited, 200, restPause - time.Second},
		"its chunks stop":                  {inChunks, []part{{text: "x"}, stops}, limited, 408, gatherGrace + time.Second/leastRate},
		"the longest pause is shorter":     {withLength + "70000", []part{stops}, func(o *Options, r *routing.Route) { limited(o, r); o.Limits.StreamIdle = time.Second }, 408, time.Second},
		"it holds no place, and it pauses": {withLength + "65537", []part{{after: 9 * time.Minute, text: "x"}}, longIdle, 200, 9 * time.Minute},
		"it holds no place, and it stops":  {withLength + "65537", []part{stops}, longIdle, 408, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pod := &taking{}
				u, c, began := newUnit(t, pod, test.change), newClient(slices.Concat(gathered, test.rest)...), time.Now()
				r := u.ask(c, test.head)
				if took := time.Since(began); c.head.Status != test.status || took.Round(10*time.Millisecond) != test.after.Round(10*time.Millisecond) {
					t.Errorf("%d after %v", c.head.Status, took)
				}
				if pod.begun != gatherLimit || r.Tries != 1 {
					t.Errorf("a pod was taken with %d bytes, %d times", pod.begun, r.Tries)
				}
				if test.status == 408 && (c.code(t) != "request-timeout" || !c.head.Close) {
					t.Errorf("%+v %s", c.head, c.body)
				}
				if len(u.usable()) != 2 || u.failed("broken") > 0 {
					t.Error("the pod was blamed")
				}
				u.settled() // the place is free
			})
		})
	}
}

// The half of a conversation, as gRPC has them, may be silent.
func TestRest_OfAConversationOverHTTP2MayPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnit(t, &taking{}, func(_ *Options, r *routing.Route) { r.Concurrency = 1 })
		c := newClient(part{text: "x"}, part{after: 50 * time.Second, text: "y"})
		r := request(t, inChunks)
		r.Version = message.HTTP2
		u.Serve(c, r)
		if l := u.log.last(); l.Status != 200 || l.RequestBytes != 2 {
			t.Errorf("the log has %+v", l)
		}
	})
}

func TestPace_CountsOnlyTheTimeInWhichTheClientIsWaitedFor(t *testing.T) {
	var p pace
	if p.patience(time.Hour) != time.Hour {
		t.Error("it is bounded before it begins")
	}
	p.begin()
	for i, step := range []struct {
		bytes  int
		waited time.Duration
		want   time.Duration
	}{
		{0, 0, gatherGrace},
		{240, time.Second, gatherGrace},
		{480, time.Second, gatherGrace + time.Second},
		{1, 2 * time.Second, gatherGrace - time.Second + time.Second/leastRate},
		{1 << 30, 0, restPause},
		{0, restPause, time.Millisecond},
		{1, 2 * time.Second, time.Millisecond},
	} {
		if p.came(step.bytes, step.waited); p.patience(time.Hour) != step.want {
			t.Errorf("step %d: %v, want %v", i, p.patience(time.Hour), step.want)
		}
	}
	if p.patience(time.Microsecond) != time.Microsecond {
		t.Error("the most does not bound it")
	}
}
