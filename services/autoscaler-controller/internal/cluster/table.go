package cluster

import (
	"maps"
	"reflect"
	"slices"
	"sync"
)

// objectName names an object of a kind.
type objectName struct{ namespace, name string }

// table keeps the objects of one kind, each as little as is read of it, with an index by what they belong
// to. Objects are never changed once they are in it.
type table[T any] struct {
	name  func(*T) objectName
	group func(*T) objectName        // what it belongs to; the zero value: to nothing. nil: to itself
	news  func(touched []objectName) // called after each change with what objects belong to, or belonged

	mu      sync.RWMutex
	objects map[objectName]*T
	groups  map[objectName][]*T
}

func newTable[T any](name, group func(*T) objectName) *table[T] {
	return &table[T]{name: name, group: group, news: func([]objectName) {}, objects: map[objectName]*T{}, groups: map[objectName][]*T{}}
}

func (t *table[T]) get(n objectName) *T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.objects[n]
}

// in are the objects that belong to something, in no order.
func (t *table[T]) in(group objectName) []*T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.groups[group])
}

// all are the objects, in no order.
func (t *table[T]) all() []*T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.objects))
}

// Put takes an object that is new or has changed.
func (t *table[T]) Put(o *T) {
	t.mu.Lock()
	touched := t.exchange(t.name(o), o, nil)
	t.mu.Unlock()
	t.news(touched)
}

// Remove takes an object that was deleted.
func (t *table[T]) Remove(o *T) {
	t.mu.Lock()
	touched := t.exchange(t.name(o), nil, nil)
	t.mu.Unlock()
	t.news(touched)
}

// Replace takes all objects that there are.
func (t *table[T]) Replace(all []*T, _ uint64) {
	t.mu.Lock()
	there := make(map[objectName]struct{}, len(all))
	var touched []objectName
	for _, o := range all {
		n := t.name(o)
		there[n] = struct{}{}
		touched = t.exchange(n, o, touched)
	}
	for n := range t.objects {
		if _, still := there[n]; !still {
			touched = t.exchange(n, nil, touched)
		}
	}
	t.mu.Unlock()
	t.news(touched)
}

// exchange puts an object in the place of what is there; nil: of none. It adds what is touched by it, which
// is nothing where the two are the same.
func (t *table[T]) exchange(n objectName, o *T, touched []objectName) []objectName {
	before := t.objects[n]
	if before == o || before != nil && o != nil && reflect.DeepEqual(before, o) {
		return touched
	}
	if o == nil {
		delete(t.objects, n)
	} else {
		t.objects[n] = o
	}
	if t.group == nil {
		return append(touched, n)
	}
	was, is := t.groupOf(before), t.groupOf(o)
	if was != (objectName{}) {
		rest := slices.DeleteFunc(t.groups[was], func(other *T) bool { return other == before })
		if t.groups[was] = rest; len(rest) == 0 {
			delete(t.groups, was)
		}
		touched = append(touched, was)
	}
	if is != (objectName{}) {
		t.groups[is] = append(t.groups[is], o)
		if is != was {
			touched = append(touched, is)
		}
	}
	return touched
}

func (t *table[T]) groupOf(o *T) objectName {
	if o == nil {
		return objectName{}
	}
	return t.group(o)
}
