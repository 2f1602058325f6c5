package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// step is a scaling that was carried out, until its pods are alive, or gone.
type step struct {
	from, to int32
	began    time.Time
	before   []string // the pods that were there, ordered
	going    []string // of these, those that were chosen to go, ordered
	trigger  scaling.Trigger
}

// Settled is that a scaling has come to its end.
type Settled struct {
	From, To int32
	Took     time.Duration
	Text     string        // for people
	Mistaken bool          // Kubernetes took another pod than the one that was chosen
	Record   *fleet.Record // of a way down on which pods were chosen; without id and time
}

// began takes note of a scaling that was carried out.
func (m *Memory) began(p Plan) {
	s := &step{from: p.Decision.From, to: p.Decision.To, began: p.at, trigger: p.Decision.Trigger}
	for _, l := range p.Snapshot.Loads {
		s.before = append(s.before, l.Name)
	}
	if len(p.going) > 0 {
		s.going = union(p.going, nil)
		if m.step != nil { // those of the scaling before may still be going
			s.going = present(union(s.going, m.step.going), p.Snapshot.Loads)
		}
	}
	m.step = s
	switch {
	case s.to == 0:
		m.alarms.waking = time.Time{}
	case s.from == 0:
		m.alarms.waking = s.began
	}
	if m.drain == nil {
		return
	}
	m.drain.victims = slices.DeleteFunc(m.drain.victims, func(v victim) bool { return slices.Contains(s.going, v.Name) })
	if len(m.drain.victims) == 0 {
		m.drain = nil
	}
}

// settle tells whether the last scaling has come to its end, and how.
func (m *Memory) settle(s fleet.Snapshot, now time.Time) *Settled {
	if m.step == nil {
		return nil
	}
	if !s.Deployment.Found || s.Deployment.Replicas != m.step.to { // somebody has gone on from there
		m.step = nil
		return nil
	}
	out := m.step.end(s)
	if out == nil {
		return nil
	}
	out.From, out.To, out.Took = m.step.from, m.step.to, now.Sub(m.step.began)
	if len(m.step.going) > 0 {
		out.Record = m.step.record(s, *out)
	}
	m.step = nil
	return out
}

// end is how the step ended; nil: it has not.
func (s *step) end(now fleet.Snapshot) *Settled {
	change := fmt.Sprintf("%d → %d: ", s.from, s.to)
	switch {
	case s.to > s.from:
		if now.Ready >= s.to {
			return &Settled{Text: change + "all pods are alive"}
		}
	case len(now.Loads) > int(s.to):
	case len(s.stayed(now)) > 0:
		return &Settled{Mistaken: true, Text: change + s.mistake(now)}
	case now.Scaling.Pods > s.to:
	case s.to == 0:
		return &Settled{Text: change + "no pod runs any more"}
	case len(s.going) > 0:
		return &Settled{Text: change + names(s.going) + " went, as chosen"}
	default:
		return &Settled{Text: change + "the pods have gone"}
	}
	return nil
}

// stayed are the chosen pods that are still there and not going.
func (s *step) stayed(now fleet.Snapshot) []string { return present(s.going, now.Loads) }

// mistake says who went in whose place.
func (s *step) mistake(now fleet.Snapshot) string {
	here := present(s.before, now.Loads)
	went := slices.DeleteFunc(slices.Clone(s.before), func(pod string) bool {
		return slices.Contains(here, pod) || slices.Contains(s.going, pod)
	})
	if len(went) == 0 {
		return names(s.stayed(now)) + " was chosen and is still there"
	}
	return "Kubernetes took " + names(went) + ", and not " + names(s.stayed(now)) + ", which was chosen"
}

// record is the word of the end.
func (s *step) record(now fleet.Snapshot, out Settled) *fleet.Record {
	effect := scaling.Note
	d := scaling.Decision{
		From: s.to, To: s.to, Wished: s.to, Aim: s.to, Trigger: scaling.ByDrain, Summary: out.Text,
		Reasons: []scaling.Reason{{
			Rule: "Drain", Effect: effect, Replicas: s.to, Message: out.Text,
			Inputs: []scaling.Input{{Name: "took", Value: out.Took.Seconds(), Unit: "s"}},
		}},
	}
	return &fleet.Record{Decision: d, Key: now.Key, Autoscaler: now.Autoscaler}
}
