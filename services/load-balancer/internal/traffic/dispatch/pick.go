package dispatch

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// mostPassedOver bounds how many who wait for a certain pod are passed over for those behind them.
const mostPassedOver = 64

// admit sends out of the room whom the pods can take, oldest first. Who waits for a certain pod, which
// is full, keeps nobody else waiting.
func (a *Application) admit(now time.Time) {
	if a.share != nil {
		a.admitShared(now)
		return
	}
	passed := 0
	for t := a.room.First(); t != nil; {
		next, v := t.Next(), visitOf(t)
		pod, reason, waits := a.pick(v.arrival.Affinity, now)
		switch {
		case pod != nil:
			a.admitTo(v, pod, reason, now)
		case !waits || passed == mostPassedOver:
			return
		default:
			passed++
		}
		t = next
	}
}

// admitTo sends one who waits, in the room or beside it, to a pod.
func (a *Application) admitTo(v *Visit, pod *Pod, reason string, now time.Time) {
	a.room.Leave(&v.ticket)
	v.take(pod, reason, now)
	close(v.granted)
}

// pick chooses a pod for one request. Without one, waits tells whether it has to wait for a certain
// pod.
func (a *Application) pick(r balance.Request, now time.Time) (pod *Pod, reason string, waits bool) {
	chosen, reason, waits := a.pool.Pick(r, now)
	if chosen != nil {
		return a.pods[chosen.Index()], reason, false
	}
	if a.service != nil && a.service.proven && a.pool.Usable(now) == 0 && a.serviceFree() {
		return a.service, "the controller is away: through the Service", false
	}
	return nil, "", waits
}

// serviceFree tells whether one more request may go through the Service: on whichever pod it ends, that
// one has no more than its limit, as all that are known here together have not.
func (a *Application) serviceFree() bool {
	if a.share == nil {
		return true
	}
	n := a.service.balanced.InFlight()
	for _, p := range a.pods {
		n += p.balanced.InFlight()
	}
	return n+a.share.account.Lent(a.service.Name) < a.Route().Concurrency
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
		sooner(a.pool.Next(now))
		sooner(a.asleepUntil)
	} else if a.start != nil {
		sooner(a.wanted)
	}
	if s := a.share; s != nil {
		sooner(s.resting)
		if s.account.Queue() != nil {
			sooner(a.pool.Next(now))
		}
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
