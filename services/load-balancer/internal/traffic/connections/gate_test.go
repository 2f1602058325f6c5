package connections

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestGate_ServesSoManyAnswersSomeMoreAndClosesTheRest(t *testing.T) {
	g := NewGate(func() int { return 3 }, prometheus.NewRegistry())
	var leaves []func()
	for i := range 3 + mostRefused {
		if g.Full() != (i >= 3) {
			t.Fatalf("connection %d: full is %v", i, g.Full())
		}
		leave, crowded, ok := g.Enter()
		if !ok || crowded != (i >= 3) {
			t.Fatalf("connection %d: crowded %v, ok %v", i, crowded, ok)
		}
		leaves = append(leaves, leave)
	}
	if leave, _, ok := g.Enter(); ok || leave != nil {
		t.Error("a connection beyond all limits was taken")
	}
	if g.Open() != 3 {
		t.Errorf("%d are open", g.Open())
	}
	answered, closed := testutil.ToFloat64(g.counted.WithLabelValues("told")), testutil.ToFloat64(g.counted.WithLabelValues("closed"))
	if answered != mostRefused || closed != 1 {
		t.Errorf("told %v, closed %v", answered, closed)
	}
	for _, leave := range leaves {
		leave()
	}
	if _, crowded, ok := g.Enter(); crowded || !ok || g.Open() != 1 {
		t.Errorf("after all have left: crowded %v, ok %v, open %d", crowded, ok, g.Open())
	}
}

func TestGate_ALimitThatIsLoweredClosesNothing(t *testing.T) {
	limit := 10
	g := NewGate(func() int { return limit }, prometheus.NewRegistry())
	for range 10 {
		if _, crowded, ok := g.Enter(); crowded || !ok {
			t.Fatal("below the limit")
		}
	}
	limit = 5
	if _, crowded, ok := g.Enter(); !crowded || !ok || g.Open() != 10 {
		t.Errorf("crowded %v, ok %v, open %d", crowded, ok, g.Open())
	}
}

func TestGate_NeverServesMoreThanTheLimitWhoeverComesAtOnce(t *testing.T) {
	g := NewGate(func() int { return 50 }, prometheus.NewRegistry())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				leave, crowded, ok := g.Enter()
				if ok && !crowded && g.Open() > 50+8 { // others may be about to give theirs back
					t.Errorf("%d are open", g.Open())
				}
				if ok {
					leave()
				}
			}
		})
	}
	group.Wait()
	if g.Open() != 0 || g.refused.Load() != 0 {
		t.Errorf("left over: %d and %d", g.Open(), g.refused.Load())
	}
}

func TestGate_OneApplicationMayHaveHalfOnceThreeQuartersAreTaken(t *testing.T) {
	limit := 100
	g := NewGate(func() int { return limit }, prometheus.NewRegistry())
	enter := func(n int) {
		for range n {
			g.Enter()
		}
	}
	enter(74)
	if g.Crowds(74) {
		t.Error("a quarter is free and more")
	}
	enter(1)
	for exchanges, want := range map[int]bool{1: false, 50: false, 51: true, 75: true} {
		if g.Crowds(exchanges) != want {
			t.Errorf("%d of 75: %v", exchanges, !want)
		}
	}
	limit = 1
	if g.Crowds(1) || !g.Crowds(2) {
		t.Error("one is no crowd")
	}
}
