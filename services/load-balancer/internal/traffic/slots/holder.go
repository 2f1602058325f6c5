package slots

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Take notes that this one, which lends, uses a slot itself. It returns the ticket.
func (a *Account) Take(pod string) uint64 {
	a.ticket++
	a.held[a.ticket] = pod
	if a.promised.Owner != a.self.ID && a.promised.Number > 0 {
		a.openSession() // in use already when the account was opened, or lent by nobody
	}
	return a.ticket
}

// Ask asks for a slot for a request. It returns the ticket, whose number is given here.
func (a *Account) Ask(t Ticket) uint64 {
	a.ticket++
	t.ID = a.ticket
	a.waiting[t.ID] = t
	a.do(Op{Ask: &t})
	return t.ID
}

// Asked is how many tickets wait.
func (a *Account) Asked() int { return len(a.waiting) }

// Done gives a ticket back: its slot is free, or no slot is wanted any more.
func (a *Account) Done(ticket uint64) {
	_, held := a.held[ticket]
	_, waits := a.waiting[ticket]
	if !held && !waits {
		return
	}
	delete(a.held, ticket)
	delete(a.waiting, ticket)
	a.do(Op{Done: ticket})
}

// Cut keeps the slot of a request that was cut off from here: the pod may go on with it.
func (a *Account) Cut(ticket uint64, until time.Time) {
	if pod, held := a.held[ticket]; held {
		a.cut = append(a.cut, cut{ticket, pod, until})
		a.moved[pod] = true
	}
}

// Holds is how many slots this one has.
func (a *Account) Holds() int { return len(a.held) }

// Avoid names the pods of which this one wants no slot.
func (a *Account) Avoid(pods []string) {
	if !slices.Equal(a.avoid, pods) {
		a.avoid = slices.Clone(pods)
		if a.follows() && len(a.waiting) > 0 {
			a.confirm = true
			a.due[a.promised.Owner] = true
		}
	}
}

// follows tells whether another one lends, or wants to.
func (a *Account) follows() bool { return a.promised.Number > 0 && a.promised.Owner != a.self.ID }

// do notes an operation for the lender. Before anybody lends the session's snapshot will say it.
func (a *Account) do(op Op) {
	if !a.follows() {
		return
	}
	if len(a.ops) >= maxOps {
		a.openSession()
		return
	}
	a.number++
	op.Number = a.number
	a.ops = append(a.ops, op)
	a.due[a.promised.Owner] = true
}

// openSession begins to speak to the lender anew: what was said and granted before counts no more.
func (a *Account) openSession() {
	a.session++
	a.got, a.confirm, a.ops, a.number = 0, false, nil, 0
	if !a.follows() {
		return
	}
	s := a.snapshot()
	a.number = 1
	a.ops = []Op{{Number: 1, Snapshot: &s}}
	a.due[a.promised.Owner] = true
}

func (a *Account) snapshot() Snapshot {
	s := Snapshot{Top: a.ticket, Doubts: slices.Clone(a.doubts), Unclear: a.unclear, Ledger: a.ledger, Longest: a.longest}
	for ticket, pod := range a.held {
		s.Held = append(s.Held, Slot{ticket, pod})
	}
	for _, t := range a.waiting {
		s.Waiting = append(s.Waiting, t)
	}
	for _, d := range a.doubts {
		if m, ok := a.owners[d.Owner]; ok {
			s.Owners = append(s.Owners, m)
		}
	}
	slices.SortFunc(s.Held, func(x, y Slot) int { return cmp.Compare(x.Ticket, y.Ticket) })
	slices.SortFunc(s.Waiting, func(x, y Ticket) int { return cmp.Compare(x.ID, y.ID) })
	return s
}

func (a *Account) holderPart() *HolderPart {
	return &HolderPart{
		Ballot: a.promised, Session: a.session, Ops: slices.Clone(a.ops), Confirmed: a.got, Avoid: a.avoid,
	}
}

// hearLender takes the part of who lends, or wants to.
func (a *Account) hearLender(from Member, l *LenderPart, seated bool, r *Received) *HolderPart {
	switch {
	case l.Phase == Sounding:
		return &HolderPart{Ballot: l.Ballot, Highest: a.promised, Owner: a.ownerOf()}
	case l.Ballot.Less(a.promised):
		return &HolderPart{Ballot: l.Ballot, Refused: true, Highest: a.promised, Owner: a.ownerOf()}
	case a.promised.Less(l.Ballot):
		a.promise(l.Ballot, from)
	}
	if l.Phase == Lending {
		a.doubts, a.unclear, a.based, a.ledger = []Ballot{l.Ballot}, false, true, nil
		clear(a.owners)
		a.owners[from.ID] = from
	}
	switch {
	case l.Session == a.session:
		a.heed(l, seated, r)
	case l.Session == 0 && (len(a.ops) == 0 || a.ops[0].Snapshot == nil):
		a.openSession() // the lender knows nothing of us
	}
	return nil
}

// heed takes what the lender says of this session.
func (a *Account) heed(l *LenderPart, seated bool, r *Received) {
	if l.Again {
		a.openSession()
		return
	}
	a.ops = slices.DeleteFunc(a.ops, func(op Op) bool { return op.Number <= l.Taken })
	if !seated {
		return
	}
	for _, g := range l.Grants {
		a.confirm = true
		if g.Number <= a.got {
			continue
		}
		a.got = g.Number
		if _, waits := a.waiting[g.Ticket]; waits { // else it was given back, and the lender will hear of it
			delete(a.waiting, g.Ticket)
			a.held[g.Ticket] = g.Pod
			r.Granted = append(r.Granted, Slot{g.Ticket, g.Pod})
		}
	}
}

func (a *Account) ownerOf() Member {
	if a.promised.Owner == a.self.ID {
		return a.self
	}
	return a.owner
}

// promise takes no slot of a lower ballot any more.
func (a *Account) promise(b Ballot, owner Member) {
	a.stepDown()
	a.phase, a.sounding = Following, false
	a.promised, a.owner = b, owner
	a.doubt(b, owner)
	a.openSession()
}

func (a *Account) doubt(b Ballot, owner Member) {
	if slices.Contains(a.doubts, b) {
		return
	}
	a.doubts = append(a.doubts, b)
	a.owners[b.Owner] = owner
	if extra := len(a.doubts) - maxDoubts; extra > 0 {
		a.doubts, a.unclear = slices.Delete(a.doubts, 0, extra), true
		maps.DeleteFunc(a.owners, func(id ID, _ Member) bool {
			return !slices.ContainsFunc(a.doubts, func(d Ballot) bool { return d.Owner == id })
		})
	}
}
