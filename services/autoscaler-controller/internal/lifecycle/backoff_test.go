package lifecycle

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// tries counts what is tried within a minute of looks every ms, when all of it fails.
func tries(m *Memory, p Plan, marking bool) (n int) {
	for ms := range 60_000 {
		look := p
		look.at = noon.Add(time.Duration(ms) * time.Millisecond)
		m.calm(&look)
		if look.Acts() {
			n++
			m.failed(Outcome{Error: "no", Marking: marking}, look.at)
		}
	}
	return n
}

func TestCalm_BoundsWhatIsTriedWhateverIsHeard(t *testing.T) {
	up, marks := scaling.Decision{From: 0, To: 1}, []fleet.Marking{{Pod: "a"}}
	for name, c := range map[string]struct {
		plan        Plan
		marking     bool
		least, most int
	}{
		"a way up":                   {Plan{Decision: up, Scale: true}, false, 10, 12},
		"a start call":               {Plan{Decision: up, Scale: true, Called: true}, false, 60, 66},
		"marks":                      {Plan{Marks: marks}, true, 10, 12},
		"marks beside a start call":  {Plan{Marks: marks, Called: true}, true, 10, 12},
		"a way down with its marks":  {Plan{Decision: scaling.Decision{From: 2, To: 1}, Scale: true, Marks: marks}, true, 10, 12},
		"a way to zero that hangs":   {Plan{Decision: scaling.Decision{From: 1, To: 0}, Scale: true}, false, 10, 12},
		"nothing is to be done here": {Plan{}, false, 0, 0},
	} {
		if n := tries(&Memory{}, c.plan, c.marking); n < c.least || n > c.most {
			t.Errorf("%s: tried %d times within a minute, want %d to %d", name, n, c.least, c.most)
		}
	}
}

func TestCalm_MarksThatFailHoldUpNoWayUp(t *testing.T) {
	m := &Memory{}
	m.failed(Outcome{Error: "no", Marking: true}, noon)
	p := Plan{Decision: scaling.Decision{From: 1, To: 2}, Scale: true, Marks: []fleet.Marking{{Pod: "a"}}, at: noon}
	m.calm(&p)
	if !p.Scale || p.Marks != nil || !p.withheld.IsZero() || p.Decision.To != 2 {
		t.Errorf("got %+v", p)
	}
	down := Plan{Decision: scaling.Decision{From: 2, To: 1}, Scale: true, Marks: []fleet.Marking{{Pod: "a"}}, at: noon}
	m.calm(&down)
	if down.Acts() || down.Decision.To != 2 || !down.withheld.Equal(noon.Add(firstPause)) {
		t.Errorf("a way down: %+v", down)
	}
}

func TestCalm_AScalingThatFailsHoldsUpNoMarksThatAreTakenOff(t *testing.T) {
	m := &Memory{}
	m.failed(Outcome{Error: "no"}, noon)
	p := Plan{Decision: scaling.Decision{From: 1, To: 2}, Scale: true, Marks: []fleet.Marking{{Pod: "a"}}, at: noon}
	m.calm(&p)
	if p.Scale || len(p.Marks) != 1 || p.calm || p.Again.IsZero() {
		t.Errorf("got %+v", p)
	}
	if r := m.Done(p, Outcome{Marked: true}, noon); r.News || !r.Withheld.Equal(noon.Add(firstPause)) || !m.Failing() {
		t.Errorf("reported %+v", r)
	}
}

func TestDone_WhatWorksAgainEndsThePause(t *testing.T) {
	m := &Memory{}
	for range 5 {
		m.failed(Outcome{Error: "no"}, noon)
	}
	m.failed(Outcome{Error: "no", Marking: true}, noon)
	m.Failure = "no"
	m.Done(Plan{Decision: scaling.Decision{From: 0, To: 1}, Scale: true, at: noon}, Outcome{}, noon)
	if !m.Failing() || m.Failure == "" || m.backoffs.scale != (backoff{}) {
		t.Errorf("the marks still fail: %+v", m)
	}
	m.Done(Plan{Marks: []fleet.Marking{{Pod: "a"}}, at: noon}, Outcome{Marked: true}, noon)
	if m.Failing() || m.Failure != "" {
		t.Errorf("all works: %+v", m)
	}
}
