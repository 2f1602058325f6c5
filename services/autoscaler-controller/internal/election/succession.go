package election

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// balancersAnnotation on the Lease names the load balancers that report to the leader, as a JSON list. The
// next leader awaits them, see fleet.Lead. They are written with each renewal, which happens every
// second anyway: no other write, right or object is needed, and the word of a leader that was
// killed is a second old at most.
const balancersAnnotation = "autoscaler-group.autoscaler/load-balancers"

// patienceAnnotation says how long any of these may be silent before it counts as gone: seconds, and the list
// that it is said of, since a leader of an older version writes another list and leaves this as it was.
const patienceAnnotation = "autoscaler-group.autoscaler/load-balancers-forgotten-after"

// leases is the client of the Lease, which writes and reads the annotation by the way.
type leases struct {
	typedcoordinationv1.LeasesGetter
	self      string                   // the holder that this process is
	balancers func() ([]string, bool)  // that report to this process; false while it does not lead
	patience  func() time.Duration     // how long any of these may be silent; nil: nobody is told
	found     atomic.Pointer[found]    // how the Lease stands in the cluster
	terms     *terms                   // of this process
	layout    func() layoutMark        // that a shard's Lease belongs to; nil: there are no shards
	unchanged atomic.Pointer[sighting] // of a shard's Lease; nil: nobody has looked before
}

// found is the part of the Lease that counts here.
type found struct{ holder, balancers, patience string }

// Leases implements the client.
func (l *leases) Leases(namespace string) typedcoordinationv1.LeaseInterface {
	return lease{l.LeasesGetter.Leases(namespace), l}
}

type lease struct {
	typedcoordinationv1.LeaseInterface
	leases *leases
}

// Get reads the Lease.
func (l lease) Get(ctx context.Context, name string, o metav1.GetOptions) (*coordinationv1.Lease, error) {
	found, err := l.LeaseInterface.Get(ctx, name, o)
	l.leases.note(found, err)
	if err == nil && l.leases.lapsed(found) {
		found.Spec.HolderIdentity = new("") // else client-go would begin to wait for what is over
	}
	return found, err
}

// Update renews the Lease, takes it over or gives it back. In the moment of taking over the
// annotation stays as the last leader wrote it. client-go renews as often as it looks; what was renewed just
// now is not written again.
func (l lease) Update(ctx context.Context, renewed *coordinationv1.Lease, o metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if holder := renewed.Spec.HolderIdentity; holder == nil || *holder == "" {
		l.leases.terms.end() // the next leader may begin at once
	}
	before := l.leases.found.Load()
	if before != nil && before.holder == l.leases.self && holderOf(renewed) == l.leases.self && l.leases.terms.fresh() {
		return renewed, nil
	}
	l.leases.mark(renewed)
	if names, leading := l.leases.balancers(); leading && before != nil && before.holder == l.leases.self {
		text, err := json.Marshal(append([]string{}, names...)) // none is [], not null
		if err != nil {
			return nil, err // never: they are strings
		}
		if renewed.Annotations == nil {
			renewed.Annotations = map[string]string{}
		}
		renewed.Annotations[balancersAnnotation] = string(text)
		if l.leases.patience != nil {
			renewed.Annotations[patienceAnnotation] = fmt.Sprintf("%d %s", l.leases.patience()/time.Second, text)
		}
	}
	began := time.Now()
	updated, err := l.LeaseInterface.Update(ctx, renewed, o)
	if err == nil {
		l.leases.terms.renewed(began)
	}
	l.leases.note(updated, err)
	return updated, err
}

// Create makes the Lease.
func (l lease) Create(ctx context.Context, made *coordinationv1.Lease, o metav1.CreateOptions) (*coordinationv1.Lease, error) {
	l.leases.mark(made)
	began := time.Now()
	made, err := l.LeaseInterface.Create(ctx, made, o)
	if err == nil {
		l.leases.terms.renewed(began)
	}
	l.leases.note(made, err)
	return made, err
}

// lapsed tells whether somebody else's Lease has been as it is for so long that it may be taken. It was
// looked at before this replica stood for it.
func (l *leases) lapsed(o *coordinationv1.Lease) bool {
	last := l.unchanged.Load()
	return last != nil && last.version == o.ResourceVersion && time.Since(last.at) >= durationOf(o) && holderOf(o) != l.self
}

// durationOf is for how long a Lease holds without being renewed, as whoever holds it said: it may be of
// another version, and rely on it for longer than we do.
func durationOf(o *coordinationv1.Lease) time.Duration {
	if o == nil || o.Spec.LeaseDurationSeconds == nil || *o.Spec.LeaseDurationSeconds <= 0 {
		return layoutLease
	}
	return time.Duration(*o.Spec.LeaseDurationSeconds) * time.Second
}

// mark writes on a shard's Lease which layout it belongs to. What it says of load balancers when it comes
// from another one is of another time, and of other applications: those of the layout count then.
func (l *leases) mark(o *coordinationv1.Lease) {
	if l.layout == nil {
		return
	}
	now := l.layout()
	if now.tag == "" || o.Annotations[layoutAnnotation] == now.tag {
		return
	}
	if o.Annotations == nil {
		o.Annotations = map[string]string{}
	}
	o.Annotations[layoutAnnotation], o.Annotations[balancersAnnotation] = now.tag, now.balancers
}

func (l *leases) note(o *coordinationv1.Lease, err error) {
	if err != nil {
		return
	}
	now := found{balancers: o.Annotations[balancersAnnotation], patience: o.Annotations[patienceAnnotation]}
	if o.Spec.HolderIdentity != nil {
		now.holder = *o.Spec.HolderIdentity
	}
	l.found.Store(&now)
}

// Awaited are the load balancers that the leader before received reports from; none when there was none.
func (e *Elector) Awaited() []string {
	stands := e.leases.found.Load()
	if stands == nil || stands.balancers == "" {
		return nil
	}
	var names []string
	if err := json.Unmarshal([]byte(stands.balancers), &names); err != nil {
		e.log.Warn("the Lease does not say which load balancers the leader before heard", "annotation", balancersAnnotation, "error", err)
		return nil
	}
	return names
}

// Patience is how long the awaited ones may be silent, in the words of the leader before; 0 when it did not say.
func (e *Elector) Patience() time.Duration {
	stands := e.leases.found.Load()
	if stands == nil {
		return 0
	}
	seconds, of, _ := strings.Cut(stands.patience, " ")
	n, err := strconv.Atoi(seconds)
	if err != nil || of != stands.balancers || n < 0 || n > 3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}
