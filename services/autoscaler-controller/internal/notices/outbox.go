package notices

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Dropped is why a notice was not told to a receiver, and never will be.
type Dropped string

// The reasons.
const (
	DroppedFull     Dropped = "full"     // too many wait for this receiver: the oldest goes
	DroppedAged     Dropped = "aged"     // it waited for its turn, or was tried, for a quarter of an hour
	DroppedRefused  Dropped = "refused"  // the receiver will not take it, or its address is not allowed
	DroppedReceiver Dropped = "receiver" // the receiver was taken out of its Secret, or wants nothing any more
)

// AllDropped are the reasons, for who counts.
var AllDropped = []Dropped{DroppedFull, DroppedAged, DroppedRefused, DroppedReceiver}

// Verdict is what became of a try.
type Verdict int

// The verdicts.
const (
	Taken Verdict = iota
	Later         // it is tried again
	Never         // it is not; the next one is
	Gone          // the receiver wants nothing any more
)

// Delivery is a notice on its way to a receiver.
type Delivery struct {
	Receiver Receiver
	Notice   Notice
	of       *lane
}

// Outbox is what is to be told. It is for one goroutine at a time. Make it with New.
type Outbox struct {
	own     string             // whose receivers are told of all namespaces
	lanes   map[string][]*lane // by the namespace of the Secret
	order   []*lane            // all, by their namespaces, so that each has its turn
	last    int                // of order, the one whose turn was last
	repeats repeats
	sending int
	waiting int // in all lanes
	drop    func(why Dropped, r Receiver)
}

// New makes an outbox. Receivers of the namespace own are told of all namespaces, the others of theirs; drop is
// told of each notice that is not told to a receiver.
func New(own string, drop func(why Dropped, r Receiver)) *Outbox {
	return &Outbox{own: own, lanes: map[string][]*lane{}, drop: drop}
}

// Follow takes the receivers that a namespace names now. What waits for one that is the same still does.
func (o *Outbox) Follow(namespace string, list []Receiver) {
	before := o.lanes[namespace]
	now := make([]*lane, 0, len(list))
	for _, r := range list {
		r.Namespace = namespace
		i := slices.IndexFunc(before, func(l *lane) bool { return l.Name == r.Name && l.is(r) })
		if i < 0 {
			now = append(now, &lane{Receiver: r})
			continue
		}
		same := before[i]
		same.Receiver, same.gone = r, false
		now = append(now, same)
	}
	for _, l := range before {
		if !slices.Contains(now, l) {
			o.clear(l)
		}
	}
	if o.lanes[namespace] = now; len(now) == 0 {
		delete(o.lanes, namespace)
	}
	o.place(namespace, len(before), now)
}

// place has the lanes of a namespace stand in the order. A controller that starts follows thousands of namespaces one after
// the other: they are not all ordered anew with each.
func (o *Outbox) place(namespace string, before int, now []*lane) {
	at, _ := slices.BinarySearchFunc(o.order, namespace, func(l *lane, namespace string) int { return cmp.Compare(l.Namespace, namespace) })
	if at+before <= o.last && len(o.order) > 0 {
		o.last += len(now) - before // it is another one's turn after the same as before
	}
	o.order = slices.Replace(o.order, at, at+before, now...)
}

// Namespaces are those that name receivers.
func (o *Outbox) Namespaces() []string { return slices.Sorted(maps.Keys(o.lanes)) }

// clear drops what waits for a receiver.
func (o *Outbox) clear(l *lane) {
	for len(l.waiting) > 0 {
		o.lose(DroppedReceiver, l, o.shift(l))
	}
}

// lose drops a notice that is not told to a receiver.
func (o *Outbox) lose(why Dropped, l *lane, n Notice) {
	o.drop(why, l.Receiver)
	if n.Ended != nil {
		n.Ended(why)
	}
}

// shift takes the first of what waits.
func (o *Outbox) shift(l *lane) Notice {
	first := l.waiting[0]
	l.waiting = l.waiting[1:]
	o.waiting--
	return first
}

// Add takes a notice; false: nobody wants it, or the same was told a moment ago.
func (o *Outbox) Add(n Notice, now time.Time) bool {
	lanes := o.lanes[n.Namespace]
	if n.Namespace != o.own {
		lanes = slices.Concat(lanes, o.lanes[o.own])
	}
	lanes = slices.DeleteFunc(slices.Clone(lanes), func(l *lane) bool { return l.gone || !l.Wants(n) })
	if len(lanes) == 0 || !o.repeats.tell(&n, now) {
		return false
	}
	for _, l := range lanes {
		o.put(l, n)
	}
	return true
}

// put has a notice wait for its turn.
func (o *Outbox) put(l *lane, n Notice) {
	if len(l.waiting) >= laneWaits {
		o.lose(DroppedFull, l, o.shift(l))
	}
	if o.waiting >= allWaits {
		o.lose(DroppedFull, l, n)
		return
	}
	l.waiting = append(l.waiting, n)
	o.waiting++
}

// Next is what is to be delivered now. Where there is nothing, it says when there may be; the zero time: when
// something else happens.
func (o *Outbox) Next(now time.Time) (d Delivery, due time.Time, ok bool) {
	if o.sending >= mostAtATime || o.waiting == 0 {
		return Delivery{}, time.Time{}, false
	}
	for i := range o.order {
		at := (o.last + 1 + i) % len(o.order)
		l := o.order[at]
		o.age(l, now)
		if l.sending || len(l.waiting) == 0 {
			continue
		}
		if when := l.due(); when.After(now) {
			if due.IsZero() || when.Before(due) {
				due = when
			}
			continue
		}
		o.last = at
		l.sending = true
		l.spend(now)
		o.sending++
		return Delivery{Receiver: l.Receiver, Notice: o.shift(l), of: l}, time.Time{}, true
	}
	return Delivery{}, due, false
}

// age drops what has waited too long.
func (o *Outbox) age(l *lane, now time.Time) {
	for len(l.waiting) > 0 && now.Sub(l.waiting[0].At) >= waitsFor {
		o.lose(DroppedAged, l, o.shift(l))
	}
}

// Done takes note of what became of a delivery. after is how long the receiver asks to be left alone, 0: it
// does not say; random is from 0 to below 1.
func (o *Outbox) Done(d Delivery, v Verdict, after time.Duration, random float64, now time.Time) {
	l := d.of
	o.sending--
	l.sending = false
	switch v {
	case Taken:
		l.failures, l.retry = 0, time.Time{}
		if d.Notice.Ended != nil {
			d.Notice.Ended("")
		}
	case Later:
		pause := min(lastPause, firstPause<<min(l.failures, 16))
		l.failures++
		l.retry = now.Add(max(min(after, mostPause), time.Duration((0.7+0.6*random)*float64(pause))))
		switch {
		case !o.follows(l):
			o.lose(DroppedReceiver, l, d.Notice)
		case !l.retry.Before(d.Notice.At.Add(waitsFor)): // it would be too old by then
			o.lose(DroppedAged, l, d.Notice)
		default:
			l.waiting = slices.Insert(l.waiting, 0, d.Notice)
			o.waiting++
		}
	case Never:
		o.lose(DroppedRefused, l, d.Notice)
	case Gone:
		o.lose(DroppedReceiver, l, d.Notice)
		l.gone = true
		o.clear(l)
	}
}

func (o *Outbox) follows(l *lane) bool { return slices.Contains(o.lanes[l.Namespace], l) }

// Waiting is how many wait, or are under way.
func (o *Outbox) Waiting() int { return o.waiting + o.sending }
