package peers

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/peers"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// Times do not travel, for clocks differ: how long something has waited does, and how long it still
// rests.

func idOut(id slots.ID) peers.BalancerId {
	return peers.BalancerId{Name: id.Name, StartedAt: time.Unix(0, id.Started).UTC()}
}

func idIn(id peers.BalancerId) slots.ID {
	return slots.ID{Name: id.Name, Started: id.StartedAt.UnixNano()}
}

func memberOut(m slots.Member) peers.Balancer {
	id := idOut(m.ID)
	return peers.Balancer{Name: id.Name, StartedAt: id.StartedAt, Address: m.Address, Version: some(m.Version), Leaving: some(m.Leaving)}
}

func memberIn(b peers.Balancer) slots.Member {
	return slots.Member{
		ID: slots.ID{Name: b.Name, Started: b.StartedAt.UnixNano()}, Address: b.Address, Version: value(b.Version), Leaving: value(b.Leaving),
	}
}

func ballotOut(b slots.Ballot) peers.Ballot {
	return peers.Ballot{Number: number(b.Number), Owner: idOut(b.Owner)}
}

func ballotIn(b peers.Ballot) slots.Ballot {
	return slots.Ballot{Number: whole(b.Number), Owner: idIn(b.Owner)}
}

var phases = map[slots.Phase]peers.LenderSlotsPhase{
	slots.Sounding: peers.PhaseSounding, slots.Gathering: peers.PhaseGathering, slots.Lending: peers.PhaseLending,
}

// phaseIn is Sounding, which asks for nothing, for one that is not known.
func phaseIn(p peers.LenderSlotsPhase) slots.Phase {
	for known, name := range phases {
		if name == p {
			return known
		}
	}
	return slots.Sounding
}

func lenderOut(l *slots.LenderPart) *peers.LenderSlots {
	if l == nil {
		return nil
	}
	return &peers.LenderSlots{
		Ballot: ballotOut(l.Ballot), Phase: phases[l.Phase], Session: some(number(l.Session)), Taken: some(number(l.Taken)), Again: some(l.Again),
		Grants: list(l.Grants, func(g slots.Grant) peers.SlotGrant {
			return peers.SlotGrant{Number: number(g.Number), Ticket: number(g.Ticket), Pod: g.Pod}
		}),
	}
}

func lenderIn(l *peers.LenderSlots) *slots.LenderPart {
	if l == nil {
		return nil
	}
	return &slots.LenderPart{
		Ballot: ballotIn(l.Ballot), Phase: phaseIn(l.Phase), Session: whole(value(l.Session)), Taken: whole(value(l.Taken)), Again: value(l.Again),
		Grants: each(value(l.Grants), func(g peers.SlotGrant) slots.Grant {
			return slots.Grant{Number: whole(g.Number), Ticket: whole(g.Ticket), Pod: g.Pod}
		}),
	}
}

func holderOut(h *slots.HolderPart, now time.Time) *peers.HolderSlots {
	if h == nil {
		return nil
	}
	out := &peers.HolderSlots{
		Ballot: ballotOut(h.Ballot), Refused: some(h.Refused), Session: some(number(h.Session)), Confirmed: some(number(h.Confirmed)),
		Avoid:      list(h.Avoid, func(s string) string { return s }),
		Operations: list(h.Ops, func(op slots.Op) peers.SlotOperation { return opOut(op, now) }),
	}
	if h.Highest.Number > 0 {
		highest, owner := ballotOut(h.Highest), memberOut(h.Owner)
		out.Highest, out.Owner = &highest, &owner
	}
	return out
}

func holderIn(h *peers.HolderSlots, now time.Time) *slots.HolderPart {
	if h == nil {
		return nil
	}
	out := &slots.HolderPart{
		Ballot: ballotIn(h.Ballot), Refused: value(h.Refused), Session: whole(value(h.Session)), Confirmed: whole(value(h.Confirmed)),
		Avoid: value(h.Avoid),
		Ops:   each(value(h.Operations), func(op peers.SlotOperation) slots.Op { return opIn(op, now) }),
	}
	if h.Highest != nil && h.Owner != nil {
		out.Highest, out.Owner = ballotIn(*h.Highest), memberIn(*h.Owner)
	}
	return out
}

func opOut(op slots.Op, now time.Time) peers.SlotOperation {
	out := peers.SlotOperation{Number: number(op.Number), Done: some(number(op.Done)), Snapshot: snapshotOut(op.Snapshot, now)}
	if op.Ask != nil {
		t := ticketOut(*op.Ask, now)
		out.Ask = &t
	}
	return out
}

func opIn(op peers.SlotOperation, now time.Time) slots.Op {
	out := slots.Op{Number: whole(op.Number), Done: whole(value(op.Done)), Snapshot: snapshotIn(op.Snapshot, now)}
	if op.Ask != nil {
		t := ticketIn(*op.Ask, now)
		out.Ask = &t
	}
	return out
}

func ticketOut(t slots.Ticket, now time.Time) peers.SlotTicket {
	return peers.SlotTicket{
		Id: number(t.ID), WaitedMs: milliseconds(now.Sub(t.Arrived)),
		Key: some(int64(t.Key)), Pin: some(int64(t.Pin)), //nolint:gosec // hashes: every bit of them travels, whatever its sign
	}
}

func ticketIn(t peers.SlotTicket, now time.Time) slots.Ticket {
	return slots.Ticket{
		ID: whole(t.Id), Arrived: now.Add(-duration(t.WaitedMs)),
		Key: uint64(value(t.Key)), Pin: uint64(value(t.Pin)), //nolint:gosec // hashes, as above
	}
}

func slotOut(s slots.Slot) peers.HeldSlot {
	return peers.HeldSlot{Ticket: number(s.Ticket), Pod: s.Pod}
}

func slotIn(s peers.HeldSlot) slots.Slot {
	return slots.Slot{Ticket: whole(s.Ticket), Pod: s.Pod}
}

func snapshotOut(s *slots.Snapshot, now time.Time) *peers.SlotSnapshot {
	if s == nil {
		return nil
	}
	return &peers.SlotSnapshot{
		Top: number(s.Top), Held: list(s.Held, slotOut),
		Waiting: list(s.Waiting, func(t slots.Ticket) peers.SlotTicket { return ticketOut(t, now) }),
		Doubts:  list(s.Doubts, ballotOut), Owners: list(s.Owners, memberOut), Unclear: some(s.Unclear), Ledger: ledgerOut(s.Ledger, now),
		LongestMs: some(milliseconds(s.Longest)),
	}
}

func snapshotIn(s *peers.SlotSnapshot, now time.Time) *slots.Snapshot {
	if s == nil {
		return nil
	}
	return &slots.Snapshot{
		Top: whole(s.Top), Held: each(value(s.Held), slotIn),
		Waiting: each(value(s.Waiting), func(t peers.SlotTicket) slots.Ticket { return ticketIn(t, now) }),
		Doubts:  each(value(s.Doubts), ballotIn), Owners: each(value(s.Owners), memberIn), Unclear: value(s.Unclear), Ledger: ledgerIn(s.Ledger, now),
		Longest: duration(value(s.LongestMs)),
	}
}

func ledgerOut(l *slots.Ledger, now time.Time) *peers.SlotLedger {
	if l == nil {
		return nil
	}
	return &peers.SlotLedger{
		Ballot: ballotOut(l.Ballot),
		Holders: each(l.Holders, func(h slots.Holding) peers.SlotHolding {
			return peers.SlotHolding{Balancer: memberOut(h.Member), Slots: each(h.Slots, slotOut)}
		}),
		Resting: each(l.Resting, func(r slots.Rest) peers.RestingSlot {
			return peers.RestingSlot{Pod: r.Pod, LeftMs: milliseconds(r.Until.Sub(now))}
		}),
	}
}

func ledgerIn(l *peers.SlotLedger, now time.Time) *slots.Ledger {
	if l == nil {
		return nil
	}
	return &slots.Ledger{
		Ballot: ballotIn(l.Ballot),
		Holders: each(l.Holders, func(h peers.SlotHolding) slots.Holding {
			return slots.Holding{Member: memberIn(h.Balancer), Slots: each(h.Slots, slotIn)}
		}),
		Resting: each(l.Resting, func(r peers.RestingSlot) slots.Rest {
			return slots.Rest{Pod: r.Pod, Until: now.Add(duration(r.LeftMs))}
		}),
	}
}

func milliseconds(d time.Duration) float64 { return max(float64(d)/float64(time.Millisecond), 0) }

// longestTime bounds what is believed of a time, so that sums of it stay times.
const longestTime = 24 * time.Hour

func duration(ms float64) time.Duration {
	if !(ms > 0) { // also what is no number
		return 0
	}
	return time.Duration(min(ms*float64(time.Millisecond), float64(longestTime)))
}

func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

func whole(n int64) uint64 { return uint64(max(n, 0)) }

// some is nil for what need not be said.
func some[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// each is never nil.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

// list is nil when there is nothing in it.
func list[A, B any](in []A, f func(A) B) *[]B {
	if len(in) == 0 {
		return nil
	}
	out := each(in, f)
	return &out
}
