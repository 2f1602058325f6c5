package cluster

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// named is since when a CustomAutoscaler names a Deployment: an application that is taken in gets its
// own idle time. Kubernetes keeps no such moment. This process knows it of all that it has seen named;
// of what was named before it looked, the last write of the spec is an upper bound.
type named struct {
	by    string // the CustomAutoscaler's uid
	since time.Time
}

// name brings the moments up to date with the claims. With first, these were found and not made now.
func name(before map[fleet.Key]named, claims map[fleet.Key]claim, first bool, now time.Time) map[fleet.Key]named {
	after := make(map[fleet.Key]named, len(claims))
	for k, c := range claims {
		n, ok := before[k]
		switch {
		case ok && n.by == c.by.uid:
		case first:
			n = named{c.by.uid, c.by.written}
		default:
			n = named{c.by.uid, now}
		}
		after[k] = n
	}
	return after
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

// writers are the entries of a CustomAutoscaler's managed fields without the fields.
func writers(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	kept := make([]metav1.ManagedFieldsEntry, 0, len(entries))
	for _, e := range entries {
		kept = append(kept, metav1.ManagedFieldsEntry{Manager: e.Manager, Operation: e.Operation, Subresource: e.Subresource, Time: e.Time})
	}
	return kept
}
