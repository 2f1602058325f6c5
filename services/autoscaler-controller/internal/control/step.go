package control

import (
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// step is a scaling that was applied, until its pods are alive, or gone.
type step struct {
	from, to int32
	began    time.Time
}

// done tells whether the step has come to its end, and says so in words.
func (s *step) done(v fleet.View) (string, bool) {
	there := int32(0)
	for _, p := range v.Pods {
		if p.Exists() {
			there++
		}
	}
	switch {
	case v.Deployment.Replicas != s.to:
		return "", true // somebody else has gone on from there
	case s.to > s.from && v.Ready >= s.to:
		return fmt.Sprintf("%d → %d: all pods are alive", s.from, s.to), true
	case s.to == 0 && there == 0:
		return fmt.Sprintf("%d → 0: no pod runs any more", s.from), true
	case s.to < s.from && s.to > 0 && there <= s.to:
		return fmt.Sprintf("%d → %d: the pods have gone", s.from, s.to), true
	default:
		return "", false
	}
}

// follow tells when a step has come to its end. The caller leads.
func (l *Loop) follow(m *memory, k fleet.Key, now time.Time) {
	view, ok := l.Fleet.View(k, now)
	m.mu.Lock()
	s := m.step
	if !ok || s == nil {
		m.mu.Unlock()
		return
	}
	text, done := s.done(view)
	if done {
		m.step = nil
	}
	m.mu.Unlock()
	if text == "" {
		return
	}
	took := now.Sub(s.began)
	l.Log.Info("settled", "namespace", k.Namespace, "deployment", k.Deployment, "from", s.from, "to", s.to, "ms", took.Milliseconds())
	l.Recorder.Event(fleet.Autoscaler{Namespace: k.Namespace, Name: view.Autoscaler},
		fleet.Event{Reason: "Settled", Message: k.Deployment + ": " + text + fmt.Sprintf(", after %.1f s", took.Seconds())})
	l.Observer.Settled(s.from, s.to, took)
}
