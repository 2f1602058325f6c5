package simulate

import (
	"cmp"
	"container/heap"
	"time"
)

// event is something that happens at a time.
type event struct {
	at    time.Duration
	order uint64 // of those at the same time the one that was planned first
	do    func()
}

// clock is virtual time.
type clock struct {
	now     time.Duration
	planned events
	count   uint64
}

// start is an arbitrary moment: the policies take times of a calendar.
var start = time.Unix(1_000_000, 0)

func (c *clock) time() time.Time { return start.Add(c.now) }

func (c *clock) after(d time.Duration, do func()) {
	c.count++
	heap.Push(&c.planned, event{c.now + max(d, 0), c.count, do})
}

// run goes from event to event until none is left.
func (c *clock) run() {
	for len(c.planned) > 0 {
		e, _ := heap.Pop(&c.planned).(event)
		c.now = e.at
		e.do()
	}
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(e[i].at, e[j].at), cmp.Compare(e[i].order, e[j].order)) < 0
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) } //nolint:forcetypeassert // only events are planned
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
