package lifecycle

import (
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// alarms remember what was told of starts, so that each is told of once, also over terms of leadership.
type alarms struct {
	waking time.Time // when the start began that has not brought a ready pod yet; zero: none does
	slow   time.Time // when the start began that was told to take too long
	wake   string    // the wake-up that was told to have failed
}

// overdue tells since when a start from zero takes longer than it may; zero: none does. It asks for a look when
// one would.
func (p *Plan) overdue() time.Time {
	since := p.Snapshot.StartingSince
	if since.IsZero() {
		return time.Time{}
	}
	until := since.Add(max(p.Snapshot.Spec.WakeUpTimeout, 3*p.Snapshot.ExpectedStart))
	if p.at.Before(until) {
		p.again(until)
		return time.Time{}
	}
	return until
}

// alarm tells what there is to tell of starts.
func (m *Memory) alarm(p *Plan) {
	p.Slow = !p.overdue().IsZero()
	s := p.Snapshot
	if since := m.alarms.waking; !since.IsZero() && s.Ready > 0 {
		m.alarms.waking = time.Time{}
		took := p.at.Sub(since)
		p.News = append(p.News, fleet.News{
			Kind: fleet.Woken, Deployment: s.Key.Deployment, Took: took,
			Message: fmt.Sprintf("the first of %s is ready after %s", scaling.Count(s.Scaling.Replicas, "pod", "pods"), scaling.Seconds(took)),
		})
	}
	if p.Slow && !m.alarms.slow.Equal(s.StartingSince) {
		m.alarms.slow = s.StartingSince
		took := p.at.Sub(s.StartingSince)
		why := ""
		if s.Blocked.Message != "" {
			why = ": " + s.Blocked.Message
		}
		p.News = append(p.News, fleet.News{
			Kind: fleet.StartSlow, Deployment: s.Key.Deployment, Took: took,
			Message: fmt.Sprintf("%s asked for %s ago, none has been ready%s", scaling.Count(s.Scaling.Replicas, "pod was", "pods were"), scaling.Seconds(took), why),
		})
	}
	if f := s.FailedWake; f.ID != "" && f.ID != m.alarms.wake {
		m.alarms.wake = f.ID
		said := "nobody answered in time"
		if f.Waited > 0 {
			said = scaling.Count(f.Waited, "request was", "requests were") + " refused that waited"
		}
		if s.Blocked.Message != "" {
			said += ": " + s.Blocked.Message
		}
		p.News = append(p.News, fleet.News{Kind: fleet.WakeUpFailed, Deployment: s.Key.Deployment, Message: said})
	}
}
