package dispatch

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// What a load balancer does with the slots that another one lends it: it asks, holds, and gives back.

// admitShared sends out of the room whom the pods can take, oldest first over all load balancers; or
// asks the one that lends.
func (a *Application) admitShared(now time.Time) {
	a.convene(now)
	s := a.share
	switch {
	case !s.seated:
	case s.account.Lending():
		a.lendSlots(now)
	default:
		a.askForSlots(now)
	}
	a.countLent()
	a.nudge()
}

// nudge has said what is due.
func (a *Application) nudge() {
	for _, id := range a.share.account.TakeDue() {
		if id == a.share.hearing {
			continue
		}
		if m, in := a.share.account.Member(id); in {
			a.d.members.peers.Nudge(a.ID, m)
		}
	}
}

// askForSlots asks for a slot for each who waits, while a pod can be used at all.
func (a *Application) askForSlots(now time.Time) {
	s := a.share
	if !a.anyUsable() && (a.service == nil || !a.service.proven) {
		for _, v := range s.tickets {
			a.withdraw(v)
		}
		return
	}
	s.account.Avoid(a.avoided(now))
	for t := a.room.First(); t != nil && len(s.tickets) < maxAsked; t = t.Next() {
		if v := visitOf(t); v.slot == 0 {
			a.ask(v)
		}
	}
}

func (a *Application) ask(v *Visit) {
	r := v.arrival.Affinity
	v.slot = a.share.account.Ask(slots.Ticket{Arrived: v.Arrived, Key: r.Key, Pin: r.Pin})
	a.share.tickets[v.slot] = v
}

// avoided are the pods that cannot be used from here, or have just refused, whatever the lender thinks of them.
func (a *Application) avoided(now time.Time) []string {
	var list []string
	for _, p := range a.pods {
		if p.doubted || p.balanced.Ejected(now) || p.balanced.Busy(now) {
			list = append(list, p.Name)
		}
	}
	for name, until := range a.share.strange {
		if now.Before(until) {
			list = append(list, name)
		} else {
			delete(a.share.strange, name)
		}
	}
	return list
}

// withdraw takes back what a visit asks for.
func (a *Application) withdraw(v *Visit) {
	if s := a.shared; s != nil && s.tickets[v.slot] == v {
		delete(s.tickets, v.slot)
		s.account.Done(v.slot)
		v.slot = 0
	}
}

// granted gives a visit the pod of which a slot was lent for it.
func (a *Application) granted(g slots.Slot, now time.Time) {
	s := a.share
	v, pod := s.tickets[g.Ticket], a.pod(g.Pod)
	delete(s.tickets, g.Ticket)
	if v == nil || pod == nil || pod.doubted || pod.endpoint.Terminating {
		s.account.Done(g.Ticket)
		if v != nil {
			v.slot = 0
			s.strange[g.Pod] = now.Add(strangeFor)
		}
		return
	}
	if v.brief != nil { // a health check, which waits outside the room
		v.brief.Stop()
	}
	a.admitTo(v, pod, lentReason, now)
}

func (a *Application) pod(name string) *Pod {
	for _, p := range a.pods {
		if p.Name == name {
			return p
		}
	}
	if a.service != nil && a.service.Name == name {
		return a.service
	}
	return nil
}

// hold notes the slot of a visit that is sent.
func (a *Application) hold(v *Visit) {
	s := a.share
	if v.slot == 0 || s.tickets[v.slot] == v {
		a.withdraw(v)
		v.slot = s.account.Take(v.Pod.Name)
	}
	s.flying[v.slot] = v
}

// giveBack frees the slot of a visit that has ended, or was not taken.
func (a *Application) giveBack(v *Visit, pod string) {
	s := a.shared
	if v.cutOff {
		return // it rests
	}
	if s.flying[v.slot] == v {
		delete(s.flying, v.slot)
		s.account.Done(v.slot)
		v.slot = 0
		return
	}
	if list := s.unnamed[pod]; v.slot == 0 && len(list) > 0 {
		s.account.Done(list[0])
		s.unnamed[pod] = list[1:]
	}
}

// waitBriefly has a health check wait for a slot for a moment: only who lends knows whether one is free.
func (v *Visit) waitBriefly() {
	a := v.App
	v.granted, v.refused = make(chan struct{}), nil
	a.ask(v)
	v.brief = time.AfterFunc(briefWait, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if s := a.shared; s.tickets[v.slot] == v {
			a.withdraw(v)
			v.refused = ErrBusy
			close(v.granted)
			a.update(a.d.options.Now())
		}
	})
}
