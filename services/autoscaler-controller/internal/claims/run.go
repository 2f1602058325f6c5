package claims

import (
	"container/heap"
	"fmt"
	"maps"
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// run is one update. It looks at objects anew, the oldest first: what one gets depends on older ones alone
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

// push has an object looked at.
func (r *run) push(e *entry) {
	if _, twice := r.queued[e]; !twice {
		r.queued[e] = struct{}{}
		heap.Push(&r.queue, e)
	}
}

func (r *run) drop(e *entry) {
	r.note(e)
	r.retract(e)
	r.forgive(e)
	r.unlink(e)
	r.released(e)
}

func (r *run) set(o Object) {
	r.changed[o.Autoscaler] = struct{}{}
	before, known := r.objects[o.Autoscaler]
	if known && sameClaims(&before.Object, &o) {
		before.Object = o
		return
	}
	if known {
		r.drop(before)
	}
	e := &entry{Object: o}
	r.link(e)
	r.push(e)
	for _, h := range e.asked {
		r.strangers(h, r.push)
	}
}

// finish looks at all that were pushed, and tells what came of it.
func (r *run) finish() Change {
	for len(r.queue) > 0 {
		e, _ := heap.Pop(&r.queue).(*entry)
		delete(r.queued, e)
		if r.objects[e.Autoscaler] == e {
			r.decide(e)
		}
	}
	var c Change
	for a, before := range r.refused {
		if !slices.EqualFunc(before, r.Index.Refused(a), func(a, b Refusal) bool { return a.Text == b.Text }) {
			c.Refused = append(c.Refused, a)
		}
	}
	slices.SortFunc(c.Refused, compare)
	c.Keys = r.moved(r.before, r.changed)
	return c
}

// note keeps what an object was refused before.
func (r *run) note(e *entry) {
	if _, noted := r.refused[e.Autoscaler]; !noted {
		r.refused[e.Autoscaler] = e.refused
	}
}

// decide says anew what an object has and what not.
func (r *run) decide(e *entry) {
	r.note(e)
	r.forgive(e)
	e.refused = nil
	accepted := make([]bool, len(e.Targets))
	own := map[address]struct{}{}
	for i, t := range e.Targets {
		why, refused := r.refuses(e, t, own)
		if refused {
			e.refused = append(e.refused, why)
			continue
		}
		accepted[i] = true
		for a := range t.addresses() {
			own[a] = struct{}{}
		}
	}
	if slices.Equal(accepted, e.accepted) {
		return
	}
	r.retract(e)
	r.released(e)
	e.accepted = accepted
	r.hold(e)
}

// refuses says why an object cannot have a target; own is what it has already. Reasons of the own namespace
// go first: these name who has it.
func (r *run) refuses(e *entry, t Target, own map[address]struct{}) (Refusal, bool) {
	k := fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}
	if c, owned := r.claims[k]; owned && c.By != e.Autoscaler && r.objects[c.By].before(&e.Object) {
		return Refusal{By: c.By, Text: fmt.Sprintf("the Deployment %s belongs to the CustomAutoscaler %s, which is older", t.Deployment, c.By.Name)}, true
	}
	var first *entry
	for a := range t.addresses() {
		by := r.exact(a)
		if by != nil && by.before(&e.Object) && by.Namespace == e.Namespace && (first == nil || by.before(&first.Object)) {
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
	if by := r.exact(a); by != nil && by.Namespace != e.Namespace && by.before(&e.Object) {
		return by
	}
	if r.policy.says(e.Namespace, a) == granted {
		return nil
	}
	return r.held(e, a)
}

// hold has an object have what it is accepted for, and looks at those who may lose by it.
func (r *run) hold(e *entry) {
	for k, c := range r.owned(e) {
		r.touch(k)
		r.claims[k] = c
		r.pushYounger(r.wanted[k], e)
	}
	for i, t := range e.Targets {
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

// retract takes from an object all that it has, and looks at those who may get it.
func (r *run) retract(e *entry) {
	for k := range r.owned(e) {
		if r.claims[k].By == e.Autoscaler {
			r.touch(k)
			delete(r.claims, k)
		}
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

// released looks at those whom an object kept from something.
func (r *run) released(e *entry) {
	for other := range maps.Clone(e.keeps) {
		r.push(other)
	}
}

// forgive forgets who keeps an object from something.
func (r *run) forgive(e *entry) {
	for _, by := range e.keptBy {
		delete(by.keeps, e)
	}
	e.keptBy = nil
}

func (r *run) touch(k fleet.Key) {
	if _, done := r.before[k]; !done {
		r.before[k] = r.claims[k]
	}
}

func (r *run) pushYounger(list []*entry, e *entry) {
	for i := len(list) - 1; i >= 0 && e.before(&list[i].Object); i-- {
		r.push(list[i])
	}
}

// queue is a heap of objects, the oldest first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].before(&q[j].Object) }
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
