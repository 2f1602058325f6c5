package slots

import "time"

// Ballot orders the attempts to lend an application's slots. Whoever has promised one takes no slot of
// a lower one any more.
type Ballot struct {
	Number uint64
	Owner  ID
}

// Less orders ballots.
func (b Ballot) Less(o Ballot) bool {
	if b.Number != o.Number {
		return b.Number < o.Number
	}
	return b.Owner.Compare(o.Owner) < 0
}

// Phase is how far a lender is.
type Phase int

// The phases.
const (
	Following Phase = iota // another one lends, or nobody does
	Sounding               // it looks whether everybody is there before it asks anybody to promise
	Gathering              // it asks everybody to promise, and what they have in flight
	Lending
)

// Message is what two load balancers say to each other about one application. Either part may be
// missing.
type Message struct {
	Lender *LenderPart // by who owns the ballot
	Holder *HolderPart // to who owns the ballot
}

// Empty tells whether it says nothing.
func (m Message) Empty() bool { return m.Lender == nil && m.Holder == nil }

// LenderPart is what who lends, or wants to, says to one holder.
type LenderPart struct {
	Ballot  Ballot
	Phase   Phase
	Session uint64  // of the holder, that the rest is about
	Taken   uint64  // the number of the holder's last operation that was taken
	Grants  []Grant // that the holder has not confirmed
	Again   bool    // an operation is missing: a new session is needed
}

// Grant is a slot on a pod for a ticket.
type Grant struct {
	Number uint64
	Ticket uint64
	Pod    string
}

// HolderPart is what a holder says to who lends, or wants to.
type HolderPart struct {
	Ballot    Ballot // that this is an answer to
	Refused   bool   // Highest forbids it
	Highest   Ballot // that was promised
	Owner     Member // of Highest
	Session   uint64
	Ops       []Op   // that were not taken yet
	Confirmed uint64 // the number of the last grant that came
	Avoid     []string
}

// Op is one operation of a holder. Exactly one of Ask, Done and Snapshot is set.
type Op struct {
	Number   uint64
	Ask      *Ticket
	Done     uint64 // a ticket that is wanted no more, or whose slot is free again
	Snapshot *Snapshot
}

// Ticket is a request that waits for a slot.
type Ticket struct {
	ID      uint64
	Arrived time.Time // by the clock of whoever holds it; ages travel, not times
	Key     uint64    // what the choice of a pod may go by, as the policies have it
	Pin     uint64
}

// Slot is one slot in use.
type Slot struct {
	Ticket uint64
	Pod    string
}

// Snapshot is all that a holder has. It begins a session.
type Snapshot struct {
	Held    []Slot
	Waiting []Ticket
	Top     uint64        // the last ticket
	Doubts  []Ballot      // that were promised since one was last known to lend
	Owners  []Member      // of these
	Unclear bool          // there were more of them
	Ledger  *Ledger       // of who lent before
	Longest time.Duration // that an answer took lately; 0 is not known
}

// Ledger is what a lender leaves to the next one.
type Ledger struct {
	Ballot  Ballot
	Holders []Holding
	Resting []Rest
}

// Holding is what one holder had.
type Holding struct {
	Member Member
	Slots  []Slot
}

// Rest is a slot that nobody may use for a while: whoever held it has gone, and the pod may still work.
type Rest struct {
	Pod   string
	Until time.Time // by the clock of whoever holds it; what is left travels
}
