package routing

import "slices"

// Claims are the hosts and prefixes that targets claim. Where two claim the same, the first in their
// order keeps it, in whatever order they came; when it goes, the next one has it. A change costs what it
// changes, not what there is. Make it with NewClaims; it has no lock of its own.
type Claims[T comparable] struct {
	order   func(a, b T) int
	built   *builder[T]
	table   *Table[T]
	stale   bool               // the table is not what is claimed
	claims  map[spot][]T       // in their order: the first one has it
	targets map[T]*claimant[T] // that claim something
	touched map[T]bool         // whose standing may have changed since Lost was last asked
	losers  map[T]bool         // as it was then
}

// claimant is what a target claims.
type claimant[T comparable] struct {
	behind  bool
	entries []Entry[T]
	losing  int // claims that another one has
}

// NewClaims makes claims of nobody. order is that of the targets, and never changes.
func NewClaims[T comparable](order func(a, b T) int) *Claims[T] {
	c := &Claims[T]{order: order, built: newBuilder[T](), claims: map[spot][]T{}, targets: map[T]*claimant[T]{}, touched: map[T]bool{}, losers: map[T]bool{}}
	c.table = c.built.table()
	return c
}

// Len is how many targets claim something.
func (c *Claims[T]) Len() int { return len(c.targets) }

// Set has a target claim the hosts and prefixes of the entries, and no others. With behind, it stands
// behind every one who is not. The entries must not be altered after.
func (c *Claims[T]) Set(target T, behind bool, entries []Entry[T]) {
	before, known := c.targets[target]
	if known && before.behind == behind && slices.EqualFunc(before.entries, entries, sameClaim[T]) {
		return
	}
	c.Drop(target)
	c.targets[target] = &claimant[T]{behind: behind, entries: entries}
	for i := range entries {
		for _, s := range entries[i].spots() {
			c.claim(s, target)
		}
	}
}

// Drop has a target claim nothing.
func (c *Claims[T]) Drop(target T) {
	of, known := c.targets[target]
	if !known {
		return
	}
	for i := range of.entries {
		for _, s := range of.entries[i].spots() {
			c.release(s, target)
		}
	}
	delete(c.targets, target)
	c.touched[target] = true
}

// Table is the table of what is claimed.
func (c *Claims[T]) Table() *Table[T] {
	if c.stale {
		c.table, c.stale = c.built.table(), false
	}
	return c.table
}

// Lost are the targets, in their order, of whose claims another one has some, and which had all of them
// when this was last asked, or were not there. One that stands behind everyone is none of them.
func (c *Claims[T]) Lost() []T {
	var lost []T
	for target := range c.touched {
		of := c.targets[target]
		switch loses := of != nil && of.losing > 0 && !of.behind; {
		case loses && !c.losers[target]:
			c.losers[target] = true
			lost = append(lost, target)
		case !loses:
			delete(c.losers, target)
		}
	}
	clear(c.touched)
	slices.SortFunc(lost, c.order)
	return lost
}

func sameClaim[T comparable](a, b Entry[T]) bool {
	return a.Prefix == b.Prefix && slices.Equal(a.Hosts, b.Hosts)
}

// compare orders those who claim the same.
func (c *Claims[T]) compare(a, b T) int {
	switch ofA, ofB := c.targets[a].behind, c.targets[b].behind; {
	case ofA == ofB:
		return c.order(a, b)
	case ofA:
		return 1
	}
	return -1
}

func (c *Claims[T]) claim(s spot, target T) {
	list := c.claims[s]
	i, twice := slices.BinarySearchFunc(list, target, c.compare)
	if twice {
		return
	}
	list = slices.Insert(list, i, target)
	c.claims[s] = list
	if i > 0 {
		c.loses(target, 1)
		return
	}
	if len(list) > 1 {
		c.loses(list[1], 1)
	}
	c.built.set(s, target)
	c.stale = true
}

// loses notes that another one has so many more claims of a target.
func (c *Claims[T]) loses(target T, more int) {
	c.targets[target].losing += more
	c.touched[target] = true
}

// release takes back one claim.
func (c *Claims[T]) release(s spot, target T) {
	list := c.claims[s]
	i := slices.Index(list, target)
	if i < 0 {
		return // it had named it twice
	}
	list = slices.Delete(list, i, i+1)
	if i > 0 {
		c.claims[s] = list
		c.loses(target, -1)
		return
	}
	c.stale = true
	if len(list) == 0 {
		delete(c.claims, s)
		c.built.clear(s)
		return
	}
	c.claims[s] = list
	c.loses(list[0], -1)
	c.built.set(s, list[0])
}
