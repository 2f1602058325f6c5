package claims

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Index knows at any time who has what, whatever the order in which it was told of the objects. An update
// costs what it touches: the objects that change, and the younger ones that lose or get something by it.
// Make it with NewIndex; it has no lock of its own.
type Index struct {
	policy   Policy
	objects  map[fleet.Autoscaler]*known
	owners   map[fleet.Key][]*entry // who has a Deployment, in their order: of one object, when all are looked at
	wanted   map[fleet.Key][]*entry // who asks for a Deployment, in their order, each once
	at       map[address][]*entry   // who asks for the very address, likewise
	register register
	newest   time.Time // of all ages that it was told of
}

// known is an object, as its claims of the same age.
type known struct {
	Object
	parts []*entry
}

// entry is what an object asks for since the same time, and what became of it.
type entry struct {
	fleet.Autoscaler
	since    time.Time
	targets  []Target
	places   []int  // of the targets in Object.Targets
	gone     bool   // it is in the index no more
	accepted []bool // of its targets
	refused  []Refusal
	held     []*holding
	asked    []*holding          // below its namespace's name
	keeps    map[*entry]struct{} // entries of other namespaces that are refused something because of it
	keptBy   []*entry
}

// Change is what became of an update, ordered.
type Change struct {
	// Keys are the Deployments that are owned by another object than before or at other targets, whose
	// owner has changed, or that nobody owns any more.
	Keys []fleet.Key
	// Refused are the objects that are refused something else than before, or for somebody else's sake.
	Refused []fleet.Autoscaler
}

// NewIndex makes an index of nothing.
func NewIndex() *Index {
	return &Index{
		objects: map[fleet.Autoscaler]*known{}, owners: map[fleet.Key][]*entry{},
		wanted: map[fleet.Key][]*entry{}, at: map[address][]*entry{}, register: register{},
	}
}

// Claim is who has a Deployment.
func (x *Index) Claim(k fleet.Key) (Claim, bool) {
	owners := x.owners[k]
	if len(owners) == 0 {
		return Claim{}, false
	}
	c := Claim{By: owners[0].Autoscaler}
	for _, e := range owners {
		if e.Autoscaler == c.By {
			c.Targets = append(c.Targets, e.at(k.Deployment)...)
		}
	}
	slices.Sort(c.Targets)
	return c, true
}

// at are the places of those of its targets at which it has a Deployment.
func (e *entry) at(deployment string) []int {
	var places []int
	for i, t := range e.targets {
		if t.Deployment == deployment && i < len(e.accepted) && e.accepted[i] {
			places = append(places, e.places[i])
		}
	}
	return places
}

// Refused says why an object has not all that it asks for; nil when it has.
func (x *Index) Refused(a fleet.Autoscaler) []Refusal {
	if o, known := x.objects[a]; known {
		return o.refused()
	}
	return nil
}

// refused is what its parts are refused, in the order of its targets.
func (o *known) refused() []Refusal {
	if len(o.parts) == 1 {
		return o.parts[0].refused
	}
	var all []Refusal
	for _, e := range o.parts {
		all = append(all, e.refused...)
	}
	slices.SortFunc(all, func(a, b Refusal) int { return cmp.Compare(a.Place, b.Place) })
	return all
}

// Would says what an object would be refused if it were there as it is given now, beside the others. Nothing
// changes. What it asks for below its namespace's name may take something from older ones, and older claims of it
// from younger ones, and then it may be refused less.
func (x *Index) Would(o Object) []Refusal {
	r, own := newRun(x), map[address]struct{}{}
	would := &known{Object: o, parts: o.parts()}
	for _, e := range would.parts {
		_, e.refused = r.judge(e, own)
		r.forgive(e)
	}
	return would.refused()
}

// Update takes objects that are new or have changed, and drops others.
func (x *Index) Update(set []Object, drop []fleet.Autoscaler) Change {
	r := newRun(x)
	for _, a := range drop {
		if o, known := x.objects[a]; known {
			r.drop(o)
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
	return x.again(func(string) bool { return true })
}

// Reconsider looks again at the objects of some namespaces: a rule's From says something else of them.
func (x *Index) Reconsider(namespaces map[string]struct{}) Change {
	return x.again(func(namespace string) bool { _, among := namespaces[namespace]; return among })
}

func (x *Index) again(which func(namespace string) bool) Change {
	r := newRun(x)
	for _, o := range x.objects {
		if !which(o.Namespace) {
			continue
		}
		for _, e := range o.parts {
			r.push(e)
		}
	}
	return r.finish()
}

func (x *Index) link(e *entry) {
	x.newest = later(x.newest, e.since)
	for _, t := range e.targets {
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
	e.gone = true
	for _, t := range e.targets {
		remove(x.wanted, fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}, e)
		for a := range t.addresses() {
			remove(x.at, a, e)
		}
	}
	for _, h := range e.asked {
		x.register.remove(h, asked)
	}
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

// before is the order in which claims are heard.
func (e *entry) before(other *entry) bool { return compareEntries(e, other) < 0 }

func compareEntries(a, b *entry) int {
	return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// moved are the Deployments whose claim is another one, or whose owner has changed.
func (x *Index) moved(before map[fleet.Key]Claim, changed map[fleet.Autoscaler]struct{}) []fleet.Key {
	keys := map[fleet.Key]struct{}{}
	for k, b := range before {
		if c, _ := x.Claim(k); c.By != b.By || !slices.Equal(b.Targets, c.Targets) {
			keys[k] = struct{}{}
		}
	}
	for a := range changed {
		o, there := x.objects[a]
		if !there {
			continue
		}
		for _, e := range o.parts {
			for k := range e.owned() {
				keys[k] = struct{}{}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(keys), fleet.Key.Compare)
}

// owned are the Deployments that it has; one may come twice.
func (e *entry) owned() iter.Seq[fleet.Key] {
	return func(yield func(fleet.Key) bool) {
		for i, t := range e.targets {
			if i < len(e.accepted) && e.accepted[i] && !yield(fleet.Key{Namespace: e.Namespace, Deployment: t.Deployment}) {
				return
			}
		}
	}
}
