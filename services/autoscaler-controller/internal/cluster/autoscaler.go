package cluster

import (
	"encoding/json"
	"hash/maphash"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
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
func decode(u *unstructured.Unstructured) *autoscaler {
	spec, err := contract.ReadSpec(u.Object)
	return &autoscaler{
		Autoscaler: fleet.Autoscaler{Namespace: share(u.GetNamespace()), Name: u.GetName()}, Spec: spec,
		created: u.GetCreationTimestamp().Time, written: lastWritten(u), generation: u.GetGeneration(), uid: string(u.GetUID()), malformed: err,
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
func (a *autoscaler) is(u *unstructured.Unstructured) bool {
	return a.generation > 0 && a.generation == u.GetGeneration() && a.uid == string(u.GetUID())
}

// lastWritten is when the spec of a CustomAutoscaler was last written: when it was made, if no later write
// of anything but its status is known.
func lastWritten(u *unstructured.Unstructured) time.Time {
	at := u.GetCreationTimestamp().Time
	for _, e := range u.GetManagedFields() {
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

// statusOf is an object's status as JSON, and a digest that tells whether two are the same: a status is
// larger than all else that is kept of an object.
func statusOf(u *unstructured.Unstructured) (raw []byte, digest uint64) {
	raw, err := json.Marshal(u.Object["status"])
	if err != nil {
		return nil, 0 // never: it was JSON
	}
	return raw, maphash.Bytes(digestSeed, raw)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
