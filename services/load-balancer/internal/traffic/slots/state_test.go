package slots

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"
)

// Copies and keys of the model's states, by hand: there are many.

func (w *world) clone() *world {
	c := *w
	c.Nodes = slices.Clone(w.Nodes)
	for i := range c.Nodes {
		n := &c.Nodes[i]
		n.Queue, n.Flying = slices.Clone(n.Queue), maps.Clone(n.Flying)
		if n.Council != nil {
			n.Council, n.Account = n.Council.clone(), n.Account.clone()
		}
	}
	c.Views, c.Net, c.Flights = slices.Clone(w.Views), slices.Clone(w.Net), slices.Clone(w.Flights)
	return &c
}

func (c *Council) clone() *Council {
	o := *c
	o.departed = slices.Clone(c.departed)
	o.peers = make(map[ID]*peer, len(c.peers))
	for id, p := range c.peers {
		one := *p
		o.peers[id] = &one
	}
	return &o
}

func (a *Account) clone() *Account {
	o := *a
	o.members, o.due, o.owners = maps.Clone(a.members), maps.Clone(a.due), maps.Clone(a.owners)
	o.held, o.waiting, o.lent, o.moved = maps.Clone(a.held), maps.Clone(a.waiting), maps.Clone(a.lent), maps.Clone(a.moved)
	o.doubts, o.ops, o.avoid = slices.Clone(a.doubts), slices.Clone(a.ops), slices.Clone(a.avoid)
	o.left, o.resting, o.cut = slices.Clone(a.left), slices.Clone(a.resting), slices.Clone(a.cut)
	o.holders = make(map[ID]*holder, len(a.holders))
	for id, h := range a.holders {
		one := *h
		one.grants, one.held, one.waiting = slices.Clone(h.grants), maps.Clone(h.held), slices.Clone(h.waiting)
		o.holders[id] = &one
	}
	return &o
}

var seed = maphash.MakeSeed()

// key is the same for two worlds that are the same.
func (w *world) key() uint64 {
	k := make(keyer, 0, 2048)
	for i := range w.Nodes {
		w.Nodes[i].key(&k)
	}
	k.n(len(w.Views))
	for _, m := range w.Views[len(w.Views)-1].Members {
		k.id(m.ID)
	}
	parts := make([]string, 0, len(w.Net)+len(w.Flights))
	for _, p := range w.Net {
		one := make(keyer, 0, 256)
		one.n(p.From, p.To, int(p.Life))
		one.flag(p.Final)
		one.member(p.Sender)
		one.message(p.M)
		parts = append(parts, string(one))
	}
	for _, f := range w.Flights {
		one := make(keyer, 0, 32)
		one.n(f.Node, int(f.Ticket))
		one.s(f.Pod)
		parts = append(parts, string(one))
	}
	slices.Sort(parts)
	for _, p := range parts {
		k.s(p)
	}
	k.n(w.Arrivals, w.Crashes, w.Starts, w.Lapses, w.Copies, w.Losses)
	return maphash.Bytes(seed, k)
}

// keyer is a key that is being made.
type keyer []byte

func (k *keyer) n(list ...int) {
	for _, n := range list {
		*k = binary.AppendVarint(*k, int64(n))
	}
}

func (k *keyer) s(s string) {
	k.n(len(s))
	*k = append(*k, s...)
}

func (k *keyer) flag(list ...bool) {
	for _, b := range list {
		if b {
			k.n(1)
		} else {
			k.n(0)
		}
	}
}

func (k *keyer) id(id ID) {
	k.s(id.Name)
	k.n(int(id.Started))
}

func (k *keyer) member(m Member) {
	k.id(m.ID)
	k.s(m.Version)
}

func (k *keyer) ballot(b Ballot) {
	k.n(int(b.Number))
	k.id(b.Owner)
}

func sorted[V any](m map[ID]V, each func(id ID, v V)) {
	for _, id := range slices.SortedFunc(maps.Keys(m), ID.Compare) {
		each(id, m[id])
	}
}

func (k *keyer) tickets(m map[uint64]string) {
	k.n(len(m))
	for _, t := range slices.Sorted(maps.Keys(m)) {
		k.n(int(t))
		k.s(m[t])
	}
}

func (n *node) key(k *keyer) {
	k.flag(n.Up, n.Seated)
	k.n(int(n.Life), n.Seen, len(n.Queue))
	for _, t := range n.Queue {
		k.n(int(t))
	}
	k.tickets(n.Flying)
	if !n.Up {
		return
	}
	n.Council.key(k)
	n.Account.key(k)
}

func (c *Council) key(k *keyer) {
	k.member(c.self)
	k.flag(c.outdated, c.receipt.IsZero())
	k.n(len(c.peers), len(c.departed))
	sorted(c.peers, func(_ ID, p *peer) { k.member(p.Member) })
	for _, id := range c.departed {
		k.id(id)
	}
}

func (a *Account) key(k *keyer) {
	k.n(len(a.members), len(a.holders), int(a.session), int(a.number), int(a.got), int(a.ticket), int(a.phase), len(a.resting), len(a.doubts), len(a.left), len(a.lent))
	k.flag(a.unclear, a.based, a.confirm, a.sounding, a.first)
	sorted(a.members, func(_ ID, m Member) { k.member(m) })
	k.ballot(a.promised)
	k.ballot(a.mine)
	k.ballot(a.highest)
	for _, d := range a.doubts {
		k.ballot(d)
	}
	for _, c := range a.cut {
		k.n(int(c.ticket))
	}
	k.n(-1)
	k.ops(a.ops)
	k.tickets(a.held)
	for _, t := range slices.Sorted(maps.Keys(a.waiting)) {
		k.n(int(t))
	}
	k.ledger(a.ledger)
	for _, s := range a.left {
		k.snapshot(&s)
	}
	for _, p := range slices.Sorted(maps.Keys(a.lent)) {
		k.s(p)
		k.n(a.lent[p])
	}
	sorted(a.holders, func(_ ID, h *holder) { h.key(k) })
}

func (h *holder) key(k *keyer) {
	k.member(h.Member)
	k.flag(h.sounded, h.promised, h.again, h.ack, h.told)
	k.n(int(h.session), int(h.taken), int(h.about), int(h.granted), int(h.top), len(h.grants))
	k.grants(h.grants)
	k.tickets(h.held)
	for _, t := range h.waiting {
		k.n(int(t.ID))
	}
	k.snapshot(&h.snapshot)
}

func (k *keyer) grants(list []Grant) {
	k.n(len(list))
	for _, g := range list {
		k.n(int(g.Number), int(g.Ticket))
		k.s(g.Pod)
	}
}

func (k *keyer) ops(list []Op) {
	k.n(len(list))
	for _, op := range list {
		k.n(int(op.Number), int(op.Done))
		if op.Ask != nil {
			k.n(int(op.Ask.ID))
		}
		if op.Snapshot != nil {
			k.snapshot(op.Snapshot)
		}
	}
}

func (k *keyer) snapshot(s *Snapshot) {
	k.n(len(s.Held), len(s.Waiting), int(s.Top), len(s.Doubts))
	k.flag(s.Unclear)
	for _, h := range s.Held {
		k.n(int(h.Ticket))
		k.s(h.Pod)
	}
	for _, t := range s.Waiting {
		k.n(int(t.ID))
	}
	for _, d := range s.Doubts {
		k.ballot(d)
	}
	k.ledger(s.Ledger)
}

func (k *keyer) ledger(l *Ledger) {
	if l == nil {
		k.n(0)
		return
	}
	k.n(1+len(l.Holders), len(l.Resting))
	k.ballot(l.Ballot)
	for _, g := range l.Holders {
		k.id(g.Member.ID)
		for _, s := range g.Slots {
			k.n(int(s.Ticket))
			k.s(s.Pod)
		}
	}
	rests := slices.Clone(l.Resting)
	slices.SortFunc(rests, func(a, b Rest) int { return cmp.Compare(a.Pod, b.Pod) })
	for _, r := range rests {
		k.s(r.Pod)
	}
}

func (k *keyer) message(m Message) {
	if l := m.Lender; l != nil {
		k.ballot(l.Ballot)
		k.n(1, int(l.Phase), int(l.Session), int(l.Taken))
		k.flag(l.Again)
		k.grants(l.Grants)
	}
	if h := m.Holder; h != nil {
		k.ballot(h.Ballot)
		k.ballot(h.Highest)
		k.n(2, int(h.Session), int(h.Confirmed))
		k.flag(h.Refused)
		k.ops(h.Ops)
	}
}
