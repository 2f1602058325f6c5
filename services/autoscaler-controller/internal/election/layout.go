package election

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

const (
	// layoutAnnotation on a shard's Lease says which layout it was last led in.
	layoutAnnotation = "autoscaler-group.autoscaler/layout"
	// membersAnnotation on the layout's Lease names the replicas that take part, as a JSON object: the number
	// of each grows with each renewal.
	membersAnnotation = "autoscaler-group.autoscaler/members"

	layoutPrefix = "shards/" // of the holder of the layout's Lease: no host's name has a slash
	renewPeriod  = 2 * time.Second
	memberExpiry = 10 * time.Second // after this without a renewal one is no member
	maxMembers   = 64
	writes       = 4 // attempts at one renewal, beside others who write
)

// layoutMark is what a shard's Lease takes over from the layout's.
type layoutMark struct {
	tag       string // "" while the layout is not in force here
	balancers string // as JSON
}

// layout is this replica's part in holding the layout's Lease. Only one goroutine uses it but for mark.
type layout struct {
	leases  typedcoordinationv1.LeaseInterface
	name    string // of the layout, as the Lease's holder begins
	self    string // of this replica
	members members
	lease   sighting
	renewed time.Time

	mu    sync.Mutex
	now   layoutMark
	ctx   context.Context //nolint:containedctx // ends when the layout is no longer in force here
	end   context.CancelFunc
	lapse *time.Timer
}

func newLayout(client typedcoordinationv1.LeaseInterface, shards int, self string) *layout {
	return &layout{leases: client, name: layoutPrefix + strconv.Itoa(shards), self: self, members: members{}}
}

// sighting is since when an object stands as it does, by our own clock: those of others may be off.
type sighting struct {
	version string
	at      time.Time
}

func (s *sighting) see(version string, now time.Time) {
	if s.version != version {
		*s = sighting{version, now}
	}
}

// members are the numbers of the others as last seen.
type members map[string]beat

// beat is a member's number, and since when it is this one.
type beat struct {
	number int64
	at     time.Time
}

// live takes down what the Lease says and returns who is live by it, ordered.
func (m members) live(said map[string]int64, now time.Time) []string {
	var list []string
	for name, number := range said {
		last, known := m[name]
		if !known || last.number != number {
			last = beat{number, now}
			m[name] = last
		}
		if now.Sub(last.at) < memberExpiry {
			list = append(list, name)
		}
	}
	maps.DeleteFunc(m, func(name string, _ beat) bool {
		_, there := said[name]
		return !there
	})
	slices.Sort(list)
	return list
}

func membersOf(o *coordinationv1.Lease) map[string]int64 {
	said := map[string]int64{}
	if text := o.Annotations[membersAnnotation]; text != "" && json.Unmarshal([]byte(text), &said) != nil {
		return map[string]int64{} // by hand: they will say so again
	}
	return said
}

func holderOf(o *coordinationv1.Lease) string {
	if o == nil || o.Spec.HolderIdentity == nil {
		return ""
	}
	return *o.Spec.HolderIdentity
}

// mark is what a shard's Lease takes over.
func (l *layout) mark() layoutMark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// force is a context that ends when the layout is no longer in force here; nil: it is not.
func (l *layout) force() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// ours tells whether the layout's Lease is held by replicas of this layout.
func (l *layout) ours(o *coordinationv1.Lease) bool {
	return strings.HasPrefix(holderOf(o), l.name+"_")
}

// elsewhere is who holds the layout's Lease for another layout; "" is nobody.
func (l *layout) elsewhere(o *coordinationv1.Lease, now time.Time) string {
	holder := holderOf(o)
	if holder == "" || l.ours(o) || now.Sub(l.lease.at) >= durationOf(o) {
		return ""
	}
	return holder
}

// step looks at the layout's Lease as it was found, nil when there is none, and renews it or takes it when
// that is due and allowed. joins is that this replica may become a member. It returns who is live.
func (l *layout) step(ctx context.Context, found *coordinationv1.Lease, joins bool, balancers func(before string) string) ([]string, error) {
	now := time.Now()
	if found != nil {
		l.lease.see(found.ResourceVersion, now)
	}
	if l.elsewhere(found, now) != "" {
		l.over()
		return nil, nil
	}
	var live []string
	if l.ours(found) {
		live = l.members.live(membersOf(found), now)
	}
	if !joins && !slices.Contains(live, l.self) || l.force() != nil && now.Sub(l.renewed) < renewPeriod {
		return live, nil
	}
	found, err := l.write(ctx, found, balancers)
	if err != nil {
		return live, err
	}
	return l.members.live(membersOf(found), time.Now()), nil
}

// write renews the Lease, or takes it.
func (l *layout) write(ctx context.Context, found *coordinationv1.Lease, balancers func(before string) string) (*coordinationv1.Lease, error) {
	var err error
	for range writes {
		began := time.Now()
		var written *coordinationv1.Lease
		if found == nil {
			written, err = l.leases.Create(ctx, l.renewal(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: leaseName}}, balancers), metav1.CreateOptions{})
		} else {
			written, err = l.leases.Update(ctx, l.renewal(found.DeepCopy(), balancers), metav1.UpdateOptions{})
		}
		if err == nil {
			l.lease.see(written.ResourceVersion, time.Now())
			l.renewed = began
			l.holds(written, began)
			return written, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("the layout's Lease: %w", err)
		}
		// Somebody else was faster: one of us, or of another layout.
		if found, err = l.leases.Get(ctx, leaseName, metav1.GetOptions{}); err != nil {
			return nil, fmt.Errorf("the layout's Lease: %w", err)
		}
		l.lease.see(found.ResourceVersion, time.Now())
		if l.elsewhere(found, time.Now()) != "" {
			l.over()
			return nil, fmt.Errorf("the layout's Lease: %s holds it", holderOf(found))
		}
	}
	return nil, fmt.Errorf("the layout's Lease: %w", err)
}

// renewal is the Lease as this replica writes it.
func (l *layout) renewal(o *coordinationv1.Lease, balancers func(before string) string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(time.Now())
	said, transitions := map[string]int64{}, int32(0)
	if o.Spec.LeaseTransitions != nil {
		transitions = *o.Spec.LeaseTransitions
	}
	if l.ours(o) {
		said = membersOf(o)
	} else {
		transitions++
		o.Spec.AcquireTime = &now
	}
	live := l.members.live(said, now.Time)
	number := said[l.self]
	maps.DeleteFunc(said, func(name string, _ int64) bool { return !slices.Contains(live, name) })
	if _, member := said[l.self]; member || len(said) < maxMembers {
		said[l.self] = number + 1
	}
	// The holder's address is where replicas of another layout find this one: a member's, the same as long
	// as it is there.
	speaker := strings.TrimPrefix(holderOf(o), l.name+"_")
	if !slices.ContainsFunc(slices.Collect(maps.Keys(said)), func(m string) bool { return addressOf(m) == speaker }) {
		speaker = addressOf(l.self)
	}
	before := o.Annotations[balancersAnnotation]
	if o.Annotations == nil {
		o.Annotations = map[string]string{}
	}
	text, _ := json.Marshal(said) // never fails
	o.Annotations[membersAnnotation], o.Annotations[balancersAnnotation] = string(text), balancers(before)
	o.Spec.HolderIdentity, o.Spec.LeaseDurationSeconds = new(l.name+"_"+speaker), new(int32(layoutLease/time.Second))
	o.Spec.RenewTime, o.Spec.LeaseTransitions = &now, &transitions
	return o
}

// holds takes note that the Lease was written: the layout is in force here until it must have lapsed for
// the others.
func (l *layout) holds(written *coordinationv1.Lease, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tag := fmt.Sprintf("%s@%d", strings.TrimPrefix(l.name, layoutPrefix), *written.Spec.LeaseTransitions)
	if l.ctx != nil && (l.now.tag != tag || !l.lapse.Stop()) {
		l.end()
		l.ctx = nil
	}
	l.now = layoutMark{tag, written.Annotations[balancersAnnotation]}
	left := layoutWork - time.Since(at)
	if l.ctx != nil {
		l.lapse.Reset(left)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.ctx, l.end = ctx, cancel
	l.lapse = time.AfterFunc(left, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ctx == ctx {
			l.close()
		}
	})
}

// over ends the layout here.
func (l *layout) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx != nil {
		l.lapse.Stop()
		l.close()
	}
}

func (l *layout) close() {
	l.end()
	l.ctx, l.end, l.now = nil, nil, layoutMark{}
}

// leave takes this replica out of the members, and gives the Lease back when it was the last one.
func (l *layout) leave(ctx context.Context) error {
	defer l.over()
	for {
		found, err := l.leases.Get(ctx, leaseName, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("the layout's Lease: %w", err)
		}
		said := membersOf(found)
		if _, member := said[l.self]; !member || !l.ours(found) {
			return nil
		}
		live := l.members.live(said, time.Now())
		delete(said, l.self)
		text, _ := json.Marshal(said) // never fails
		found.Annotations[membersAnnotation] = string(text)
		if !slices.ContainsFunc(live, func(m string) bool { return m != l.self }) {
			found.Spec.HolderIdentity, found.Spec.LeaseDurationSeconds = new(""), new(int32(1))
		}
		if _, err = l.leases.Update(ctx, found, metav1.UpdateOptions{}); err == nil || !apierrors.IsConflict(err) {
			return err //nolint:wrapcheck // it says whose Lease it is
		}
	}
}
