package waitroom

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRoom_IsFIFOAndAPlaceIsFreeAtOnce(t *testing.T) {
	r := New(3, 100, NewBudget(1000))
	tickets := make([]Ticket, 4)
	for i := range 3 {
		if err := r.Enter(&tickets[i], uint64(i), 10, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Enter(&tickets[3], 3, 10, false); !errors.Is(err, ErrTooMany) {
		t.Errorf("the fourth of three: %v", err)
	}
	if !r.Leave(&tickets[1]) || r.Leave(&tickets[1]) {
		t.Error("a ticket leaves once")
	}
	if err := r.Enter(&tickets[3], 3, 10, false); err != nil {
		t.Errorf("after one left: %v", err)
	}
	for _, want := range []int{0, 2, 3} {
		if r.First() != &tickets[want] {
			t.Fatalf("%d is not the first", want)
		}
		r.Leave(r.First())
	}
	if r.First() != nil || r.Len() != 0 || r.Bytes() != 0 {
		t.Error("the room is not empty")
	}
}

func TestRoom_WhoComesBackKeepsItsPlace(t *testing.T) {
	r := New(2, 100, NewBudget(1000))
	var old, middle, young Ticket
	_ = r.Enter(&young, 9, 1, false)
	_ = r.Enter(&old, 1, 1, true)
	if err := r.Enter(&middle, 5, 1, true); err != nil {
		t.Errorf("a full room must take back whom it let in: %v", err)
	}
	for _, want := range []*Ticket{&old, &middle, &young} {
		if r.First() != want {
			t.Fatal("not in the order of arrival")
		}
		r.Leave(want)
	}
}

func TestRoom_BoundsBytesAloneAndTogether(t *testing.T) {
	budget := NewBudget(150)
	a, b := New(10, 100, budget), New(10, 100, budget)
	var first, second, third Ticket
	if err := a.Enter(&first, 1, 101, false); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than a room holds: %v", err)
	}
	if err := a.Enter(&first, 1, 100, false); err != nil {
		t.Errorf("what a room holds: %v", err)
	}
	if err := b.Enter(&second, 1, 60, false); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than all rooms hold: %v", err)
	}
	_ = b.Enter(&second, 1, 50, false)
	if err := b.Enter(&third, 2, 1, false); !errors.Is(err, ErrTooLarge) || budget.Used() != 150 || b.Bytes() != 50 {
		t.Errorf("%v, used %d and %d, want 150 and 50", err, budget.Used(), b.Bytes())
	}
	a.Leave(&first)
	if err := b.Enter(&third, 2, 50, false); err != nil || budget.Used() != 100 || b.Bytes() != 100 {
		t.Errorf("after one left: %v, used %d and %d, want 100 each", err, budget.Used(), b.Bytes())
	}
}

// What is true of a simple slice must be true of the room, whatever happens in it.
func TestRoom_BehavesLikeASortedSlice(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	budget := NewBudget(1 << 40)
	r := New(50, 1<<40, budget)
	type held struct {
		ticket   *Ticket
		sequence uint64
		bytes    int64
	}
	var model []held
	next := uint64(0)
	for range 20_000 {
		switch random.IntN(4) {
		case 0, 1:
			next++
			sequence, again := next, random.IntN(5) == 0
			if again && next > 10 {
				sequence = next - uint64(random.IntN(10))
			}
			h := held{&Ticket{}, sequence, int64(random.IntN(100))}
			err := r.Enter(h.ticket, h.sequence, h.bytes, again)
			if (err != nil) != (len(model) >= 50 && !again) {
				t.Fatalf("Enter with %d inside, again %v: %v", len(model), again, err)
			}
			if err == nil {
				at := len(model)
				for at > 0 && model[at-1].sequence > sequence {
					at--
				}
				model = slices.Insert(model, at, h)
			}
		case 2:
			if len(model) > 0 {
				if r.First() != model[0].ticket {
					t.Fatal("another one is first")
				}
				r.Leave(model[0].ticket)
				model = model[1:]
			}
		case 3:
			if len(model) > 0 {
				i := random.IntN(len(model))
				r.Leave(model[i].ticket)
				model = slices.Delete(model, i, i+1)
			}
		}
		var bytes int64
		for _, h := range model {
			bytes += h.bytes
		}
		if r.Len() != len(model) || r.Bytes() != bytes || budget.Used() != bytes {
			t.Fatalf("%d hold %d (%d), want %d hold %d", r.Len(), r.Bytes(), budget.Used(), len(model), bytes)
		}
	}
}

func TestBudget_SharedLeavesSomethingToOthers(t *testing.T) {
	budget := NewBudget(100)
	greedy, modest := New(100, 100, budget), New(100, 100, budget)
	enter := func(r *Room, bytes int64) (*Ticket, error) {
		ticket := &Ticket{}
		return ticket, r.Enter(ticket, 1, bytes, false)
	}
	budget.Share(true)
	first, err := enter(greedy, 75)
	if err != nil {
		t.Fatalf("up to three quarters anybody may take: %v", err)
	}
	if _, err := enter(greedy, 1); !errors.Is(err, ErrShare) {
		t.Errorf("who holds more than half takes more: %v", err)
	}
	if _, err := enter(modest, 25); err != nil {
		t.Errorf("what is left is for others: %v", err)
	}
	if _, err := enter(modest, 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than there is: %v", err)
	}
	greedy.Leave(first)
	if _, err := enter(greedy, 50); err != nil {
		t.Errorf("half is for anybody: %v", err)
	}
	if _, err := enter(greedy, 2); !errors.Is(err, ErrShare) || budget.Used() != 75 {
		t.Errorf("more than half: %v, used %d", err, budget.Used())
	}
	budget.Share(false)
	if _, err := enter(greedy, 25); err != nil || budget.Used() != 100 {
		t.Errorf("who is alone may have all: %v", err)
	}
}
