package dispatch

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// admit sends out of the room whom the pods can take, oldest first.
func (a *Application) admit(now time.Time) {
	for t := a.room.First(); t != nil; t = a.room.First() {
		pod, reason, ok := a.pick(now)
		if !ok {
			return
		}
		a.room.Leave(t)
		v := visitOf(t)
		v.take(pod, reason, now)
		close(v.granted)
	}
}

// pick chooses a pod for one request.
func (a *Application) pick(now time.Time) (*Pod, string, bool) {
	a.view = a.view[:0]
	usable, sound := 0, 0
	for _, p := range a.pods {
		view := balance.Pod{InFlight: p.inFlight}
		if p.usable() {
			usable++
			if view.Usable = !p.ejection.Active(now); view.Usable {
				sound++
			}
			view.Limit = p.limit(now)
		}
		a.view = append(a.view, view)
	}
	switch {
	case usable == 0:
		if a.service != nil && a.service.proven {
			return a.service, "the controller is away: through the Service", true
		}
		return nil, "", false
	case sound == 0:
		// All are ejected: better a doubtful pod than none.
		for i, p := range a.pods {
			a.view[i].Usable = p.usable()
		}
	}
	choice, ok := a.policy(a.view)
	if !ok {
		return nil, "", false
	}
	return a.pods[choice.Index], choice.Reason, true
}

// lookAgain arranges to look again when something changes by itself while somebody waits: a ramp
// grows, an ejection ends, the one that waits longest has waited long enough; or when a start is
// wanted no more.
func (a *Application) lookAgain(now time.Time) {
	var next time.Time
	sooner := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if t := a.room.First(); t != nil {
		deadline, _ := a.deadline(visitOf(t))
		sooner(deadline)
		for _, p := range a.pods {
			if p.usable() {
				sooner(p.ramp.Next(now))
				sooner(p.ejection.Until())
			}
		}
	} else if a.start != nil {
		sooner(a.wanted)
	}
	switch {
	case next.IsZero():
		if a.timer != nil {
			a.timer.Stop()
		}
	case a.timer == nil:
		a.timer = time.AfterFunc(next.Sub(now), a.settle)
	default:
		a.timer.Reset(next.Sub(now))
	}
}
