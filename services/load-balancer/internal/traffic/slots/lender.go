package slots

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Lent is how many slots of a pod others have, and those at rest.
func (a *Account) Lent(pod string) int {
	n := a.lent[pod]
	for _, c := range a.cut {
		if c.pod == pod {
			n++
		}
	}
	return n
}

// AllLent is how many that are on all pods.
func (a *Account) AllLent() (n int) {
	for _, k := range a.lent {
		n += k
	}
	return n
}

// Expired is how many slots have come to rest here, all in all.
func (a *Account) Expired() int { return a.expired }

// Waiter is a ticket of another load balancer.
type Waiter struct {
	Holder ID
	Ticket
	Avoid []string // pods that its holder cannot use
}

// Queue goes through the tickets of the others in the order in which their requests arrived.
type Queue struct {
	account *Account
	passed  map[ID]int
}

// Queue begins with the oldest ticket; nil when nobody waits, or this one does not lend.
func (a *Account) Queue() *Queue {
	if a.phase == Lending {
		for _, h := range a.holders {
			if len(h.waiting) > 0 {
				return &Queue{account: a, passed: map[ID]int{}}
			}
		}
	}
	return nil
}

// Peek is the next ticket.
func (q *Queue) Peek() (w Waiter, ok bool) {
	if q == nil {
		return w, false
	}
	for id, h := range q.account.holders {
		at := q.passed[id]
		if at >= len(h.waiting) {
			continue
		}
		t := h.waiting[at]
		if !ok || t.Arrived.Before(w.Arrived) || t.Arrived.Equal(w.Arrived) && id.Compare(w.Holder) < 0 {
			w, ok = Waiter{Holder: id, Ticket: t, Avoid: h.avoid}, true
		}
	}
	return w, ok
}

// Pass passes a ticket over: those behind it may have what it cannot use.
func (q *Queue) Pass(w Waiter) { q.passed[w.Holder]++ }

// Grant gives a ticket a slot of a pod.
func (a *Account) Grant(w Waiter, pod string) {
	h := a.holders[w.Holder]
	h.waiting = slices.DeleteFunc(h.waiting, func(t Ticket) bool { return t.ID == w.ID })
	h.granted++
	h.grants = append(h.grants, Grant{Number: h.granted, Ticket: w.ID, Pod: pod})
	a.lend(h, w.ID, pod)
	a.due[w.Holder] = true
}

func (a *Account) lend(h *holder, ticket uint64, pod string) {
	h.held[ticket] = pod
	a.add(pod, 1)
}

func (a *Account) free(h *holder, ticket uint64) {
	if pod, ok := h.held[ticket]; ok {
		delete(h.held, ticket)
		a.add(pod, -1)
	}
}

func (a *Account) add(pod string, n int) {
	a.moved[pod] = true
	if a.lent[pod] += n; a.lent[pod] <= 0 {
		delete(a.lent, pod)
	}
}

// TakeMoved calls each for the pods of which Lent has changed since.
func (a *Account) TakeMoved(each func(pod string, lent int)) {
	for pod := range a.moved {
		each(pod, a.Lent(pod))
	}
	clear(a.moved)
}

// Rest keeps n slots of a pod from being used until then.
func (a *Account) Rest(pod string, n int, until time.Time) {
	for range n {
		a.resting = append(a.resting, Rest{pod, until})
		a.add(pod, 1)
		a.expired++
	}
}

// Wake frees the slots whose rest has ended; it returns when the next one's ends, zero is never.
func (a *Account) Wake(now time.Time) (next time.Time) {
	if len(a.resting)+len(a.cut) == 0 {
		return next
	}
	over := func(until time.Time) bool {
		if !now.Before(until) {
			return true
		}
		if next.IsZero() || until.Before(next) {
			next = until
		}
		return false
	}
	a.resting = slices.DeleteFunc(a.resting, func(r Rest) bool {
		if !over(r.Until) {
			return false
		}
		a.add(r.Pod, -1)
		return true
	})
	a.cut = slices.DeleteFunc(a.cut, func(c cut) bool {
		if !over(c.until) {
			return false
		}
		a.Done(c.ticket)
		a.moved[c.pod] = true
		return true
	})
	return next
}

// rest has the slots rest of a holder that has gone.
func (a *Account) rest(h *holder, until time.Time) {
	for ticket, pod := range h.held {
		a.free(h, ticket)
		a.Rest(pod, 1, until)
	}
}

// stepDown ends the lending, and keeps what was lent for the next lender.
func (a *Account) stepDown() {
	if a.phase == Lending {
		l := &Ledger{Ballot: a.mine, Resting: slices.Clone(a.resting)}
		for _, h := range a.holders {
			g := Holding{Member: h.Member}
			for ticket, pod := range h.held {
				g.Slots = append(g.Slots, Slot{ticket, pod})
			}
			slices.SortFunc(g.Slots, func(x, y Slot) int { return cmp.Compare(x.Ticket, y.Ticket) })
			l.Holders = append(l.Holders, g)
		}
		slices.SortFunc(l.Holders, func(x, y Holding) int { return x.Member.ID.Compare(y.Member.ID) })
		a.ledger = l
	}
	clear(a.holders)
	for pod := range a.lent {
		a.moved[pod] = true
	}
	clear(a.lent)
	a.resting = nil
}

func (a *Account) lenderPart(h *holder) *LenderPart {
	l := &LenderPart{Ballot: a.mine, Phase: a.phase}
	switch {
	case h == nil:
	case h.again:
		l.Session, l.Again = h.about, true
	default:
		l.Session, l.Taken, l.Grants = h.session, h.taken, slices.Clone(h.grants)
	}
	return l
}

// hearHolder takes the part of a holder.
func (a *Account) hearHolder(from Member, p *HolderPart, r *Received) {
	if p.Highest.Number > 0 {
		r.Learned = append(r.Learned, p.Owner)
		if a.highest.Less(p.Highest) {
			a.highest = p.Highest
		}
		if a.promised.Less(p.Highest) {
			a.doubt(p.Highest, p.Owner)
		}
	}
	if p.Ballot != a.mine {
		return
	}
	if _, in := a.members[from.ID]; !in {
		return
	}
	h := a.holders[from.ID]
	if h == nil {
		h = &holder{Member: from, held: map[uint64]string{}}
		a.holders[from.ID] = h
	}
	switch {
	case p.Refused:
		a.refused(h, p.Highest)
	case p.Session == 0: // an answer to the sounding
		h.sounded = h.sounded || a.sounding
	case a.phase >= Gathering:
		a.take(h, p, r)
	}
}

// refused begins anew with a higher ballot: somebody has promised another one.
func (a *Account) refused(h *holder, highest Ballot) {
	if a.first && !a.sounding && a.phase != Following && a.mine.Less(highest) {
		h.promised = false
		a.sound()
	}
}

// sound begins to look whether everybody is there.
func (a *Account) sound() {
	a.sounding = true
	if a.phase == Gathering {
		a.phase = Following
	}
	for _, h := range a.holders {
		h.sounded = false
	}
	for id := range a.members {
		a.due[id] = true
	}
}

// take takes a holder's operations.
func (a *Account) take(h *holder, p *HolderPart, r *Received) {
	if p.Session < h.session {
		return
	}
	h.avoid, h.ack = p.Avoid, true
	a.due[h.ID] = true
	for _, op := range p.Ops {
		switch {
		case op.Snapshot != nil && p.Session > h.session:
			h.session, h.again = p.Session, false
			a.open(h, op.Snapshot, r)
		case p.Session > h.session || !h.promised || op.Number > h.taken+1:
			h.again, h.about = true, p.Session
			return
		case op.Number <= h.taken:
			continue
		case op.Ask != nil:
			h.ask(*op.Ask)
		case op.Done > 0:
			a.free(h, op.Done)
			h.waiting = slices.DeleteFunc(h.waiting, func(t Ticket) bool { return t.ID == op.Done })
		}
		h.taken = op.Number
	}
	if p.Session == h.session {
		h.grants = slices.DeleteFunc(h.grants, func(g Grant) bool { return g.Number <= p.Confirmed })
	}
}

// open begins a session: what the holder says is what it has.
func (a *Account) open(h *holder, s *Snapshot, r *Received) {
	for ticket := range h.held {
		a.free(h, ticket)
	}
	r.Longest = max(r.Longest, s.Longest)
	h.grants, h.granted, h.waiting, h.top = nil, 0, nil, 0
	for _, slot := range s.Held {
		a.lend(h, slot.Ticket, slot.Pod)
	}
	for _, t := range s.Waiting {
		h.ask(t)
	}
	h.top = max(h.top, s.Top)
	if !h.promised {
		h.promised, h.snapshot = true, *s
		r.Learned = append(r.Learned, s.Owners...)
		if s.Ledger != nil {
			for _, g := range s.Ledger.Holders {
				r.Learned = append(r.Learned, g.Member)
			}
		}
	}
}

func (h *holder) ask(t Ticket) {
	if t.ID <= h.top {
		return
	}
	h.top = t.ID
	at := len(h.waiting)
	for at > 0 && t.Arrived.Before(h.waiting[at-1].Arrived) {
		at--
	}
	h.waiting = slices.Insert(h.waiting, at, t)
}

// Proceed goes on when everybody has answered. It returns how the lending began, when it did.
func (a *Account) Proceed(grace time.Duration, now time.Time) *Began {
	if a.sounding && a.all(func(h *holder) bool { return h.sounded }) {
		a.gather()
	}
	if a.phase == Gathering && a.all(func(h *holder) bool { return h.promised }) {
		return a.begin(grace, now)
	}
	return nil
}

func (a *Account) all(has func(h *holder) bool) bool {
	for id := range a.members {
		if h := a.holders[id]; h == nil || !has(h) {
			return false
		}
	}
	return true
}

// gather asks everybody to promise a ballot that is higher than all that were heard of.
func (a *Account) gather() {
	a.stepDown()
	a.sounding, a.phase, a.left = false, Gathering, nil
	a.mine = Ballot{Number: max(a.highest.Number, a.promised.Number) + 1, Owner: a.self.ID}
	a.promised, a.owner = a.mine, a.self
	a.doubt(a.mine, a.self)
	a.openSession()
	for id := range a.members {
		a.due[id] = true
	}
}

// begin begins to lend: everybody has promised, and said what it has.
func (a *Account) begin(grace time.Duration, now time.Time) *Began {
	last, doubts, unclear := a.ledger, slices.Clone(a.doubts), a.unclear
	snapshots := a.left
	for _, h := range a.holders {
		snapshots = append(snapshots, h.snapshot)
	}
	for _, s := range snapshots {
		if s.Ledger != nil && (last == nil || last.Ballot.Less(s.Ledger.Ballot)) {
			last = s.Ledger
		}
		doubts, unclear = append(doubts, s.Doubts...), unclear || s.Unclear
	}
	began := &Began{Unknown: unclear}
	for _, d := range doubts {
		_, there := a.members[d.Owner]
		if d != a.mine && (last == nil || last.Ballot.Less(d)) && !there && d.Owner != a.self.ID {
			began.Unknown = true // its owner may have lent, and cannot say what
		}
	}
	if last != nil {
		a.inherit(last, now.Add(grace))
	}
	a.phase, a.ledger, a.left = Lending, nil, nil
	clear(a.waiting) // whoever waits here is served here
	a.doubts, a.unclear, a.based = []Ballot{a.mine}, false, true
	maps.DeleteFunc(a.owners, func(id ID, _ Member) bool { return id != a.self.ID })
	for id, h := range a.holders {
		h.snapshot = Snapshot{}
		a.due[id] = true
	}
	return began
}

// inherit takes over what the lender before knew of those who cannot speak for themselves.
func (a *Account) inherit(l *Ledger, until time.Time) {
	for _, r := range l.Resting {
		a.resting = append(a.resting, r)
		a.add(r.Pod, 1)
	}
	for _, g := range l.Holders {
		if _, speaks := a.members[g.Member.ID]; speaks || g.Member.ID == a.self.ID {
			continue
		}
		for _, s := range g.Slots {
			a.Rest(s.Pod, 1, until)
		}
	}
}
