package claims

import (
	"maps"
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Index knows at any time who has what, whatever the order in which it was told of the objects. An update
// costs what it touches: the objects that change, and the younger ones that lose or get something by it.
// Make it with NewIndex; it has no lock of its own.
type Index struct {
	policy   Policy
	objects  map[fleet.Autoscaler]*entry
	claims   map[fleet.Key]Claim
	wanted   map[fleet.Key][]*entry // who asks for a Deployment, in their order, each once
	at       map[address][]*entry   // who asks for the very address, likewise
	register register
}

// entry is an object and what became of it.
type entry struct {
	Object
	accepted []bool // of its targets
	refused  []Refusal
	held     []*holding
	asked    []*holding          // below its namespace's name
	keeps    map[*entry]struct{} // objects of other namespaces that are refused something because of it
	keptBy   []*entry
}

// Change is what became of an update, ordered.
type Change struct {
	// Keys are the Deployments that are owned by another object than before or at other targets, whose
	// owner has changed, or that nobody owns any more.
	Keys []fleet.Key
	// Refused are the objects that are refused something else than before.
	Refused []fleet.Autoscaler
}

// NewIndex makes an index of nothing.
func NewIndex() *Index {
	return &Index{
		objects: map[fleet.Autoscaler]*entry{}, claims: map[fleet.Key]Claim{},
		wanted: map[fleet.Key][]*entry{}, at: map[address][]*entry{}, register: register{},
	}
}

// Claim is who has a Deployment.
func (x *Index) Claim(k fleet.Key) (Claim, bool) {
	c, ok := x.claims[k]
	return c, ok
}

// Refused says why an object has not all that it asks for; nil when it has.
func (x *Index) Refused(a fleet.Autoscaler) []Refusal {
	if e, known := x.objects[a]; known {
		return e.refused
	}
	return nil
}

// Would says what an object would be refused if it were there as it is given now, beside the others. Nothing
// changes. What it asks for below its namespace's name may take something from older ones, and then it may be
// refused less.
func (x *Index) Would(o Object) []Refusal {
	r, e, own := newRun(x), &entry{Object: o}, map[address]struct{}{}
	var list []Refusal
	for _, t := range o.Targets {
		if why, refused := r.refuses(e, t, own); refused {
			list = append(list, why)
			continue
		}
		for a := range t.addresses() {
			own[a] = struct{}{}
		}
	}
	r.forgive(e)
	return list
}

// Update takes objects that are new or have changed, and drops others.
func (x *Index) Update(set []Object, drop []fleet.Autoscaler) Change {
	r := newRun(x)
	for _, a := range drop {
		if e, known := x.objects[a]; known {
			r.drop(e)
		}
	}
	for _, o := range set {
		r.set(o)
	}
	return r.finish()
}

// Govern takes another policy.
func (x *Index) Govern(p Policy) Change {
	x.policy = p
	return x.again(func(*entry) bool { return true })
}

// Reconsider looks again at the objects of some namespaces: a rule's From says something else of them.
func (x *Index) Reconsider(namespaces map[string]struct{}) Change {
	return x.again(func(e *entry) bool { _, among := namespaces[e.Namespace]; return among })
}

func (x *Index) again(which func(*entry) bool) Change {
	r := newRun(x)
	for _, e := range x.objects {
		if which(e) {
			r.push(e)
		}
	}
	return r.finish()
}

func (x *Index) link(e *entry) {
	x.objects[e.Autoscaler] = e
	for _, t := range e.Targets {
		insert(x.wanted, fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}, e)
		for a := range t.addresses() {
			insert(x.at, a, e)
			if a.host == "" && a.isOf(e.Namespace) {
				h := &holding{e, a}
				e.asked = append(e.asked, h)
				x.register.add(h, asked)
			}
		}
	}
}

func (x *Index) unlink(e *entry) {
	for _, t := range e.Targets {
		remove(x.wanted, fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}, e)
		for a := range t.addresses() {
			remove(x.at, a, e)
		}
	}
	for _, h := range e.asked {
		x.register.remove(h, asked)
	}
	delete(x.objects, e.Autoscaler)
}

func insert[K comparable](of map[K][]*entry, at K, e *entry) {
	list := of[at]
	if i, there := slices.BinarySearchFunc(list, e, compareEntries); !there {
		of[at] = slices.Insert(list, i, e)
	}
}

func remove[K comparable](of map[K][]*entry, at K, e *entry) {
	list := of[at]
	i, there := slices.BinarySearchFunc(list, e, compareEntries)
	if !there {
		return
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(of, at)
	} else {
		of[at] = list
	}
}

func compareEntries(a, b *entry) int { return compareAge(&a.Object, &b.Object) }

// moved are the Deployments whose claim is another one, or whose owner has changed.
func (x *Index) moved(before map[fleet.Key]Claim, changed map[fleet.Autoscaler]struct{}) []fleet.Key {
	keys := map[fleet.Key]struct{}{}
	for k, b := range before {
		if c := x.claims[k]; c.By != b.By || !slices.Equal(b.Targets, c.Targets) {
			keys[k] = struct{}{}
		}
	}
	for a := range changed {
		for k := range x.owned(x.objects[a]) {
			keys[k] = struct{}{}
		}
	}
	return slices.SortedFunc(maps.Keys(keys), fleet.Key.Compare)
}

// owned are the claims of an object by Deployment.
func (x *Index) owned(e *entry) map[fleet.Key]Claim {
	owned := map[fleet.Key]Claim{}
	if e == nil {
		return owned
	}
	for i, t := range e.Targets {
		if i < len(e.accepted) && e.accepted[i] {
			k := fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}
			owned[k] = Claim{By: e.Autoscaler, Targets: append(owned[k].Targets, i)}
		}
	}
	return owned
}
