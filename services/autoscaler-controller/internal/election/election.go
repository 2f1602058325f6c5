// Package election holds the Lease by which one replica leads, and the terms of leadership: the work of one has
// ended before the next begins. The Lease also names, for the next leader, the load balancers that report to
// this one. What a leader does is no matter of this package.
//
// With shards (Shards) each has such a Lease, and what holds for the whole holds for each of them. Which
// replica stands for which is decided by package shards; what that needs is written on one more Lease, the
// layout's:
//
//   - It is the Lease that a controller without shards leads by, so that replicas of one layout and of
//     another never lead at the same time, whatever their versions: while any replica of a layout renews it,
//     those of others wait. A list of Leases would not do for that, for between looking and leading there is
//     time; this one is written with its resource version, and whoever could not write it for too long leads
//     nothing any more.
//   - Its annotation names the members, each with a number that grows with each renewal. One object that all
//     write to, every two seconds, needs no Lease for each replica, no right to delete those of replicas that
//     have gone, and nobody who does it.
//   - Like any leader's it names the load balancers that report, so that a layout awaits those of the one
//     before.
package election

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const leaseName = "autoscaler-controller"

// timing is how a Lease is held.
type timing struct {
	lease time.Duration // for how long it holds without being renewed
	renew time.Duration // after so long of failing to, its holder gives up
	work  time.Duration // after the last renewal a term's work is cancelled, whatever the election says
	retry time.Duration // how often it is looked at
	write time.Duration // how often it is renewed at most
}

// Nothing that a client waits for depends on a Lease: any replica starts an application when the leader does
// not answer. All else that is decided waits for the next leader, so the Lease of one who leads, all or a
// shard, is short: when it is killed it is followed within five seconds. A leader that cannot renew it because
// the API server is away could not scale anything either, and knows all that it knew when it leads again.
var leading = timing{lease: 4 * time.Second, renew: 2500 * time.Millisecond, work: 3500 * time.Millisecond, retry: 250 * time.Millisecond, write: 900 * time.Millisecond}

// The layout's Lease holds for longer: nobody waits for it but replicas of another layout, and all members
// write to it, each every two seconds, so that one who meets others there may come late. Whoever dies is
// missed sooner, by the shards' Leases that they let lapse.
const (
	layoutLease = 10 * time.Second
	layoutWork  = 9 * time.Second // after the last renewal nothing is led any more, as with timing.work
)

// Elector takes part in the election of the one replica that scales.
type Elector struct {
	leases *leases
	lock   *resourcelock.LeaseLock
	log    *slog.Logger
	self   string
	terms  *terms
	timing timing
	leader *standing
}

// Options say who takes part. All of it goes into the Lease.
type Options struct {
	Namespace string                  // of the Lease
	Name      string                  // of this replica
	Address   string                  // where the other replicas find its API, host:port; may be empty
	Balancers func() ([]string, bool) // the load balancers that report to it; false while it does not lead
	Patience  func() time.Duration    // how long any of these may be silent; nil: the next leader is not told
}

// identity is how a replica is named on a Lease.
func (o Options) identity() string { return o.Name + "_" + o.Address }

// addressOf is where the replica of this identity is found.
func addressOf(identity string) string {
	if i := strings.LastIndexByte(identity, '_'); i >= 0 {
		return identity[i+1:]
	}
	return ""
}

// New makes the elector of a controller without shards.
func New(c *kube.Clients, log *slog.Logger, o Options) *Elector {
	return newElector(c, log, o, leaseName, leading)
}

func newElector(c *kube.Clients, log *slog.Logger, o Options, name string, held timing) *Elector {
	self := o.identity()
	terms := newTerms(held)
	client := &leases{LeasesGetter: c.Typed.CoordinationV1(), self: self, balancers: o.Balancers, patience: o.Patience, terms: terms}
	return &Elector{
		leases: client,
		lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: name},
			Client:    client, LockConfig: resourcelock.ResourceLockConfig{Identity: self},
		},
		log: log, self: self, terms: terms, timing: held, leader: newStanding(),
	}
}

// Run takes part until ctx ends, again and again when the Lease is lost, and calls lead with a
// context that ends with each term. When ctx ends the Lease is given back at once: after the term's
// work has ended, for the next leader begins at that moment.
func (e *Elector) Run(ctx context.Context, lead func(context.Context)) error {
	// The election outlives ctx by the giving back.
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		e.terms.close()
		stop()
	})()
	for ctx.Err() == nil {
		one, lose := context.WithCancel(electing)
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: e.lock, LeaseDuration: e.timing.lease, RenewDeadline: e.timing.renew, RetryPeriod: e.timing.retry,
			ReleaseOnCancel: true, Name: e.lock.LeaseMeta.Name,
			Callbacks: leaderelection.LeaderCallbacks{
				// When the work has ended because a renewal took too long, client-go may still hold the Lease, and
				// would go on to renew it for nobody: it stands again.
				OnStartedLeading: func(term context.Context) {
					defer lose()
					e.terms.serve(term, lead)
				},
				OnStoppedLeading: func() {},
				OnNewLeader:      e.observe,
			},
		})
		if err != nil {
			lose()
			return fmt.Errorf("leader election: %w", err)
		}
		elector.Run(one)
		lose()
	}
	e.terms.close() // the last term's work has ended before we have
	return nil
}

func (e *Elector) observe(identity string) {
	if e.leader.set(identity) && identity != "" {
		e.log.Info("leader elected", "leader", identity, "self", identity == e.self)
	}
}

// Elsewhere is who leads in a layout of shards, when this is a controller without them; "" is nobody.
func (e *Elector) Elsewhere() string {
	if leader, _ := e.leader.now(); strings.HasPrefix(leader, layoutPrefix) {
		return leader
	}
	return ""
}

// Leader is where the leader's API is, "" when it is not known or is this replica itself; and a
// channel that closes when the leader changes.
func (e *Elector) Leader() (address string, changed <-chan struct{}) {
	leader, changed := e.leader.now()
	if leader == e.self {
		return "", changed
	}
	return addressOf(leader), changed
}
