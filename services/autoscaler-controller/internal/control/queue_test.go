package control

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestJournal_IsBounded(t *testing.T) {
	var j journal
	for i := range KeptDecisions + 10 {
		k := key
		if i%2 == 1 {
			k.Deployment = "other"
		}
		j.add(fleet.Record{Key: k, Decision: scaling.Decision{From: int32(i)}})
	}
	all := j.last(fleet.Filter{}, 5000)
	if len(all) != KeptDecisions || all[0].From != KeptDecisions+9 || all[len(all)-1].From != 10 {
		t.Errorf("%d kept, newest %d, oldest %d", len(all), all[0].From, all[len(all)-1].From)
	}
	some := j.last(fleet.Filter{Key: key}, 3)
	if len(some) != 3 || some[0].Deployment != "fib" || some[0].From != KeptDecisions+8 {
		t.Errorf("got %+v", some)
	}
}

func TestQueue_NeverHandsOutAKeyTwiceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[string]()
		q.add("a")
		q.add("a")
		k, _ := q.get()
		q.add("a")
		got := make(chan string, 1)
		go func() { k, _ := q.get(); got <- k }()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("handed out while it is worked on")
		default:
		}
		q.done(k)
		synctest.Wait()
		if len(got) != 1 {
			t.Fatal("what was added meanwhile is lost")
		}
		q.done("a")
		q.at("a", time.Now().Add(time.Minute))
		q.at("a", time.Now().Add(time.Second))
		q.at("a", time.Now().Add(time.Hour))
		began := time.Now()
		q.get()
		if took := time.Since(began); took != time.Second {
			t.Errorf("came after %v, want the earliest", took)
		}
		q.done("a")
		for i, want := range []time.Duration{50, 100, 200, 400} {
			began = time.Now()
			q.retry("a")
			q.get()
			if took := time.Since(began); took != want*time.Millisecond {
				t.Errorf("failure %d: came after %v, want %v ms", i+1, took, want)
			}
			q.done("a")
		}
		q.close()
		if _, ok := q.get(); ok {
			t.Error("a closed queue hands out work")
		}
	})
}

func TestReason_ShowsTheDetail(t *testing.T) {
	if got := reason(fault.New(fault.Unavailable, "why").Because(errors.New("inner"))); got != "why" {
		t.Errorf("got %q", got)
	}
	if got := reason(fault.New(fault.Unavailable, "%s", "x"+strings.Repeat("é", 5000))); len(got) != 999 || !utf8.ValidString(got) {
		t.Errorf("a long detail has %d bytes", len(got))
	}
	if got := reason(errors.New(strings.Repeat("x", 5000))); len(got) != 1000 {
		t.Errorf("%d characters", len(got))
	}
}
