package slots

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The world of the model: load balancers that are the real thing but for their network, a controller
// that says who is there, and pods that count. Time stands still; what time does (a standing that ends,
// a rest that is over) is an event of its own, which comes only when the argument for safety lets it.

const limit = 1 // of each pod

var (
	epoch    = time.Unix(1_000_000, 0)
	grace    = time.Hour
	podNames = []string{"p0", "p1", "p2"}
)

type packet struct {
	From, To int
	Life     int64 // of who shall have it
	Sender   Member
	M        Message
	Final    bool // it is an answer
}

// flight is a request on a pod, as the pod sees it.
type flight struct {
	Node   int // -1: whoever sent it has gone
	Pod    string
	Ticket uint64
}

type node struct {
	Up      bool
	Life    int64
	Council *Council
	Account *Account
	Seen    int // of the views
	Seated  bool
	Queue   []uint64 // tickets of its requests that wait; 0 has none yet
	Flying  map[uint64]string
	From    map[uint64]ID // who granted it, for the story of a failure
}

type world struct {
	Pods    int
	Nodes   []node
	Views   []View
	Net     []packet
	Flights []flight

	// What may still happen.
	Arrivals, Crashes, Starts, Lapses, Copies, Losses int
}

func newWorld(nodes, pods, up int) *world {
	w := &world{Pods: pods, Nodes: make([]node, nodes), Views: []View{{Version: "e.0"}}}
	for i := range up {
		w.start(i)
	}
	for i := range up {
		w.follow(i)
	}
	return w
}

// agreed is a world whose load balancers have said all: one lends, the others know it.
func agreed(nodes, pods, up int) *world {
	w := newWorld(nodes, pods, up)
	for range 200 {
		list := w.events()
		if len(list) == 0 {
			return w
		}
		list[0].do(w)
	}
	panic("they never agree")
}

func name(i int) string { return string(rune('a' + i)) }

func (w *world) start(i int) {
	n := &w.Nodes[i]
	n.Life++
	self := Member{ID: ID{name(i), n.Life}, Address: name(i)}
	*n = node{Up: true, Life: n.Life, Council: NewCouncil(self, DefaultTerms()), Account: NewAccount(self), Flying: map[uint64]string{}, Seen: -1}
	n.Council.Receipt(epoch, epoch)
	w.admit(self)
}

// admit is the controller's view with a member more, in place of its earlier life.
func (w *world) admit(m Member) {
	w.publish(append(w.without(m.Name), m))
}

func (w *world) without(name string) []Member {
	last := w.Views[len(w.Views)-1]
	return slices.DeleteFunc(slices.Clone(last.Members), func(o Member) bool { return o.Name == name })
}

func (w *world) publish(members []Member) {
	w.Views = append(w.Views, View{Version: fmt.Sprintf("e.%d", len(w.Views)), Members: members})
}

// follow has a node take the newest view.
func (w *world) follow(i int) {
	n := &w.Nodes[i]
	n.Seen = len(w.Views) - 1
	v := w.Views[n.Seen]
	n.Council.Follow(v, epoch.Add(time.Duration(n.Seen+1)), epoch)
	w.settle(i)
}

func (w *world) assemble(i int) {
	n := &w.Nodes[i]
	n.Council.Sweep(epoch)
	first := n.Seated && n.Council.First("app", epoch) == n.Council.Self().ID
	w.began(i, n.Account.Assemble(n.Council.Others(epoch), first, grace, epoch))
}

func (w *world) began(i int, b *Began) {
	if b == nil || !b.Unknown {
		return
	}
	n := &w.Nodes[i]
	for _, p := range podNames[:w.Pods] {
		if free := limit - n.Account.Lent(p) - n.own(p); free > 0 {
			n.Account.Rest(p, free, epoch.Add(grace))
		}
	}
}

func (n *node) own(pod string) (k int) {
	for _, p := range n.Flying {
		if p == pod {
			k++
		}
	}
	return k
}

// settle does what follows from a change by itself.
func (w *world) settle(i int) {
	n := &w.Nodes[i]
	seated := n.Council.Seated(epoch)
	if seated != n.Seated {
		n.Seated = seated
		if seated {
			n.Account.Renew()
		} else {
			n.Account.Lapse()
			w.cut(i)
		}
	}
	w.assemble(i)
	if !w.working() {
		n.Account.Wake(epoch.Add(2 * grace))
	}
	if n.Account.Lending() {
		for k := range n.Queue {
			n.Queue[k] = 0
		}
		w.lend(i)
		return
	}
	for k, t := range n.Queue {
		if t == 0 && n.Seated {
			n.Queue[k] = n.Account.Ask(Ticket{Arrived: epoch})
		}
	}
}

// working tells whether a pod works on a request whose sender has gone.
func (w *world) working() bool {
	return slices.ContainsFunc(w.Flights, func(f flight) bool { return f.Node < 0 })
}

func (w *world) lend(i int) {
	n := &w.Nodes[i]
	for _, p := range podNames[:w.Pods] {
		for n.Seated && n.own(p)+n.Account.Lent(p) < limit {
			waiter, ok := n.Account.Queue().Peek()
			if len(n.Queue) > 0 && (!ok || i%2 == 0) {
				n.Queue = n.Queue[1:]
				w.send(i, n.Account.Take(p), p)
				continue
			}
			if !ok {
				return
			}
			n.Account.Grant(waiter, p)
		}
	}
}

// send puts a request on a pod.
func (w *world) send(i int, ticket uint64, pod string) {
	w.Nodes[i].Flying[ticket] = pod
	w.Flights = append(w.Flights, flight{i, pod, ticket})
}

// cut ends what a node has on pods; the pods may go on.
func (w *world) cut(i int) {
	n := &w.Nodes[i]
	for t := range n.Flying {
		n.Account.Cut(t, epoch.Add(grace))
	}
	clear(n.Flying)
	for k := range w.Flights {
		if w.Flights[k].Node == i {
			w.Flights[k] = flight{Node: -1, Pod: w.Flights[k].Pod}
		}
	}
}

func (w *world) crash(i int) {
	w.cut(i)
	n := &w.Nodes[i]
	n.Up, n.Seated, n.Queue = false, false, nil
}

// forget: when everybody who could know what the pods work on has gone or is cut off, those who come
// later cannot. That is not kept from harm, and the package comment says so.
func (w *world) forget() {
	for i := range w.Nodes {
		if n := &w.Nodes[i]; n.Up && n.Seated && (n.Account.promised.Number > 0 || n.Account.unclear || len(n.Account.members) > 0) {
			return
		}
	}
	w.Flights = slices.DeleteFunc(w.Flights, func(f flight) bool { return f.Node < 0 })
}

func (w *world) deliver(p packet) {
	n := &w.Nodes[p.To]
	if !n.Up || n.Life != p.Life {
		return
	}
	sender := p.Sender
	n.Council.Heard(sender, epoch)
	r := n.Account.Receive(sender, p.M, n.Seated)
	for _, m := range r.Learned {
		n.Council.Hearsay(m, epoch)
	}
	for _, g := range r.Granted {
		if k := slices.Index(n.Queue, g.Ticket); k >= 0 {
			n.Queue = slices.Delete(n.Queue, k, k+1)
			w.send(p.To, g.Ticket, g.Pod)
		} else {
			n.Account.Done(g.Ticket)
		}
	}
	w.settle(p.To)
	answer := n.Account.Due(sender.ID)
	if r.Reply != nil {
		answer.Holder = r.Reply
	}
	if !p.Final && !answer.Empty() {
		w.put(packet{From: p.To, To: p.From, Life: sender.Started, M: answer, Final: true})
	}
}

// put sends a packet; of those that go the same way only the newest is kept, the others are lost.
func (w *world) put(p packet) {
	p.Sender = w.Nodes[p.From].Council.Self()
	w.Net = slices.DeleteFunc(w.Net, func(o packet) bool { return o.From == p.From && o.To == p.To && o.Final == p.Final })
	w.Net = append(w.Net, p)
}

// fault says what must never be.
func (w *world) fault() string {
	count := map[string]int{}
	for _, f := range w.Flights {
		if count[f.Pod]++; count[f.Pod] > limit {
			return fmt.Sprintf("%s has %d at a time", f.Pod, count[f.Pod])
		}
	}
	return ""
}

// event is one step that may be taken.
type event struct {
	name func() string
	do   func(w *world)
}

// events are all that may happen next.
func (w *world) events() []event {
	var list []event
	add := func(what func() string, do func(w *world)) { list = append(list, event{what, do}) }
	for k, p := range w.Net {
		add(func() string { return fmt.Sprintf("deliver %s to %s %s", name(p.From), name(p.To), p.M) }, func(w *world) {
			w.Net = slices.Delete(w.Net, k, k+1)
			w.deliver(p)
		})
		if w.Copies > 0 {
			add(func() string { return fmt.Sprintf("deliver a copy %s to %s %s", name(p.From), name(p.To), p.M) }, func(w *world) { w.Copies--; w.deliver(p) })
		}
		if w.Losses > 0 {
			add(func() string { return "lose " + name(p.From) + " to " + name(p.To) }, func(w *world) { w.Losses--; w.Net = slices.Delete(w.Net, k, k+1) })
		}
	}
	for i := range w.Nodes {
		w.eventsOf(i, add)
	}
	for k, f := range w.Flights {
		if f.Node >= 0 {
			continue
		}
		add(func() string { return "the pod " + f.Pod + " ends what nobody waits for" }, func(w *world) {
			w.Flights = slices.Delete(w.Flights, k, k+1)
			for i := range w.Nodes {
				if w.Nodes[i].Up {
					w.settle(i)
				}
			}
		})
	}
	return list
}

func (w *world) eventsOf(i int, add func(func() string, func(*world))) {
	n := &w.Nodes[i]
	who := name(i)
	if !n.Up {
		if w.Starts > 0 {
			add(func() string { return "start " + who }, func(w *world) { w.Starts--; w.start(i); w.settle(i) })
		}
		if m, in := w.Views[len(w.Views)-1].named(who); in {
			add(func() string { return "the controller takes out " + who }, func(w *world) { w.publish(w.without(m.Name)) })
		}
		return
	}
	for _, id := range slices.SortedFunc(maps.Keys(n.Account.members), ID.Compare) {
		to := int(id.Name[0] - 'a')
		if m := n.Account.message(id); !m.Empty() && w.Nodes[to].Life == id.Started && !w.sent(i, to) {
			add(func() string { return "send " + who + " to " + id.Name }, func(w *world) {
				w.put(packet{From: i, To: to, Life: id.Started, M: w.Nodes[i].Account.Due(id)})
			})
		}
	}
	if n.Seen < len(w.Views)-1 {
		add(func() string { return who + " follows the newest view" }, func(w *world) { w.follow(i) })
	}
	if w.Arrivals > 0 {
		add(func() string { return "a request comes to " + who }, func(w *world) {
			w.Arrivals--
			w.Nodes[i].Queue = append(w.Nodes[i].Queue, 0)
			w.settle(i)
		})
	}
	for _, t := range slices.Sorted(maps.Keys(n.Flying)) {
		add(func() string { return fmt.Sprintf("%s ends %d", who, t) }, func(w *world) { w.end(i, t) })
	}
	if w.Crashes > 0 {
		add(func() string { return "crash " + who }, func(w *world) { w.Crashes--; w.crash(i) })
	}
	if w.Lapses > 0 && n.Seated {
		add(func() string { return who + " loses its standing" }, func(w *world) {
			n := &w.Nodes[i]
			n.Council.receipt = time.Time{}
			if !n.Council.Stands(epoch) { // else it is alone, and nobody can tell it from a controller that is away
				w.Lapses--
				w.settle(i)
			}
		})
	}
	if n.Council.receipt.IsZero() {
		if _, in := w.Views[len(w.Views)-1].find(n.Council.Self().ID); in && !n.Council.Stands(epoch) {
			add(func() string { return "the controller takes out " + who + ", which is cut off" }, func(w *world) { w.publish(w.without(who)) })
		}
		add(func() string { return who + " is heard again" }, func(w *world) {
			n := &w.Nodes[i]
			n.Council.Receipt(epoch, epoch)
			n.Council.lapsed = epoch.Add(time.Duration(len(w.Views))) // the views of before do not count
			w.admit(n.Council.Self())
			w.settle(i)
		})
	}
}

func (w *world) sent(from, to int) bool {
	return slices.ContainsFunc(w.Net, func(p packet) bool { return p.From == from && p.To == to && !p.Final })
}

func (w *world) end(i int, ticket uint64) {
	n := &w.Nodes[i]
	delete(n.Flying, ticket)
	w.Flights = slices.DeleteFunc(w.Flights, func(f flight) bool { return f.Node == i && f.Ticket == ticket })
	n.Account.Done(ticket)
	w.settle(i)
}

func (m Message) String() string {
	var b strings.Builder
	if l := m.Lender; l != nil {
		fmt.Fprintf(&b, "[lender %d%s phase %d session %d taken %d grants %v again %v]", l.Ballot.Number, l.Ballot.Owner.Name, l.Phase, l.Session, l.Taken, l.Grants, l.Again)
	}
	if h := m.Holder; h != nil {
		fmt.Fprintf(&b, "[holder %d%s refused %v session %d ops %d confirmed %d]", h.Ballot.Number, h.Ballot.Owner.Name, h.Refused, h.Session, len(h.Ops), h.Confirmed)
	}
	return b.String()
}
