package fleet

import (
	"maps"
	"slices"
	"sync"
)

// index finds applications. Its lock is held for a look or a change of the index alone; an
// application's own lock may be held meanwhile, and no other one is taken.
type index struct {
	mu         sync.RWMutex
	apps       map[Key]*application
	autoscaled map[Autoscaler][]Key // ordered
	owners     map[PodName]*application
	awake      map[*application]struct{} // those that have pods to lose
	told       map[*application]struct{} // those of which load balancers are told to send nothing new to pods
	states     map[State]int
	namespaces map[string]int // how many applications each has
	came       chan<- struct{}
}

func newIndex() index {
	return index{
		apps: map[Key]*application{}, autoscaled: map[Autoscaler][]Key{}, owners: map[PodName]*application{},
		awake: map[*application]struct{}{}, told: map[*application]struct{}{}, states: map[State]int{},
		namespaces: map[string]int{},
	}
}

// standing is how an application stands in the index.
type standing struct {
	autoscaler  Autoscaler
	state       State // "": it does not stand there
	awake, told bool
}

func (i *index) find(k Key) *application {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.apps[k]
}

// Knows tells whether there is an application of this key.
func (i *index) Knows(k Key) bool { return i.find(k) != nil }

func (i *index) all() []*application {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return slices.Collect(maps.Values(i.apps))
}

// members is a copy of one of the sets.
func (i *index) members(set map[*application]struct{}) []*application {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return slices.Collect(maps.Keys(set))
}

// add makes an application known, with its lock held.
func (i *index) add(a *application) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.apps[a.key] = a
	if i.namespaces[a.key.Namespace]++; i.namespaces[a.key.Namespace] == 1 {
		select {
		case i.came <- struct{}{}:
		default: // nobody asked, or it is known already
		}
	}
}

// place puts an application where it stands now. The caller has its lock.
func (i *index) place(a *application) {
	now := standing{
		autoscaler: Autoscaler{a.key.Namespace, a.seen.Autoscaler}, state: a.state(),
		awake: a.seen.Deployment.Replicas > 0, told: !a.quiet.told.nothing(),
	}
	if now == a.stands {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.move(a, now)
}

// remove drops an application. The caller has its lock.
func (i *index) remove(a *application) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.move(a, standing{})
	delete(i.apps, a.key)
	if i.namespaces[a.key.Namespace]--; i.namespaces[a.key.Namespace] == 0 {
		delete(i.namespaces, a.key.Namespace)
	}
	for name := range a.pods {
		i.disown(a, name)
	}
}

func (i *index) move(a *application, to standing) {
	from := a.stands
	a.stands = to
	if from.state != to.state {
		i.states[from.state]--
		i.states[to.state]++
	}
	belongs(i.awake, a, to.awake)
	belongs(i.told, a, to.told)
	if from.autoscaler == to.autoscaler {
		return
	}
	if list := slices.DeleteFunc(i.autoscaled[from.autoscaler], func(k Key) bool { return k == a.key }); len(list) == 0 {
		delete(i.autoscaled, from.autoscaler)
	} else {
		i.autoscaled[from.autoscaler] = list
	}
	if to.autoscaler != (Autoscaler{}) {
		list := i.autoscaled[to.autoscaler]
		at, _ := slices.BinarySearchFunc(list, a.key, Key.Compare)
		i.autoscaled[to.autoscaler] = slices.Insert(list, at, a.key)
	}
}

func belongs(set map[*application]struct{}, a *application, member bool) {
	if member {
		set[a] = struct{}{}
	} else {
		delete(set, a)
	}
}

// own notes which pods have come to an application and which it has lost. The caller has its lock.
func (i *index) own(a *application, come, gone []string) {
	if len(come)+len(gone) == 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, pod := range come {
		i.owners[PodName{a.key.Namespace, pod}] = a
	}
	for _, pod := range gone {
		i.disown(a, pod)
	}
}

func (i *index) disown(a *application, pod string) {
	if name := (PodName{a.key.Namespace, pod}); i.owners[name] == a { // else another one has it
		delete(i.owners, name)
	}
}

func (i *index) owner(pod PodName) *application {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.owners[pod]
}

// of are the applications that a CustomAutoscaler names, ordered.
func (i *index) of(a Autoscaler) []Key {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return slices.Clone(i.autoscaled[a])
}

// Keys are the applications, ordered.
func (f *Fleet) Keys() []Key {
	f.index.mu.RLock()
	keys := slices.Collect(maps.Keys(f.apps))
	f.index.mu.RUnlock()
	slices.SortFunc(keys, Key.Compare)
	return keys
}

// Namespaces are those that have applications, ordered.
func (f *Fleet) Namespaces() []string {
	f.index.mu.RLock()
	names := slices.Collect(maps.Keys(f.namespaces))
	f.index.mu.RUnlock()
	slices.Sort(names)
	return names
}

// NotifyNamespaces has c told when a namespace has its first application. As with package signal nobody waits for
// who does not listen: give it room for one.
func (f *Fleet) NotifyNamespaces(c chan<- struct{}) {
	f.index.mu.Lock()
	defer f.index.mu.Unlock()
	f.came = c
}

// Of are the applications that a CustomAutoscaler names, ordered.
func (f *Fleet) Of(namespace, autoscaler string) []Key {
	return f.of(Autoscaler{namespace, autoscaler})
}

// States counts the applications by state.
func (f *Fleet) States() map[State]int {
	n := map[State]int{Asleep: 0, Waking: 0, Awake: 0, FallingAsleep: 0, Unknown: 0}
	f.index.mu.RLock()
	defer f.index.mu.RUnlock()
	for state := range n {
		n[state] = f.states[state]
	}
	return n
}
