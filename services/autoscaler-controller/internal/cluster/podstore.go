package cluster

import (
	"cmp"
	"reflect"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// podStore keeps the pods of applications that are asked for, and of no others. An application that begins
// to be asked for while pods are watched already has its pods listed once; the list and the watch come
// together by versions and uids, so that none brings back what the other knows to be gone:
//
//   - what a list of some version says is so, up to that version: of the watch, older news is ignored;
//   - a pod whose deletion is seen while its list is under way is not taken from the list.
type podStore struct {
	news func([]fleet.Key) // called after each change; no lock is held
	list func([]*podSet)   // asks for lists; no lock is held

	mu    sync.RWMutex
	pods  map[objectName]*pod
	sets  map[fleet.Key]*podSet
	gone  *gone
	begun bool // pods are watched, or about to be: what is asked for from now on must be listed
}

// podSet are the pods of one application.
type podSet struct {
	key     fleet.Key
	pods    []*pod // by name
	last    *shape // the newest, which others have too
	version uint64 // of the list: what is older is in it
	whole   bool   // was listed
	stale   bool   // the list that is under way is too old, see Replace

	gone map[string]struct{} // uids that were deleted while a list is under way; nil: none is
}

func newPodStore() *podStore {
	return &podStore{
		news: func([]fleet.Key) {}, list: func([]*podSet) {},
		pods: map[objectName]*pod{}, sets: map[fleet.Key]*podSet{}, gone: newGone(),
	}
}

// begin is called before the watch begins.
func (s *podStore) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
}

// want asks for the pods of an application from now on.
func (s *podStore) want(k fleet.Key) {
	s.mu.Lock()
	if _, known := s.sets[k]; known {
		s.mu.Unlock()
		return
	}
	set := &podSet{key: k}
	s.sets[k] = set
	begun := s.begun
	if begun {
		set.gone = map[string]struct{}{}
	}
	s.mu.Unlock()
	if begun {
		s.list([]*podSet{set})
	}
}

// drop forgets the pods of an application.
func (s *podStore) drop(k fleet.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, known := s.sets[k]
	if !known {
		return
	}
	for _, p := range set.pods {
		delete(s.pods, objectName{k.Namespace, p.name})
	}
	delete(s.sets, k)
}

// wants tells whether a set is still asked for: its application may have gone, and be there anew with another.
func (s *podStore) wants(set *podSet) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sets[set.key] == set
}

// of are the pods of an application, by name, and whether these are all.
func (s *podStore) of(k fleet.Key) (pods []*pod, whole bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	set, known := s.sets[k]
	if !known {
		return nil, false
	}
	return slices.Clone(set.pods), set.whole
}

// keep reads a pod, as far as its application is asked for.
func (s *podStore) keep(p *corev1.Pod) *pod {
	if k, ok := ownerOf(p); ok && s.wanted(k) {
		return keepPod(p)
	}
	return dismissedPod(p)
}

func (s *podStore) wanted(k fleet.Key) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sets[k] != nil
}

// Put takes a pod that is new or has changed. One whose application was not asked for when it was read is
// in the list that has begun since.
func (s *podStore) Put(p *pod) {
	s.mu.Lock()
	touched := s.put(p)
	s.mu.Unlock()
	s.news(touched)
}

func (s *podStore) put(p *pod) (touched []fleet.Key) {
	n := objectName{p.of.Namespace, p.name}
	before, set := s.pods[n], s.sets[p.of]
	if before != nil && older(p.version, before.version) {
		return nil
	}
	if before != nil && before.of != p.of {
		touched = append(touched, s.take(before))
		before = nil
	}
	listed := set != nil && p.version > 0 && p.version <= set.version // already
	if set != nil && !listed && !p.dismissed && s.place(set, p, before) {
		touched = append(touched, p.of)
	}
	return touched
}

// Remove takes a pod that was deleted.
func (s *podStore) Remove(p *pod) {
	s.mu.Lock()
	var touched []fleet.Key
	before := s.pods[objectName{p.of.Namespace, p.name}]
	for _, of := range []*pod{p, before} {
		if of == nil {
			continue
		}
		if set := s.sets[of.of]; set != nil && set.gone != nil {
			set.gone[p.uid] = struct{}{}
		}
	}
	if before != nil && before.uid == p.uid {
		s.gone.add(p.uid)
		touched = append(touched, s.take(before))
	}
	s.mu.Unlock()
	s.news(touched)
}

// place puts a pod in its set, in the place of what is there under its name, and tells whether that is news.
func (s *podStore) place(set *podSet, p, before *pod) bool {
	p.of = set.key // its strings, and not one more copy
	if before != nil && before.uid != p.uid {
		s.gone.add(before.uid)
	}
	switch {
	case before != nil && reflect.DeepEqual(before.shape, p.shape):
		p.shape = before.shape
	case set.last != nil && reflect.DeepEqual(set.last, p.shape):
		p.shape = set.last
	default:
		set.last = p.shape
	}
	at, there := set.find(p.name)
	if !there {
		set.pods = slices.Insert(set.pods, at, p)
		s.pods[objectName{set.key.Namespace, p.name}] = p
		return true
	}
	set.pods[at] = p
	s.pods[objectName{set.key.Namespace, p.name}] = p
	return !before.says(p)
}

// take removes a pod from its set.
func (s *podStore) take(p *pod) fleet.Key {
	delete(s.pods, objectName{p.of.Namespace, p.name})
	if set := s.sets[p.of]; set != nil {
		if at, there := set.find(p.name); there {
			set.pods = slices.Delete(set.pods, at, at+1)
		}
	}
	return p.of
}

func (set *podSet) find(name string) (at int, there bool) {
	return slices.BinarySearchFunc(set.pods, name, func(p *pod, name string) int { return cmp.Compare(p.name, name) })
}

// says tells whether it says the same as another, whatever their versions.
func (p *pod) says(other *pod) bool {
	if p == nil {
		return false
	}
	same := *p
	same.version = other.version
	return reflect.DeepEqual(&same, other)
}

// older tells whether a version is older than another one; false where one of them is not known.
func older(a, b uint64) bool { return a > 0 && b > 0 && a < b }
