package dispatch

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// Of the slots of a limited application whose load balancers share them; see package slots. Who lends
// counts what the others have on each pod as in flight there, and goes on as if it were alone. Who does
// not asks for a slot for each request, oldest first, while the request waits in the room as ever.

const (
	maxAsked   = 256 // tickets at the lender, of one application
	lentReason = "a slot of it was lent by another load balancer"
	briefWait  = 250 * time.Millisecond // of a health check, for a slot
	strangeFor = 50 * time.Millisecond  // a pod that is lent and not known here is not asked for so soon again
)

// share is an application's part in the sharing of its slots.
type share struct {
	account *slots.Account
	seated  bool
	changes uint64 // of who takes part, as the account knows it

	tickets map[uint64]*Visit   // that ask for a slot
	flying  map[uint64]*Visit   // that have one
	unnamed map[string][]uint64 // slots of requests that were sent before slots were shared, by pod
	strange map[string]time.Time
	resting time.Time // when the next slot's rest ends
	hearing slots.ID  // who is being answered, and needs no nudge
	times   longest
}

// note takes how long an answer took.
func (s *share) note(took time.Duration, now time.Time) {
	s.times.note(took, now)
	s.account.Longest(s.times.longest())
}

// Sharing is what is known of an application's slots, for people and metrics.
type Sharing struct {
	Shared  bool
	Lends   bool
	Lender  string // the load balancer; "" is not known
	Lent    int    // slots that others have, and those at rest
	Expired int    // slots that have come to rest, all in all
}

// followSharing begins or ends to share the slots, as the route and the controller have it.
func (a *Application) followSharing() {
	on := a.d.members.on.Load() && a.Route().Concurrency > 0
	switch {
	case on && a.share == nil:
		if a.shared == nil {
			a.shared = &share{
				account: a.d.members.account(a.ID), tickets: map[uint64]*Visit{}, flying: map[uint64]*Visit{},
				unnamed: map[string][]uint64{}, strange: map[string]time.Time{},
			}
		}
		a.share = a.shared
		a.nameSlots()
	case !on && a.share != nil:
		for _, v := range a.share.tickets {
			v.slot = 0
		}
		clear(a.share.tickets)
		for _, p := range a.pods {
			p.lend(0)
		}
		a.share = nil
	}
}

// nameSlots gives a slot to each request that was sent when none was needed.
func (a *Application) nameSlots() {
	s := a.share
	named := map[string]int{}
	for _, v := range s.flying {
		named[v.Pod.Name]++
	}
	for _, p := range a.pods {
		p.lend(s.account.Lent(p.Name))
		for range p.own() - named[p.Name] - len(s.unnamed[p.Name]) {
			s.unnamed[p.Name] = append(s.unnamed[p.Name], s.account.Take(p.Name))
		}
	}
}

// own is how many requests from here are on it.
func (p *Pod) own() int { return p.balanced.InFlight() - p.lent }

// lend counts so many requests of other load balancers as in flight on it.
func (p *Pod) lend(n int) {
	for ; p.lent < n; p.lent++ {
		p.balanced.Sent()
	}
	for ; p.lent > n; p.lent-- {
		p.balanced.Released()
	}
}

// free chooses a pod for a request that has just come, and for which nobody waits.
func (a *Application) free(r balance.Request, now time.Time) (*Pod, string) {
	if s := a.share; s != nil {
		a.convene(now)
		if !s.seated || !s.account.Lending() || s.account.Queue() != nil {
			return nil, ""
		}
	}
	pod, reason, _ := a.pick(r, now)
	return pod, reason
}

// convene takes over who takes part, and whether this one may act.
func (a *Application) convene(now time.Time) {
	s := a.share
	seated, changes := a.d.members.sitting(now)
	if seated != s.seated {
		s.seated = seated
		if seated {
			s.account.Renew()
		} else {
			a.lapse(now)
		}
		s.changes = changes + 1 // whatever it was
	}
	var began *slots.Began
	if changes != s.changes {
		others, first := a.d.members.assembly(a.ID, now)
		began = s.account.Assemble(others, first && seated, s.times.rest(now), now)
		s.changes = changes
	} else {
		began = s.account.Proceed(s.times.rest(now), now)
	}
	s.resting = s.account.Wake(now)
	a.countLent()
	if began != nil {
		a.beginLending(began.Unknown, now)
	}
}

// countLent has the pods' counts follow the account.
func (a *Application) countLent() {
	a.share.account.TakeMoved(func(name string, lent int) {
		for _, p := range a.pods {
			if p.Name == name {
				p.lend(lent)
			}
		}
	})
}

// beginLending serves from here who waits here. When nobody knows what was lent before, every slot that
// nobody is known to have rests.
func (a *Application) beginLending(unknown bool, now time.Time) {
	s := a.share
	for _, v := range s.tickets {
		v.slot = 0
	}
	clear(s.tickets)
	if unknown {
		until := now.Add(s.times.rest(now))
		for _, p := range a.pods {
			s.account.Rest(p.Name, a.Route().Concurrency-p.balanced.InFlight(), until)
		}
		s.resting = s.account.Wake(now)
		a.countLent()
	}
	if a.d.options.Lends != nil {
		a.d.options.Lends(a.ID, unknown)
	}
}

// lapse ends what is on pods from here: this one may be taken for gone soon.
func (a *Application) lapse(now time.Time) {
	s := a.share
	s.account.Lapse()
	until := now.Add(s.times.rest(now))
	for slot, v := range s.flying {
		s.account.Cut(slot, until)
		delete(s.flying, slot)
		v.slot, v.cutOff = 0, true
		if v.OnCut != nil {
			go v.OnCut()
		}
	}
}

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

// lendSlots serves the requests that wait here, and the tickets of others.
func (a *Application) lendSlots(now time.Time) {
	s := a.share
	queue, passed := s.account.Queue(), 0
	for t := a.room.First(); passed <= mostPassedOver; {
		w, others := queue.Peek()
		if t == nil && !others {
			return
		}
		if t != nil && (!others || !visitOf(t).Arrived.After(w.Arrived)) {
			next, v := t.Next(), visitOf(t)
			pod, reason, waits := a.pick(v.arrival.Affinity, now)
			switch {
			case pod != nil:
				a.room.Leave(t)
				v.take(pod, reason, now)
				close(v.granted)
			case !waits:
				return
			default:
				passed++
			}
			t = next
			continue
		}
		pod, waits := a.pickFor(w, now)
		switch {
		case pod != nil:
			s.account.Grant(w, pod.Name)
			a.countLent()
		case !waits:
			return
		default:
			queue.Pass(w)
			passed++
		}
	}
}

// pickFor chooses a pod for a ticket of another load balancer, but for those that it cannot use.
func (a *Application) pickFor(w slots.Waiter, now time.Time) (pod *Pod, waits bool) {
	for _, p := range a.pods {
		if slices.Contains(w.Avoid, p.Name) {
			p.balanced.SetUsable(false)
			defer p.balanced.SetUsable(p.usable())
		}
	}
	pod, _, waits = a.pick(balance.Request{Key: w.Key, Pin: w.Pin}, now)
	return pod, waits || len(w.Avoid) > 0
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

// avoided are the pods that cannot be used from here, whatever the lender thinks of them.
func (a *Application) avoided(now time.Time) []string {
	var list []string
	for _, p := range a.pods {
		if p.doubted || p.balanced.Ejected(now) {
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
	if a.room.Leave(&v.ticket) {
		v.take(pod, lentReason, now)
	} else { // a health check waits outside the room
		v.brief.Stop()
		v.take(pod, lentReason, now)
	}
	close(v.granted)
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

// hear takes what another load balancer says, and answers it when it shall.
func (a *Application) hear(from slots.Member, m slots.Message, answer bool) slots.Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.share
	if s == nil {
		return slots.Message{}
	}
	now := a.d.options.Now()
	a.convene(now)
	r := s.account.Receive(from, m, s.seated)
	a.d.members.hearsay(r.Learned, now)
	if r.Longest > 0 {
		s.note(r.Longest, now)
	}
	for _, g := range r.Granted {
		a.granted(g, now)
	}
	if !answer {
		a.update(now)
		return slots.Message{}
	}
	s.hearing = from.ID
	a.update(now)
	s.hearing = slots.ID{}
	out := s.account.Due(from.ID)
	if r.Reply != nil {
		if out.Holder != nil {
			a.d.members.peers.Nudge(a.ID, from)
		}
		out.Holder = r.Reply
	}
	return out
}

// tick is called from time to time.
func (a *Application) tick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.share == nil {
		return
	}
	a.share.account.Step()
	a.update(a.d.options.Now())
}

// reconvene follows a change of who takes part.
func (a *Application) reconvene() {
	a.mu.Lock()
	defer a.mu.Unlock()
	shares := a.share != nil
	a.followSharing()
	if shares || a.share != nil {
		a.update(a.d.options.Now())
	}
}

// sharing is what is known of its slots.
func (a *Application) sharing() (s Sharing) {
	if a.share == nil {
		return s
	}
	account := a.share.account
	s = Sharing{Shared: true, Lends: account.Lending() && a.share.seated, Lent: account.AllLent(), Expired: account.Expired()}
	if m, known := account.Lender(); known {
		s.Lender = m.Name
	}
	return s
}
