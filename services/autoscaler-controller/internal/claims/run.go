package claims

import (
	"container/heap"
	"fmt"
	"maps"
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// run is one update. It looks at entries anew, the oldest first: what one gets depends on older ones alone
// (and on what is asked for below a namespace's own name, which is known before), so each is looked at once.
type run struct {
	*Index
	queue   queue
	queued  map[*entry]struct{}
	before  map[fleet.Key]Claim // of Deployments that were touched
	refused map[fleet.Autoscaler][]Refusal
	changed map[fleet.Autoscaler]struct{}
}

func newRun(x *Index) *run {
	return &run{
		Index: x, queued: map[*entry]struct{}{}, before: map[fleet.Key]Claim{},
		refused: map[fleet.Autoscaler][]Refusal{}, changed: map[fleet.Autoscaler]struct{}{},
	}
}

// push has an entry looked at.
func (r *run) push(e *entry) {
	if _, twice := r.queued[e]; !twice {
		r.queued[e] = struct{}{}
		heap.Push(&r.queue, e)
	}
}

func (r *run) drop(o *known) {
	r.note(o.Autoscaler)
	delete(r.objects, o.Autoscaler)
	for _, e := range o.parts {
		r.retract(e)
		r.forgive(e)
		r.unlink(e)
		r.released(e)
	}
}

func (r *run) set(o Object) {
	r.changed[o.Autoscaler] = struct{}{}
	before, there := r.objects[o.Autoscaler]
	if there && sameClaims(&before.Object, &o) {
		before.Object = o
		return
	}
	if there {
		r.drop(before)
	}
	now := &known{Object: o, parts: o.parts()}
	r.objects[o.Autoscaler], r.newest = now, later(r.newest, o.Created)
	for _, e := range now.parts {
		r.link(e)
		r.push(e)
		for _, h := range e.asked {
			r.strangers(h, r.push)
		}
	}
}

// finish looks at all that were pushed, and tells what came of it.
func (r *run) finish() Change {
	for len(r.queue) > 0 {
		e, _ := heap.Pop(&r.queue).(*entry)
		delete(r.queued, e)
		if !e.gone {
			r.decide(e)
		}
	}
	var c Change
	for a, before := range r.refused {
		if !slices.EqualFunc(before, r.Index.Refused(a), func(a, b Refusal) bool { return a.Text == b.Text && a.By == b.By }) {
			c.Refused = append(c.Refused, a)
		}
	}
	slices.SortFunc(c.Refused, compare)
	c.Keys = r.moved(r.before, r.changed)
	return c
}

// note keeps what an object was refused before.
func (r *run) note(a fleet.Autoscaler) {
	if _, noted := r.refused[a]; !noted {
		r.refused[a] = r.Refused(a)
	}
}

// decide says anew what an entry has and what not.
func (r *run) decide(e *entry) {
	r.note(e.Autoscaler)
	r.forgive(e)
	own := map[address]struct{}{}
	for _, older := range r.objects[e.Autoscaler].parts {
		if older == e {
			break
		}
		for _, h := range older.held {
			own[h.address] = struct{}{}
		}
	}
	var accepted []bool
	accepted, e.refused = r.judge(e, own)
	if slices.Equal(accepted, e.accepted) {
		return
	}
	r.retract(e)
	r.released(e)
	e.accepted = accepted
	r.hold(e)
}

// judge says which of its targets an entry has, and why not the others. own is what its object has already,
// and then what it has besides.
func (r *run) judge(e *entry, own map[address]struct{}) (accepted []bool, list []Refusal) {
	accepted = make([]bool, len(e.targets))
	for i, t := range e.targets {
		why, refused := r.refuses(e, t, own)
		if refused {
			why.Place = e.places[i]
			list = append(list, why)
			continue
		}
		accepted[i] = true
		for a := range t.addresses() {
			own[a] = struct{}{}
		}
	}
	return accepted, list
}

// refuses says why an object cannot have a target; own is what it has already. Reasons of the own namespace
// go first: these name who has it.
func (r *run) refuses(e *entry, t Target, own map[address]struct{}) (Refusal, bool) {
	k := fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}
	if owners := r.owners[k]; len(owners) > 0 && owners[0].Autoscaler != e.Autoscaler && owners[0].before(e) {
		by := owners[0].Autoscaler
		return Refusal{By: by, Text: fmt.Sprintf("the Deployment %s belongs to the CustomAutoscaler %s, which is older", t.Deployment, by.Name)}, true
	}
	var first *entry
	for a := range t.addresses() {
		by := r.exact(a)
		if by != nil && by.before(e) && by.Namespace == e.Namespace && by.Autoscaler != e.Autoscaler && (first == nil || by.before(first)) {
			first = by
		}
	}
	if first != nil {
		return Refusal{By: first.Autoscaler, Text: fmt.Sprintf(
			"%s: apiPrefix %s belongs to the CustomAutoscaler %s/%s, which is older", t.Deployment, t.Prefix, first.Namespace, first.Name)}, true
	}
	for a := range t.addresses() {
		if _, twice := own[a]; twice {
			return Refusal{By: e.Autoscaler, Text: fmt.Sprintf("%s: apiPrefix %s is given twice, for the same hosts", t.Deployment, t.Prefix)}, true
		}
	}
	return r.forbids(e, t)
}

// forbids says why an object cannot have a target because of other namespaces. What it says depends on no
// more than whether it is so: who it is changes without a word.
func (r *run) forbids(e *entry, t Target) (Refusal, bool) {
	for a := range t.addresses() {
		if r.policy.says(e.Namespace, a) == denied {
			return Refusal{Foreign: true, Text: fmt.Sprintf(
				"%s: apiPrefix %s%s is given to other namespaces by a ClaimPolicy", t.Deployment, t.Prefix, t.on())}, true
		}
	}
	for a := range t.addresses() {
		by := r.keeper(e, a)
		if by == nil {
			continue
		}
		if by.keeps == nil {
			by.keeps = map[*entry]struct{}{}
		}
		by.keeps[e] = struct{}{}
		e.keptBy = append(e.keptBy, by)
		return Refusal{Foreign: true, By: by.Autoscaler, Text: fmt.Sprintf(
			"%s: apiPrefix %s%s overlaps what an application of another namespace holds; /%s and what is below it is this namespace's own, more is given by a ClaimPolicy",
			t.Deployment, t.Prefix, t.on(), e.Namespace)}, true
	}
	return Refusal{}, false
}

// keeper is who of another namespace keeps an object from an address; nil: nobody.
func (r *run) keeper(e *entry, a address) *entry {
	if by := r.exact(a); by != nil && by.Namespace != e.Namespace && by.before(e) {
		return by
	}
	if r.policy.says(e.Namespace, a) == granted {
		return nil
	}
	return r.held(e, a)
}

// hold has an entry have what it is accepted for, and looks at those who may lose by it.
func (r *run) hold(e *entry) {
	for k := range e.owned() {
		r.touch(k)
		insert(r.owners, k, e)
		r.pushYounger(r.wanted[k], e)
	}
	for i, t := range e.targets {
		if !e.accepted[i] {
			continue
		}
		for a := range t.addresses() {
			h := &holding{e, a}
			e.held = append(e.held, h)
			for _, k := range h.kinds() {
				r.register.add(h, k)
			}
			r.pushYounger(r.at[a], e)
			r.losers(h, r.push)
		}
	}
}

// retract takes from an entry all that it has, and looks at those who may get it.
func (r *run) retract(e *entry) {
	for k := range e.owned() {
		r.touch(k)
		remove(r.owners, k, e)
		r.pushYounger(r.wanted[k], e)
	}
	for _, h := range e.held {
		for _, k := range h.kinds() {
			r.register.remove(h, k)
		}
		r.pushYounger(r.at[h.address], e)
	}
	e.held, e.accepted = nil, nil
}

// released looks at those whom an entry kept from something.
func (r *run) released(e *entry) {
	for other := range maps.Clone(e.keeps) {
		r.push(other)
	}
}

// forgive forgets who keeps an entry from something.
func (r *run) forgive(e *entry) {
	for _, by := range e.keptBy {
		delete(by.keeps, e)
	}
	e.keptBy = nil
}

func (r *run) touch(k fleet.Key) {
	if _, done := r.before[k]; !done {
		r.before[k], _ = r.Claim(k)
	}
}

func (r *run) pushYounger(list []*entry, e *entry) {
	for i := len(list) - 1; i >= 0 && e.before(list[i]); i-- {
		r.push(list[i])
	}
}

// queue is a heap of entries, the oldest first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].before(q[j]) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is for the heap.
func (q *queue) Push(e any) {
	if one, ok := e.(*entry); ok {
		*q = append(*q, one)
	}
}

// Pop is for the heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}
