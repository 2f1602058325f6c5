package cluster

import (
	"slices"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Replace takes all pods as they are at a version. It says nothing of applications of which a list of their
// own is newer, and too little of those that were not asked for yet when it began: they are listed again.
func (s *podStore) Replace(all []*pod, version uint64) {
	s.mu.Lock()
	listed, partial := map[*podSet][]*pod{}, map[*podSet]bool{}
	for _, p := range all {
		switch set := s.sets[p.of]; {
		case set == nil:
		case p.dismissed:
			partial[set] = true
		default:
			listed[set] = append(listed[set], p)
		}
	}
	var touched []fleet.Key
	var again []*podSet
	for _, set := range s.sets {
		switch {
		case older(version, set.version):
		case !partial[set]:
			touched = append(touched, s.reset(set, listed[set], version)...)
		case set.gone != nil:
			set.stale = true
		default:
			set.gone = map[string]struct{}{}
			again = append(again, set)
		}
	}
	s.mu.Unlock()
	if len(again) > 0 {
		s.list(again)
	}
	s.news(touched)
}

// merge takes the list of an application's pods that was asked for, as of a version. It returns whether the
// list must be made once more.
func (s *podStore) merge(set *podSet, listed []*pod, version uint64) (again bool) {
	s.mu.Lock()
	if s.sets[set.key] != set {
		s.mu.Unlock()
		return false // it is not asked for any more, or asked for anew
	}
	if set.stale {
		set.stale, set.gone = false, map[string]struct{}{}
		s.mu.Unlock()
		return true
	}
	var touched []fleet.Key
	if !older(version, set.version) {
		touched = s.reset(set, listed, version)
	}
	set.gone = nil
	s.mu.Unlock()
	s.news(touched)
	return false
}

// reset makes a set what a list says, beside what is newer, and returns the applications that this is news to.
func (s *podStore) reset(set *podSet, listed []*pod, version uint64) (touched []fleet.Key) {
	there, news := make(map[string]struct{}, len(listed)), !set.whole
	for _, p := range listed {
		if _, gone := set.gone[p.uid]; gone {
			continue
		}
		there[p.name] = struct{}{}
		before := s.pods[objectName{set.key.Namespace, p.name}]
		if before != nil && older(p.version, before.version) {
			continue
		}
		if before != nil && before.of != set.key {
			touched = append(touched, s.take(before))
			before = nil
		}
		news = s.place(set, p, before) || news
	}
	for _, p := range slices.Clone(set.pods) {
		if _, is := there[p.name]; !is && !older(version, p.version) {
			s.gone.add(p.uid)
			s.take(p)
			news = true
		}
	}
	set.version, set.whole = max(set.version, version), true
	if news {
		touched = append(touched, set.key)
	}
	return touched
}
