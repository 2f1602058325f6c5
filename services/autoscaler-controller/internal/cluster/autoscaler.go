package cluster

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// autoscaler is what one generation of a CustomAutoscaler asks for. It is never changed.
type autoscaler struct {
	fleet.Autoscaler
	contract.Spec
	created    time.Time
	written    time.Time // when its spec was last written, as far as that is known
	generation int64
	uid        string
	malformed  error       // the object cannot be read; the rest is what was last known
	since      []time.Time // when each of Targets began to be asked for
}

// sighting is a CustomAutoscaler as the API server brings it.
type sighting struct {
	name    fleet.Autoscaler
	version string
	said    *autoscaler // nil: what is known already
	digest  uint64      // of the status
	kept    map[string]contract.Remembered
	record  record
}

// record is what a status that this process has not written says of claims, and of which generation.
type record struct {
	claims     []contract.Claim
	generation int64
}

func recordOf(s contract.Status) record {
	list, generation := s.Claims()
	return record{list, generation}
}

// decode reads an object.
func decode(o *kube.Raw) *autoscaler {
	spec, err := contract.DecodeSpec(o.Spec)
	return &autoscaler{
		Autoscaler: fleet.Autoscaler{Namespace: share(o.Meta.Namespace), Name: o.Meta.Name}, Spec: spec,
		created: o.Meta.CreationTimestamp.Time, written: lastWritten(o), generation: o.Meta.Generation, uid: string(o.Meta.UID), malformed: err,
	}
}

// after is what is known of a CustomAutoscaler after another one: one that cannot be read keeps what it last
// had.
func (a *autoscaler) after(before *autoscaler) *autoscaler {
	if a.malformed == nil {
		return a
	}
	out := autoscaler{}
	if before != nil {
		out = *before
	}
	out.Autoscaler, out.generation, out.uid, out.malformed = a.Autoscaler, a.generation, a.uid, a.malformed
	return &out
}

// is tells whether an object is of this generation. One that does not say is always another one.
func (a *autoscaler) is(o *kube.Raw) bool {
	return a.generation > 0 && a.generation == o.Meta.Generation && a.uid == string(o.Meta.UID)
}

// lastWritten is when the spec of a CustomAutoscaler was last written: when it was made, if no later write
// of anything but its status is known.
func lastWritten(o *kube.Raw) time.Time {
	at := o.Meta.CreationTimestamp.Time
	for _, e := range o.Meta.ManagedFields {
		if e.Time != nil && e.Subresource == "" && e.Time.After(at) {
			at = e.Time.Time
		}
	}
	return at
}

// claimed is what it claims.
func (a *autoscaler) claimed() claims.Object {
	o := claimedBy(a.Autoscaler, a.created, a.Spec)
	for i, since := range a.since {
		o.Targets[i].Since = since
	}
	return o
}

// asks are its claims as its status keeps them.
func (a *autoscaler) asks() []contract.Claim {
	list := make([]contract.Claim, len(a.Targets))
	for i, t := range a.Targets {
		list[i] = contract.Claim{Deployment: t.Name, Prefix: t.Prefix, Hosts: t.Hosts}
		if i < len(a.since) {
			list[i].Since = a.since[i]
		}
	}
	return list
}

// tells tells whether a record is of what it asks for.
func (r record) tells(a *autoscaler) bool {
	return len(r.claims) > 0 && r.generation == a.generation && slices.EqualFunc(r.claims, a.asks(), contract.Claim.Same)
}

// targets are the claims of a record.
func (r record) targets() []claims.Target {
	list := make([]claims.Target, len(r.claims))
	for i, c := range r.claims {
		list[i] = claims.Target{Deployment: c.Deployment, Prefix: c.Prefix, Hosts: c.Hosts, Since: c.Since}
	}
	return list
}

// seen is what it asks for, with what is known of how long it does: by whoever wrote the status of this very
// spec; by this process, which has seen another one before; by a status of an older one. Where no claim was ever
// written down, by an older version or because the object is new, they are as old as the object, unless it was
// edited since.
func (a *autoscaler) seen(before *autoscaler, r record) claims.Seen {
	s := claims.Seen{Object: claimedBy(a.Autoscaler, a.created, a.Spec), Edited: true}
	switch {
	case r.tells(a):
		s.Known = r.targets()
	case before != nil && before.uid == a.uid:
		s.Known = before.claimed().Targets
	case len(r.claims) > 0:
		s.Known = r.targets()
	default:
		s.Edited = a.generation > 1 && r.generation != a.generation
	}
	return s
}

func claimedBy(a fleet.Autoscaler, created time.Time, spec contract.Spec) claims.Object {
	o := claims.Object{Autoscaler: a, Created: created}
	for _, t := range spec.Targets {
		o.Targets = append(o.Targets, claims.Target{Deployment: t.Name, Prefix: t.Prefix, Hosts: t.Hosts})
	}
	return o
}

// keys are the Deployments that it names; one may come twice.
func (a *autoscaler) keys() []fleet.Key {
	list := make([]fleet.Key, len(a.Targets))
	for i, t := range a.Targets {
		list[i] = fleet.Key{Namespace: a.Namespace, Deployment: t.Name}
	}
	return list
}

// remembered are the targets of which a status keeps something.
func remembered(status contract.Status, a *autoscaler) map[string]contract.Remembered {
	var kept map[string]contract.Remembered
	for _, t := range a.Targets {
		r := status.Remembered(t.Name)
		if r.Slept == 0 && r.Learned.PodConcurrency == 0 && r.Learned.ServiceTime == 0 && len(r.Learned.Starts) == 0 {
			continue
		}
		if kept == nil {
			kept = map[string]contract.Remembered{}
		}
		kept[t.Name] = r
	}
	return kept
}

// digestSeed is of this process: digests are not kept.
var digestSeed = maphash.MakeSeed()

// digestOf tells whether two statuses are the same, which are larger than all else that is kept of an object.
// The API server writes the same one always in the same words.
func digestOf(status []byte) uint64 { return maphash.Bytes(digestSeed, status) }
