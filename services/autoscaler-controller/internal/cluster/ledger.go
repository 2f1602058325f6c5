package cluster

import (
	"maps"
	"slices"
	"sync"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// ledger is what is known of each CustomAutoscaler. Nothing is decoded under its lock.
type ledger struct {
	mu      sync.RWMutex
	entries map[fleet.Autoscaler]*entry
}

// entry is what is known of one. The object itself is not kept.
type entry struct {
	said    *autoscaler
	version string // of the object
	digest  uint64 // of its status
	kept    map[string]contract.Remembered
	refused []claims.Refusal // targets that others have, and why
	written *written         // by this process; nil: its status is not known here
}

// written is a status as the API server has stored it.
type written struct {
	status  contract.Status
	version string
	digest  uint64
}

func newLedger() *ledger { return &ledger{entries: map[fleet.Autoscaler]*entry{}} }

// get is a copy of what is known of one.
func (l *ledger) get(a fleet.Autoscaler) (entry, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	r, known := l.entries[a]
	if !known {
		return entry{}, false
	}
	return *r, true
}

// names are all that are known.
func (l *ledger) names() []fleet.Autoscaler {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Collect(maps.Keys(l.entries))
}

// each calls a function with each entry, which it must not change.
func (l *ledger) each(do func(*entry)) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, e := range l.entries {
		do(e)
	}
}

// keep reads an object: its spec once per generation, and its status when it is another one.
func (l *ledger) keep(o *kube.Raw) *sighting {
	s := &sighting{
		name: fleet.Autoscaler{Namespace: o.Meta.Namespace, Name: o.Meta.Name}, version: o.Meta.ResourceVersion, digest: digestOf(o.Status),
	}
	known, ok := l.get(s.name)
	said := known.said
	if !ok || !said.is(o) {
		s.said = decode(o).after(known.said)
		said = s.said
	}
	switch w := known.written; {
	case ok && s.said == nil && s.digest == known.digest:
		s.kept = known.kept
	case w != nil && w.digest == s.digest: // this process wrote it, and has read the answer
		s.kept = remembered(w.status, said)
	default:
		status := contract.DecodeStatus(o.Status)
		s.kept, s.record = remembered(status, said), recordOf(status)
	}
	return s
}

// take makes a sighting what is known, and returns what was before; the zero value: nothing.
func (l *ledger) take(s *sighting) (before entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, known := l.entries[s.name]
	if !known {
		r = &entry{}
	}
	before = *r
	if s.said != nil {
		r.said = s.said
	}
	if r.said == nil {
		return before // it was known when it was read, and has gone since
	}
	l.entries[r.said.Autoscaler] = r
	r.version, r.digest, r.kept = s.version, s.digest, s.kept
	if r.written != nil && r.digest != r.written.digest && !behind(r.version, r.written.version) {
		r.written = nil // somebody else wrote
	}
	return before
}

// drop forgets one, and returns what was known of it.
func (l *ledger) drop(a fleet.Autoscaler) (before entry, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, known := l.entries[a]
	if !known {
		return entry{}, false
	}
	delete(l.entries, a)
	return *r, true
}

// refuse takes what targets one has not, and why; false: it is not known.
func (l *ledger) refuse(a fleet.Autoscaler, why []claims.Refusal) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, known := l.entries[a]
	if known {
		r.refused = why
	}
	return known
}

// wrote takes an object as the API server has stored it, unless something else was seen since. sent is what was
// to be stored; the zero value: it was read.
func (l *ledger) wrote(o *kube.Raw, sent contract.Status) contract.Status {
	w := &written{status: contract.DecodeStatus(o.Status).WithClaimsOf(sent), version: o.Meta.ResourceVersion, digest: digestOf(o.Status)}
	l.mu.Lock()
	defer l.mu.Unlock()
	r, known := l.entries[fleet.Autoscaler{Namespace: o.Meta.Namespace, Name: o.Meta.Name}]
	if known && r.said.uid == string(o.Meta.UID) && (w.digest == r.digest || behind(r.version, w.version)) {
		r.written = w
	}
	return w.status
}

// behind tells whether a version is older than another one; false where that cannot be told.
func behind(a, b string) bool { return older(kube.Version(a), kube.Version(b)) }
