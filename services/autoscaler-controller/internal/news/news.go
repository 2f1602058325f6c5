// Package news remembers what changed last, for those who follow: which applications, which went, what was decided.
//
// Who follows asks for what came after a position, and gets each application that changed since once, however
// often it did; what it is like is looked up then. So nothing is kept for anybody, a slow reader costs
// no more than a fast one, and all that is remembered is bounded: the applications that there are, the last ones that
// went and the last decisions. A position that lies before what is remembered is answered with a reset.
//
// There are two kinds of changes. Urgent ones (a decision, another state) are what people wait for; ordinary ones
// (how much traffic there is) come every second of whatever is busy. A reader has a position in each, and reads the
// second kind as seldom as it likes.
//
// It is pure: it does nothing by itself, and waits for nobody.
package news

import (
	"cmp"
	"container/list"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// What is remembered of what is no more.
const (
	keptDecisions = 1000
	keptRemovals  = 4096
)

// Position is up to where somebody has read, within one life of a process.
type Position struct {
	Epoch            string
	Urgent, Ordinary uint64
	round            round // not written: who comes back begins it anew
}

// round is how far somebody has come with the ordinary changes where they do not fit at once. Whatever is busy changes
// again before all of it was told, so by their order the first ones would come again and again, and the others never. In
// a round each application has its turn once, in the order in which they came to be known. Who begins a round does so
// where others are, so that what is told to several is made once.
type round struct {
	to     uint64 // its end is a position behind this change; 0: none is under way
	from   uint64 // it began behind the place of this number
	after  uint64 // the number of the place that was told of last, also when it is over
	around bool   // it goes on with the first place
}

// String is how a position is written: epoch.urgent.ordinary.
func (p Position) String() string {
	return fmt.Sprintf("%s.%d.%d", p.Epoch, p.Urgent, p.Ordinary)
}

// Parse reads a position; false: it is none.
func Parse(text string) (Position, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] == "" {
		return Position{}, false
	}
	urgent, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return Position{}, false
	}
	ordinary, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return Position{}, false
	}
	return Position{Epoch: parts[0], Urgent: urgent, Ordinary: ordinary}, true
}

// Kind is what happened.
type Kind int

// The kinds.
const (
	Changed Kind = iota
	Removed
	Decided
)

// Item is one change.
type Item struct {
	N      uint64 // its number: every later change has a larger one
	Kind   Kind
	Urgent bool // else it is of the ordinary ones
	Key    fleet.Key
	Record *fleet.Record // of a decision; never altered
}

// Update is what came after a position.
type Update struct {
	// Reset tells that not all of it is remembered: what is held is to be read anew. There are no items then.
	Reset bool
	// Items are in their order; those that are urgent come first.
	Items []Item
	// Next is the position behind them.
	Next Position
	// More tells that not all fitted; Hurry that not all that is urgent did.
	More, Hurry bool
}

// Board remembers. Make it with New. Any number of goroutines may use it.
type Board struct {
	mu        sync.Mutex
	epoch     string
	n         uint64
	places    map[fleet.Key]*place
	all       []*place   // the same, by their numbers
	known     uint64     // how many numbers were given
	turn      uint64     // behind which of them whoever is in a round was told of some last
	urgent    *list.List // of *change, by when it was
	ordinary  *list.List
	removed   *list.List
	decisions []Item // a ring
	oldest    int    // in it
	forgotten uint64 // the newest change that is remembered no more
	changed   chan struct{}
	onRemoved []func(fleet.Key)
}

type change struct {
	n   uint64
	key fleet.Key
}

// place is where an application stands in the lists; nil: it does not.
type place struct {
	key                       fleet.Key
	number                    uint64
	urgent, ordinary, removed *list.Element
}

// New makes a board that nothing is on. epoch names this life of the process.
func New(epoch string) *Board {
	return &Board{
		epoch: epoch, places: map[fleet.Key]*place{}, urgent: list.New(), ordinary: list.New(), removed: list.New(),
		changed: make(chan struct{}),
	}
}

// Changed takes note that an application is not as it was.
func (b *Board) Changed(k fleet.Key, urgent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.place(k)
	if p.removed != nil {
		b.removed.Remove(p.removed)
		p.removed = nil
	}
	b.n++
	if urgent {
		p.urgent = renew(b.urgent, p.urgent, b.n, k)
		b.wake()
		return
	}
	p.ordinary = renew(b.ordinary, p.ordinary, b.n, k)
}

// OnRemoved has f called with each application that goes, before it can be read here that it has: for who holds
// something of each. It is to be quick.
func (b *Board) OnRemoved(f func(fleet.Key)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onRemoved = append(b.onRemoved, f)
}

// Removed takes note that there is no such application any more.
func (b *Board) Removed(k fleet.Key) {
	b.mu.Lock()
	tell := b.onRemoved
	b.mu.Unlock()
	for _, f := range tell {
		f(k)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.place(k)
	if p.urgent != nil {
		b.urgent.Remove(p.urgent)
	}
	if p.ordinary != nil {
		b.ordinary.Remove(p.ordinary)
	}
	b.n++
	p.urgent, p.ordinary, p.removed = nil, nil, renew(b.removed, p.removed, b.n, k)
	if b.removed.Len() > keptRemovals {
		oldest := of(b.removed.Front())
		b.forgotten = max(b.forgotten, oldest.n)
		b.removed.Remove(b.removed.Front())
		b.forget(oldest.key)
	}
	b.wake()
}

// Decided takes note of a decision.
func (b *Board) Decided(r fleet.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	item := Item{N: b.n, Kind: Decided, Urgent: true, Key: r.Key, Record: &r}
	if len(b.decisions) < keptDecisions {
		b.decisions = append(b.decisions, item)
	} else {
		b.forgotten = max(b.forgotten, b.decisions[b.oldest].N)
		b.decisions[b.oldest] = item
		b.oldest = (b.oldest + 1) % keptDecisions
	}
	b.wake()
}

func (b *Board) place(k fleet.Key) *place {
	p, known := b.places[k]
	if !known {
		b.known++
		p = &place{key: k, number: b.known}
		b.places[k] = p
		b.all = append(b.all, p)
	}
	return p
}

func (b *Board) forget(k fleet.Key) {
	at := b.from(b.places[k].number)
	b.all = slices.Delete(b.all, at, at+1)
	delete(b.places, k)
}

// from is where the places begin whose number is at least this one.
func (b *Board) from(number uint64) int {
	at, _ := slices.BinarySearchFunc(b.all, number, func(p *place, n uint64) int { return cmp.Compare(p.number, n) })
	return at
}

// wake wakes who waits for something urgent.
func (b *Board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// renew moves a change to the end of its list.
func renew(l *list.List, e *list.Element, n uint64, k fleet.Key) *list.Element {
	if e == nil {
		return l.PushBack(&change{n, k})
	}
	of(e).n = n
	l.MoveToBack(e)
	return e
}

func of(e *list.Element) *change {
	return e.Value.(*change) //nolint:forcetypeassert // nothing else is put into the lists
}

// Now is the position behind all that happened.
func (b *Board) Now() Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now()
}

func (b *Board) now() Position { return Position{Epoch: b.epoch, Urgent: b.n, Ordinary: b.n} }

// Since is what came after a position, at most so many items, and a channel that closes with the next urgent change.
// Without ordinary ones the position in these stays where it is.
func (b *Board) Since(p Position, ordinary bool, most int) (Update, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Epoch != b.epoch || max(p.Urgent, p.Ordinary) > b.n || p.Urgent < b.forgotten {
		return Update{Reset: true, Next: b.now()}, b.changed
	}
	urgent := after(b.urgent, p.Urgent, most+1, Item{Kind: Changed, Urgent: true}) // one more shows that there are more
	urgent = append(urgent, after(b.removed, p.Urgent, most+1, Item{Kind: Removed, Urgent: true})...)
	for i := range len(b.decisions) { // the newest first
		item := b.decisions[(b.oldest+len(b.decisions)-1-i)%len(b.decisions)]
		if item.N <= p.Urgent {
			break
		}
		urgent = append(urgent, item)
	}
	slices.SortFunc(urgent, byNumber)
	update := Update{Next: p}
	update.Items, update.Next.Urgent, update.Hurry = first(urgent, most, b.n)
	if update.More = update.Hurry; !ordinary || update.More {
		return update, b.changed
	}
	var rest []Item
	rest, update.More = b.busy(&update.Next, most-len(update.Items))
	told := make(map[fleet.Key]bool, len(update.Items))
	for _, item := range update.Items {
		told[item.Key] = told[item.Key] || item.Kind == Changed
	}
	for _, item := range rest {
		if !told[item.Key] { // else it is looked up already
			update.Items = append(update.Items, item)
		}
	}
	return update, b.changed
}

// busy are the ordinary changes after a position, which it moves on: all of them, or as many as fit, and whether there are
// more.
func (b *Board) busy(at *Position, most int) (items []Item, more bool) {
	like := Item{Kind: Changed}
	if most <= 0 {
		return nil, at.round.to > 0 || firstAfter(b.ordinary, at.Ordinary) != nil
	}
	if at.round.to == 0 {
		if items = after(b.ordinary, at.Ordinary, most+1, like); len(items) <= most {
			at.Ordinary, at.round = b.n, round{}
			return items, false
		}
		begin := cmp.Or(at.round.after, b.turn) // it goes on where it was or, if it was in no round, where others are
		items, at.round = items[:0], round{to: b.n, from: begin, after: begin}
	}
	r := &at.round
	last := r.after
	b.turn = last
	for {
		until := len(b.all)
		if r.around {
			until = b.from(r.from + 1)
		}
		for _, p := range b.all[min(b.from(r.after+1), until):until] {
			if p.ordinary == nil || of(p.ordinary).n <= at.Ordinary {
				continue
			}
			if len(items) == most {
				return items, true
			}
			like.N, like.Key, r.after, last = of(p.ordinary).n, p.key, p.number, p.number
			items = append(items, like)
		}
		if r.around {
			break
		}
		r.around, r.after = true, 0
	}
	at.Ordinary, at.round = r.to, round{after: last}
	return items, firstAfter(b.ordinary, at.Ordinary) != nil // what changed since the round began
}

// after are the first changes of a list after a number, at most so many, each as an item like the one that is given.
func after(l *list.List, n uint64, most int, like Item) (items []Item) {
	for e := firstAfter(l, n); e != nil && len(items) < most; e = e.Next() {
		like.N, like.Key = of(e).n, of(e).key
		items = append(items, like)
	}
	return items
}

// firstAfter looks from both ends at once: mostly few are after it, and where all applications are busy nearly all are.
func firstAfter(l *list.List, n uint64) *list.Element {
	for old, young := l.Front(), l.Back(); old != nil; old, young = old.Next(), young.Prev() {
		if of(old).n > n {
			return old
		}
		if of(young).n <= n {
			return young.Next()
		}
	}
	return nil
}

// first are the first of some items, up to where they go, and whether there are more.
func first(items []Item, most int, all uint64) (some []Item, next uint64, more bool) {
	if len(items) <= most {
		return items, all, false
	}
	if most <= 0 {
		return nil, items[0].N - 1, true
	}
	return items[:most], items[most-1].N, true
}

func byNumber(a, b Item) int { return cmp.Compare(a.N, b.N) }
