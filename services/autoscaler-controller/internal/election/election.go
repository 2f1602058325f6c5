// Package election holds the Lease by which one replica leads, and the terms of leadership: the work of one has
// ended before the next begins. The Lease also names, for the next leader, the load balancers that report to
// this one. What a leader does is no matter of this package.
package election

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// How the Lease is held. Nothing that a client waits for depends on it: any replica starts an
// application when the leader does not answer.
const (
	leaseName     = "autoscaler-controller"
	leaseDuration = 10 * time.Second
	renewDeadline = 7 * time.Second
	workDeadline  = 9 * time.Second // after the last renewal a term's work is cancelled, whatever the election says
	retryPeriod   = time.Second
)

// Elector takes part in the election of the one replica that scales.
type Elector struct {
	leases  *leases
	lock    *resourcelock.LeaseLock
	log     *slog.Logger
	self    string
	terms   *terms
	mu      sync.Mutex
	leader  string
	changed chan struct{}
}

// Options say who takes part. All of it goes into the Lease.
type Options struct {
	Namespace string                  // of the Lease
	Name      string                  // of this replica
	Address   string                  // where the other replicas find its API, host:port; may be empty
	Balancers func() ([]string, bool) // the load balancers that report to it; false while it does not lead
}

// New makes an elector.
func New(c *kube.Clients, log *slog.Logger, o Options) *Elector {
	self := o.Name + "_" + o.Address
	terms := newTerms()
	client := &leases{LeasesGetter: c.Typed.CoordinationV1(), self: self, balancers: o.Balancers, terms: terms}
	return &Elector{
		leases: client,
		lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: leaseName},
			Client:    client, LockConfig: resourcelock.ResourceLockConfig{Identity: self},
		},
		log: log, self: self, terms: terms, changed: make(chan struct{}),
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
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: e.lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
			ReleaseOnCancel: true, Name: leaseName,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(term context.Context) { e.terms.serve(term, lead) },
				OnStoppedLeading: func() {},
				OnNewLeader:      e.observe,
			},
		})
		if err != nil {
			return fmt.Errorf("leader election: %w", err)
		}
		elector.Run(electing)
	}
	e.terms.close() // the last term's work has ended before we have
	return nil
}

func (e *Elector) observe(identity string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leader = identity
	close(e.changed)
	e.changed = make(chan struct{})
	e.log.Info("leader elected", "leader", identity, "self", identity == e.self)
}

// Leader is where the leader's API is, "" when it is not known or is this replica itself; and a
// channel that closes when the leader changes.
func (e *Elector) Leader() (address string, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader == e.self {
		return "", e.changed
	}
	if i := strings.LastIndexByte(e.leader, '_'); i >= 0 {
		address = e.leader[i+1:]
	}
	return address, e.changed
}
