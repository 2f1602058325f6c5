package claims

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Index knows at any time what Resolve would say of all its objects. An update costs what it touches: only
// those are resolved anew that meet a changed object at a Deployment or at an address, or meet one that
// does, and so on. Make it with NewIndex.
type Index struct {
	objects map[fleet.Autoscaler]Object
	at      map[point][]fleet.Autoscaler // who asks for it, each once
	claims  map[fleet.Key]Claim
	refused map[fleet.Autoscaler][]string
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
		objects: map[fleet.Autoscaler]Object{}, at: map[point][]fleet.Autoscaler{},
		claims: map[fleet.Key]Claim{}, refused: map[fleet.Autoscaler][]string{},
	}
}

// Claim is who has a Deployment.
func (x *Index) Claim(k fleet.Key) (Claim, bool) {
	c, ok := x.claims[k]
	return c, ok
}

// Refused says why an object has not all that it asks for; nil when it has.
func (x *Index) Refused(a fleet.Autoscaler) []string { return x.refused[a] }

// Update takes objects that are new or have changed, and drops others.
func (x *Index) Update(set []Object, drop []fleet.Autoscaler) Change {
	near := map[fleet.Autoscaler]struct{}{}
	before, after := map[fleet.Key]Claim{}, map[fleet.Key]Claim{}
	replace := func(a fleet.Autoscaler) {
		near[a] = struct{}{}
		for p := range x.objects[a].points() {
			x.reach(p, near)
		}
		x.release(x.objects[a], before)
		x.unlink(a)
	}
	for _, a := range drop {
		replace(a)
	}
	changed := make(map[fleet.Autoscaler]struct{}, len(set))
	for _, o := range set {
		replace(o.Autoscaler)
		x.link(o)
		changed[o.Autoscaler] = struct{}{}
	}
	refused := x.resolve(near, before, after)
	return Change{Keys: moved(before, after, changed), Refused: refused}
}

// resolve decides anew on those and on all whom they meet, however far. It moves their claims to after,
// those of before to before, and returns who is refused something else.
func (x *Index) resolve(near map[fleet.Autoscaler]struct{}, before, after map[fleet.Key]Claim) []fleet.Autoscaler {
	var objects []Object
	for a := range x.component(near) {
		if o, there := x.objects[a]; there {
			objects = append(objects, o)
			x.release(o, before)
		}
	}
	claims, refused := Resolve(objects)
	maps.Copy(after, claims)
	maps.Copy(x.claims, claims)
	var others []fleet.Autoscaler
	for a := range near {
		if slices.Equal(x.refused[a], refused[a]) {
			continue
		}
		others = append(others, a)
		if delete(x.refused, a); len(refused[a]) > 0 {
			x.refused[a] = refused[a]
		}
	}
	slices.SortFunc(others, compare)
	return others
}

// component adds to some all whom they meet, and whom these meet, and returns them.
func (x *Index) component(near map[fleet.Autoscaler]struct{}) map[fleet.Autoscaler]struct{} {
	queue, looked := slices.Collect(maps.Keys(near)), map[point]struct{}{}
	for len(queue) > 0 {
		o := x.objects[queue[len(queue)-1]]
		queue = queue[:len(queue)-1]
		for p := range o.points() {
			if _, done := looked[p]; done {
				continue
			}
			looked[p] = struct{}{}
			queue = append(queue, x.reach(p, near)...)
		}
	}
	return near
}

// reach adds those who meet at a point to some, and returns who was not among them.
func (x *Index) reach(p point, some map[fleet.Autoscaler]struct{}) []fleet.Autoscaler {
	var added []fleet.Autoscaler
	for _, a := range x.at[p] {
		if _, known := some[a]; !known {
			some[a] = struct{}{}
			added = append(added, a)
		}
	}
	return added
}

// release moves the claims of an object to a map.
func (x *Index) release(o Object, to map[fleet.Key]Claim) {
	for _, t := range o.Targets {
		k := fleet.Key{Namespace: o.Namespace, Deployment: t.Deployment}
		if c, owned := x.claims[k]; owned && c.By == o.Autoscaler {
			to[k] = c
			delete(x.claims, k)
		}
	}
}

func (x *Index) link(o Object) {
	x.objects[o.Autoscaler] = o
	for p := range o.points() {
		if !slices.Contains(x.at[p], o.Autoscaler) {
			x.at[p] = append(x.at[p], o.Autoscaler)
		}
	}
}

func (x *Index) unlink(a fleet.Autoscaler) {
	for p := range x.objects[a].points() {
		rest := slices.DeleteFunc(x.at[p], func(b fleet.Autoscaler) bool { return a == b })
		if x.at[p] = rest; len(rest) == 0 {
			delete(x.at, p)
		}
	}
	delete(x.objects, a)
}

// moved are the Deployments whose claim is another one, or whose owner has changed.
func moved(before, after map[fleet.Key]Claim, changed map[fleet.Autoscaler]struct{}) []fleet.Key {
	var keys []fleet.Key
	for k := range before {
		if _, owned := after[k]; !owned {
			keys = append(keys, k)
		}
	}
	for k, c := range after {
		_, news := changed[c.By]
		if b := before[k]; news || b.By != c.By || !slices.Equal(b.Targets, c.Targets) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, fleet.Key.Compare)
	return keys
}

func compare(a, b fleet.Autoscaler) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
