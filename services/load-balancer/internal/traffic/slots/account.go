package slots

import (
	"maps"
	"slices"
	"time"
)

// The bounds of an account.
const (
	maxOps    = 4096 // not taken by the lender; beyond it a new session says everything at once
	maxDoubts = 8
)

// Account is one application's slots as one load balancer keeps them: those that it holds, and, when it
// lends, those of all others. It has no lock of its own, and does nothing by itself: Receive takes a
// message, Due says what must be said to whom.
type Account struct {
	self    Member
	members map[ID]Member // all others that take part
	due     map[ID]bool   // to whom something must be said

	// As a holder.
	promised Ballot
	owner    Member // of that
	doubts   []Ballot
	owners   map[ID]Member // of the doubts
	unclear  bool
	based    bool // somebody is known to have lent: since then nobody else can have without a promise from here
	session  uint64
	ops      []Op
	number   uint64 // of the last operation
	got      uint64 // the number of the last grant
	confirm  bool   // the lender does not know of it
	ticket   uint64 // the last one
	held     map[uint64]string
	waiting  map[uint64]Ticket
	avoid    []string
	cut      []cut
	longest  time.Duration
	ledger   *Ledger // of the time when this one lent, until another one does

	// As a lender.
	phase    Phase // Following, Gathering or Lending
	sounding bool
	first    bool // it shall lend
	mine     Ballot
	highest  Ballot // that was heard of
	holders  map[ID]*holder
	left     []Snapshot      // of holders that promised and went before all had
	lent     map[string]int  // by pod, to others, and at rest
	moved    map[string]bool // pods of which that has changed
	resting  []Rest
	expired  int // slots that have come to rest, all in all
}

// holder is another load balancer, as the lender sees it.
type holder struct {
	Member
	sounded  bool
	promised bool
	session  uint64
	taken    uint64
	again    bool   // an operation is missing
	about    uint64 // of this session
	ack      bool   // it does not know what was taken
	granted  uint64
	grants   []Grant // not confirmed
	held     map[uint64]string
	waiting  []Ticket // by arrival
	top      uint64
	avoid    []string
	snapshot Snapshot // its promise's
	told     bool     // that this one lends
}

// cut is a slot whose request was cut off here.
type cut struct {
	ticket uint64
	pod    string
	until  time.Time
}

// NewAccount makes the account of an application whose slots nobody has lent yet.
func NewAccount(self Member) *Account {
	return &Account{
		self: self, members: map[ID]Member{}, due: map[ID]bool{}, owners: map[ID]Member{},
		held: map[uint64]string{}, waiting: map[uint64]Ticket{}, holders: map[ID]*holder{}, lent: map[string]int{}, moved: map[string]bool{},
	}
}

// Lending tells whether this one lends.
func (a *Account) Lending() bool { return a.phase == Lending }

// Lender is who lends, as far as is known here; false when nobody is known.
func (a *Account) Lender() (Member, bool) {
	if a.promised.Number == 0 {
		return Member{}, false
	}
	if a.promised.Owner == a.self.ID {
		return a.self, a.phase == Lending
	}
	_, there := a.members[a.promised.Owner]
	return a.owner, there
}

// Member is one of the others that take part.
func (a *Account) Member(id ID) (Member, bool) {
	m, in := a.members[id]
	return m, in
}

// Assemble says who takes part now, and whether this one shall lend. grace is how long a slot rests
// whose holder has gone.
func (a *Account) Assemble(others []Member, first bool, grace time.Duration, now time.Time) (began *Began) {
	a.first = first
	before := a.members
	a.members = make(map[ID]Member, len(others))
	for _, m := range others {
		a.members[m.ID] = m
		if h := a.holders[m.ID]; h != nil {
			h.Member = m
		}
	}
	if !a.based {
		for id := range before {
			if _, in := a.members[id]; !in {
				a.unclear = true // it may have lent, and this one never heard of it
			}
		}
	}
	for id, h := range a.holders {
		if _, in := a.members[id]; !in {
			a.rest(h, now.Add(grace))
			delete(a.holders, id)
			if a.phase == Gathering && h.promised {
				a.left = append(a.left, h.snapshot)
			}
		}
	}
	maps.DeleteFunc(a.due, func(id ID, _ bool) bool { _, in := a.members[id]; return !in })
	switch {
	case !first:
		a.sounding = false
		if a.phase == Gathering {
			a.phase = Following
		}
	case a.phase == Following && !a.sounding:
		a.mine = Ballot{Number: a.promised.Number, Owner: a.self.ID}
		a.sound()
	}
	return a.Proceed(grace, now)
}

// Longest says how long the longest answer took lately, for those who will have to know how long a slot
// has to rest.
func (a *Account) Longest(took time.Duration) { a.longest = took }

// Step is called from time to time: what was said and not answered is said again.
func (a *Account) Step() {
	for id := range a.members {
		if !a.message(id).Empty() {
			a.due[id] = true
		}
	}
}

// Lapse is that this one may not act any more: it does not lend, and takes no slot that was granted.
func (a *Account) Lapse() {
	a.sounding, a.based = false, false
	a.stepDown()
	a.phase = Following
	a.openSession()
}

// TakeDue is to whom something must be said, and counts it as said.
func (a *Account) TakeDue() []ID {
	if len(a.due) == 0 {
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(a.due), ID.Compare)
	clear(a.due)
	return ids
}

// Renew is that this one may act again: what was granted before does not count.
func (a *Account) Renew() { a.openSession() }

// Due is what there is to say to a member.
func (a *Account) Due(to ID) Message {
	m := a.message(to)
	if h := a.holders[to]; h != nil && m.Lender != nil {
		h.ack, h.told = false, h.told || m.Lender.Phase == Lending
	}
	if m.Holder != nil {
		a.confirm = false
	}
	return m
}

func (a *Account) message(to ID) (m Message) {
	h := a.holders[to]
	switch {
	case a.sounding && (h == nil || !h.sounded):
		m.Lender = &LenderPart{Ballot: a.mine, Phase: Sounding}
	case a.phase == Gathering && (h == nil || !h.promised || h.ack):
		m.Lender = a.lenderPart(h)
	case a.phase == Lending && (h == nil || !h.promised || !h.told || h.ack || h.again || len(h.grants) > 0):
		m.Lender = a.lenderPart(h)
	}
	if to == a.promised.Owner && to != a.self.ID && (len(a.ops) > 0 || a.confirm) {
		m.Holder = a.holderPart()
	}
	return m
}

// Receive takes a message; with seated false this one may not take what is granted. What there is to
// answer is due then, but for Reply. After it Assemble or Proceed must be called: with Assemble when
// one of Learned was not known to take part.
func (a *Account) Receive(from Member, m Message, seated bool) (r Received) {
	if m.Lender != nil && m.Lender.Ballot.Owner == from.ID {
		r.Reply = a.hearLender(from, m.Lender, seated, &r)
	}
	if m.Holder != nil {
		a.hearHolder(from, m.Holder, &r)
	}
	return r
}

// Received is what came of a message.
type Received struct {
	Reply   *HolderPart   // that is due beside what Due says
	Granted []Slot        // that this one has now
	Learned []Member      // of which another one knows
	Longest time.Duration // that an answer took lately at another one; 0 is not known
}

// Began is how the lending began.
type Began struct {
	// Unknown: nobody could say what was lent before. Every slot that is not known to be in use must rest.
	Unknown bool
}
