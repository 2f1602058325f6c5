package cluster

import (
	"hash/maphash"
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
	malformed  error // the object cannot be read; the rest is what was last known
}

// sighting is a CustomAutoscaler as the API server brings it.
type sighting struct {
	name    fleet.Autoscaler
	version string
	said    *autoscaler // nil: what is known already
	digest  uint64      // of the status
	kept    map[string]contract.Remembered
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
func (a *autoscaler) claimed() claims.Object { return claimedBy(a.Autoscaler, a.created, a.Spec) }

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

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
