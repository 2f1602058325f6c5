package slots

import (
	"slices"
	"time"
)

// Terms are the times that the argument for safety rests on; see the package comment.
type Terms struct {
	Receipt time.Duration // how long a report that the controller took gives standing, from when it was sent
	Ask     time.Duration // after so long without a receipt the other members are asked to vouch
	Vouch   time.Duration // how long another member's word gives standing, from when it was asked for
	Word    time.Duration // how long who gave its word keeps to it, from when it gave it; longer than Vouch
	Forget  time.Duration // after so long without a sign a member that no view names is gone
}

// What a load balancer may ask the controller for: to be forgotten only after so long a silence. It is told
// in the reports, so both count on the same. None may ask for more than others keep one in mind (Terms.Forget).
const (
	LeastForget = 15 * time.Second
	MostForget  = 60 * time.Second
)

// TermsFor hold with clocks that differ in rate by up to a quarter, where the controller forgets this load
// balancer after that long a silence.
func TermsFor(forget time.Duration) Terms {
	return Terms{Receipt: forget / 4 * 3, Ask: 10 * time.Second, Vouch: 2 * time.Second, Word: 4 * time.Second, Forget: MostForget}
}

// DefaultTerms are those of one that asks for nothing.
func DefaultTerms() Terms { return TermsFor(MostForget) }

// maxDeparted bounds how many that have gone are remembered.
const maxDeparted = 1024

// peer is what is known of another member.
type peer struct {
	Member
	at      time.Time // the last sign of it
	given   time.Time // when it was given our word
	vouched time.Time // when the question was sent that it gave its word to
	ended   bool      // it has said so
}

// Council is who takes part, as one load balancer knows it, and whether it may act itself. It has no
// lock of its own.
type Council struct {
	self     Member
	terms    Terms
	view     View
	known    bool // there is a view
	receipt  time.Time
	peers    map[ID]*peer
	departed []ID
	lapsed   time.Time // when standing was last found to be lost; zero: never
	outdated bool      // the view is older than that
	changes  uint64
}

// NewCouncil makes the council of one that knows nobody yet.
func NewCouncil(self Member, terms Terms) *Council {
	return &Council{self: self, terms: terms, peers: map[ID]*peer{}}
}

// Self is who asks, with the routes in which it last saw itself.
func (c *Council) Self() Member { return c.self }

// Known tells whether the controller has said who is there.
func (c *Council) Known() bool { return c.known }

// Changes grows whenever who takes part may have changed.
func (c *Council) Changes() uint64 { return c.changes }

// Receipt notes that the controller took a report that was sent then.
func (c *Council) Receipt(sent, now time.Time) {
	c.lapse(now)
	if sent.After(c.receipt) {
		c.receipt = sent
	}
}

// Follow takes a view, of an answer that was asked for then.
func (c *Council) Follow(v View, asked, now time.Time) {
	c.lapse(now)
	for _, m := range c.view.Members { // who was there a moment ago shall not go before it is certain
		if _, stays := v.find(m.ID); !stays && m.ID != c.self.ID && m.Address != "" {
			p := c.peer(m)
			p.Version, p.at = c.view.Version, now
		}
	}
	c.view, c.known = v, true
	if c.named() {
		c.self.Version = v.Version
		c.outdated = c.outdated && !asked.After(c.lapsed)
	}
	c.changes++
}

// Advance notes that the routes have another version, and that who is there has not changed.
func (c *Council) Advance(version string) {
	c.view.Version = version
	if c.named() {
		c.self.Version = version
	}
	c.changes++
}

// Unknown is what an old controller leaves: nobody says who is there.
func (c *Council) Unknown() {
	if c.known {
		c.view, c.known = View{}, false
		c.changes++
	}
}

// Heard notes a sign of life of a member: it has sent a message.
func (c *Council) Heard(m Member, now time.Time) {
	if m.ID == c.self.ID || m.Address == "" {
		return
	}
	c.departed = slices.DeleteFunc(c.departed, func(id ID) bool { return id == m.ID })
	c.note(m, now)
}

// Hearsay notes that there is or was a member of which another one knows.
func (c *Council) Hearsay(m Member, now time.Time) {
	if m.ID == c.self.ID || m.Address == "" || slices.Contains(c.departed, m.ID) || c.peers[m.ID] != nil {
		return
	}
	c.note(m, now)
}

func (c *Council) note(m Member, now time.Time) {
	p := c.peer(m)
	if p.Leaving != m.Leaving {
		c.changes++
	}
	p.Member, p.at = m, now
}

func (c *Council) peer(m Member) *peer {
	p := c.peers[m.ID]
	if p == nil {
		p = &peer{Member: m}
		c.peers[m.ID] = p
		c.changes++
	}
	return p
}

// Ended notes that a member has said that it will never act again.
func (c *Council) Ended(m Member) {
	if m.ID != c.self.ID && m.Address != "" {
		c.peer(m).ended = true
		c.changes++
	}
}

// Leave says that this one drains: it shall lend no more once another one can.
func (c *Council) Leave() {
	c.self.Leaving = true
	c.changes++
}

// GiveWord vouches for a member: for as long as our word holds it takes part, whatever a view says.
func (c *Council) GiveWord(m Member, now time.Time) {
	if m.ID != c.self.ID && m.Address != "" {
		c.peer(m).given = now
	}
}

// Word notes that a member vouches for us, in answer to a question that was sent then.
func (c *Council) Word(m Member, sent, now time.Time) {
	c.lapse(now)
	if m.ID == c.self.ID || m.Address == "" {
		return
	}
	if p := c.peer(m); sent.After(p.vouched) {
		p.vouched = sent
	}
}

// AsksForWord tells whether the others must be asked to vouch: the controller has taken no report for
// a while.
func (c *Council) AsksForWord(now time.Time) bool {
	return c.known && elapsed(now, c.receipt) > c.terms.Ask
}

// Stands tells whether no other member can take this one for gone: the controller has taken a report
// not long ago, or every other member has given its word.
func (c *Council) Stands(now time.Time) bool {
	if !c.receipt.IsZero() && elapsed(now, c.receipt) < c.terms.Receipt {
		return true
	}
	for _, m := range c.Others(now) {
		if p := c.peers[m.ID]; p == nil || p.vouched.IsZero() || elapsed(now, p.vouched) >= c.terms.Vouch {
			return false
		}
	}
	return true
}

// Seated tells whether this one may act: it stands, and a view that is not older than its standing
// names it.
func (c *Council) Seated(now time.Time) bool {
	c.lapse(now)
	if !c.known || c.outdated {
		return false
	}
	return c.named() && c.Stands(now)
}

// named tells whether the view names this one, as one that takes part.
func (c *Council) named() bool {
	m, in := c.view.find(c.self.ID)
	return in && m.Address != ""
}

// lapse takes note of standing that was lost, also when nobody looked for a while.
func (c *Council) lapse(now time.Time) {
	if c.known && !c.Stands(now) {
		c.lapsed, c.outdated = now, true
	}
}

// Outdated tells whether a view is wanted that was asked for anew: standing was lost and is back.
func (c *Council) Outdated(now time.Time) bool { return c.outdated && c.Stands(now) }

// Old counts the members that are too old to take part.
func (c *Council) Old() (n int) {
	for _, m := range c.view.Members {
		if m.Address == "" {
			n++
		}
	}
	return n
}

// Others are all other members: those of the view, and those of which it is not certain that they have
// gone. They are ordered.
func (c *Council) Others(now time.Time) []Member {
	var list []Member
	for _, m := range c.view.Members {
		if m.ID != c.self.ID && m.Address != "" && !c.over(m.ID) {
			list = append(list, m)
		}
	}
	for id, p := range c.peers {
		if _, in := c.view.find(id); !in && !c.gone(p, now) {
			list = append(list, p.Member)
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return a.ID.Compare(b.ID) })
	return list
}

// Sweep forgets who has gone. It tells whether anybody has.
func (c *Council) Sweep(now time.Time) bool {
	any := false
	for id, p := range c.peers {
		if _, in := c.view.find(id); !in && c.gone(p, now) {
			delete(c.peers, id)
			c.departed = append(c.departed, id)
			any = true
		}
	}
	if extra := len(c.departed) - maxDeparted; extra > 0 {
		c.departed = slices.Delete(c.departed, 0, extra)
	}
	if any {
		c.changes++
	}
	return any
}

// gone tells whether a member that the view does not name takes part no more: our word for it has
// ended, and it runs anew under its name, or the controller that it knew has taken it out, or there was
// no sign of it for long.
func (c *Council) gone(p *peer, now time.Time) bool {
	if c.over(p.ID) {
		return true
	}
	if !p.given.IsZero() && elapsed(now, p.given) < c.terms.Word {
		return false
	}
	if m, in := c.view.named(p.Name); in && m.Started > p.Started {
		return true
	}
	return follows(c.view.Version, p.Version) || elapsed(now, p.at) >= c.terms.Forget
}

// over tells whether a life has certainly ended: it has said so, or a later life of the same name is
// known.
func (c *Council) over(id ID) bool {
	if p := c.peers[id]; p != nil && p.ended {
		return true
	}
	for other := range c.peers {
		if other.Name == id.Name && other.Started > id.Started {
			return true
		}
	}
	return false
}

// First is the member that shall lend what key names: one that does not leave, while there is one.
func (c *Council) First(key string, now time.Time) ID {
	best, first, stays := rank(key, c.self.Name), c.self.ID, !c.self.Leaving
	for _, m := range c.Others(now) {
		p := c.peers[m.ID]
		r, staying := rank(key, m.Name), p == nil || !p.Leaving
		if staying && !stays || staying == stays && (r > best || r == best && m.ID.Compare(first) > 0) {
			best, first, stays = r, m.ID, staying
		}
	}
	return first
}
