package dispatch

import (
	"time"

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

// receive takes what another load balancer says, and answers it when it shall.
func (a *Application) receive(from slots.Member, m slots.Message, answer bool) slots.Message {
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
