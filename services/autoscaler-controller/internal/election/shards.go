package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/shards"
)

const (
	lookPeriod  = 500 * time.Millisecond // how often the Leases are looked at, and when the next one lapses
	callTimeout = 3 * time.Second
	// longestGap between two looks: over a longer one nobody could have been heard.
	longestGap = 3 * lookPeriod
)

// ShardsOptions say who takes part, and in what.
type ShardsOptions struct {
	Namespace string                    // of the Leases
	Name      string                    // of this replica
	Address   string                    // where the other replicas find its API, host:port; may be empty
	Balancers []func() ([]string, bool) // for each shard, as in Options
	Patience  []func() time.Duration    // the same; nil: the next leader is not told
	Joins     func() bool               // it may take part: its picture of the cluster is whole
}

// Shards takes part in the elections of all shards. Make it with NewShards, and Run it.
type Shards struct {
	o        ShardsOptions
	log      *slog.Logger
	leases   typedcoordinationv1.LeaseInterface
	self     string
	electors []*Elector
	layout   *layout
	planner  shards.Planner

	seen   []sighting // the shards' Leases
	looked time.Time  // when the Leases were last seen
	steady time.Time  // since when they are, without a gap
	stints []*stint   // nil: this replica does not stand for the shard
	failed string     // the last failure, logged once

	foe *standing // who leads in another layout
}

// stint is one time of standing for a shard, and of leading it.
type stint struct {
	cancel context.CancelFunc
	ended  chan struct{}
	over   bool // cancel was called
}

// NewShards makes it.
func NewShards(c *kube.Clients, log *slog.Logger, o ShardsOptions) *Shards {
	one := Options{Namespace: o.Namespace, Name: o.Name, Address: o.Address}
	n := len(o.Balancers)
	s := &Shards{
		o: o, log: log, leases: c.Typed.CoordinationV1().Leases(o.Namespace), self: one.identity(),
		planner: shards.Planner{Self: one.identity()}, seen: make([]sighting, n), stints: make([]*stint, n),
		foe: newStanding(),
	}
	s.layout = newLayout(s.leases, n, s.self)
	for i := range n {
		one.Balancers = o.Balancers[i]
		if o.Patience != nil {
			one.Patience = o.Patience[i]
		}
		e := newElector(c, log.With("shard", i), one, shardLease(i), leading)
		e.leases.layout = s.layout.mark
		s.electors = append(s.electors, e)
	}
	return s
}

func shardLease(i int) string { return leaseName + "-" + strconv.Itoa(i) }

// Elector is that of a shard.
func (s *Shards) Elector(shard int) *Elector { return s.electors[shard] }

// Elsewhere is who leads in another layout while this one waits for its end; "" is nobody.
func (s *Shards) Elsewhere() string {
	holder, _ := s.foe.now()
	return holder
}

// Leader is where the API of another layout's replicas is while that is in force, "" otherwise, and a
// channel that closes when that changes.
func (s *Shards) Leader() (address string, changed <-chan struct{}) {
	holder, changed := s.foe.now()
	return addressOf(holder), changed
}

// Run takes part until ctx ends, and calls leads[i] with a context that ends with each term of shard i.
// When ctx ends the Leases are given back.
func (s *Shards) Run(ctx context.Context, leads []func(context.Context)) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-next.C:
			lapse, err := s.look(ctx, leads)
			s.note(err)
			next.Reset(max(0, min(lookPeriod, time.Until(lapse))))
		}
	}
	var ending sync.WaitGroup
	for _, st := range s.stints {
		if st != nil {
			st.cancel()
			ending.Go(func() { <-st.ended })
		}
	}
	ending.Wait()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := s.layout.leave(leaving); err != nil {
		s.log.Warn("the layout's Lease is not given back", "error", err)
	}
	return nil
}

// look looks at the Leases once, and stands for what this replica should lead. It returns when the first of
// those that others lead would lapse.
func (s *Shards) look(life context.Context, leads []func(context.Context)) (lapse time.Time, err error) {
	lapse = time.Now().Add(lookPeriod)
	ctx, cancel := context.WithTimeout(life, callTimeout)
	defer cancel()
	list, err := s.leases.List(ctx, metav1.ListOptions{})
	if err != nil {
		return lapse, fmt.Errorf("the Leases: %w", err)
	}
	found := make(map[string]*coordinationv1.Lease, len(list.Items))
	for i := range list.Items {
		found[list.Items[i].Name] = &list.Items[i]
	}
	s.see(found, time.Now())
	live, err := s.layout.step(ctx, found[leaseName], s.o.Joins(), func(before string) string {
		return s.balancers(found, before)
	})
	now := time.Now()
	s.oppose(s.layout.elsewhere(found[leaseName], now))
	s.reap()
	holders, stand := s.holders(found, now), make([]bool, len(s.electors))
	force := s.layout.force()
	if force != nil {
		stand = s.planner.Stand(shards.View{Members: s.heard(live, found, now), Holders: holders}, now)
	}
	for i, e := range s.electors {
		st := s.stints[i]
		switch holder := holderOf(found[shardLease(i)]); {
		case stand[i] && st == nil:
			s.stints[i] = s.begin(life, force, e, leads[i])
		case !stand[i] && st != nil && !st.over:
			st.over = true
			st.cancel()
			s.log.Info("shard is given up", "shard", i)
		case !stand[i] && st == nil && holder != s.self:
			e.observe(holder)
		}
		if at := s.lapse(found, i); holders[i] != "" && holders[i] != s.self && at.Before(lapse) {
			lapse = at
		}
	}
	return lapse, err
}

// see takes down how the Leases stand.
func (s *Shards) see(found map[string]*coordinationv1.Lease, now time.Time) {
	if now.Sub(s.looked) > longestGap {
		s.steady = now
	}
	s.looked = now
	for i, e := range s.electors {
		if o := found[shardLease(i)]; o != nil {
			s.seen[i].see(o.ResourceVersion, now)
			e.leases.unchanged.Store(new(s.seen[i]))
		}
	}
}

// lapse is when a shard's Lease lapses unless it is renewed. After a time in which this replica heard of nobody
// it is no news that a Lease was not renewed: all begin anew, and lead what they led.
func (s *Shards) lapse(found map[string]*coordinationv1.Lease, shard int) time.Time {
	from := s.seen[shard].at
	if s.steady.After(from) {
		from = s.steady
	}
	return from.Add(durationOf(found[shardLease(shard)]))
}

// heard are the members without those that let a shard's Lease lapse and were not heard of since: a member is
// missed in the layout only later, and what it led would be left to it until then.
func (s *Shards) heard(live []string, found map[string]*coordinationv1.Lease, now time.Time) []string {
	gone := map[string]bool{}
	for i := range s.electors {
		lapsed, holder := s.lapse(found, i), holderOf(found[shardLease(i)])
		if holder != s.self && !now.Before(lapsed) && !s.layout.members[holder].at.After(lapsed) {
			gone[holder] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(live), func(m string) bool { return gone[m] })
}

// balancers are all that report to any shard's leader, for whoever leads in the layout that follows this
// one. While some shard was not led yet, those of the layout before are among them.
func (s *Shards) balancers(found map[string]*coordinationv1.Lease, before string) string {
	all := []string{}
	add := func(text string) {
		var names []string
		if json.Unmarshal([]byte(text), &names) == nil {
			all = append(all, names...)
		}
	}
	tag := s.layout.mark().tag
	for i := range s.electors {
		o := found[shardLease(i)]
		if tag == "" || o == nil || o.Annotations[layoutAnnotation] != tag {
			add(before)
			continue
		}
		add(o.Annotations[balancersAnnotation])
	}
	slices.Sort(all)
	text, _ := json.Marshal(slices.Compact(all)) // never fails
	return string(text)
}

// holders is who leads each shard now.
func (s *Shards) holders(found map[string]*coordinationv1.Lease, now time.Time) []string {
	list := make([]string, len(s.electors))
	for i, e := range s.electors {
		o := found[shardLease(i)]
		switch holder := holderOf(o); {
		case s.stints[i] != nil && s.stints[i].over: // it is being given up
		case e.terms.underWay():
			list[i] = s.self
		case holder == s.self && s.stints[i] == nil: // it was given up since
		case o != nil && !now.Before(s.lapse(found, i)): // nobody renews it
		default:
			list[i] = holder
		}
	}
	return list
}

// reap forgets the stints that have ended.
func (s *Shards) reap() {
	for i, st := range s.stints {
		if st == nil {
			continue
		}
		select {
		case <-st.ended:
			s.stints[i] = nil
			s.electors[i].observe("")
		default:
		}
	}
}

// begin stands for a shard: until its cancel, the end of the layout here, or of life.
func (s *Shards) begin(life, force context.Context, e *Elector, lead func(context.Context)) *stint {
	ctx, cancel := context.WithCancel(life)
	stop := context.AfterFunc(force, cancel)
	st := &stint{cancel: cancel, ended: make(chan struct{})}
	e.terms.open()
	go func() {
		defer close(st.ended)
		defer stop()
		if err := e.Run(ctx, lead); err != nil {
			s.log.Error("election failed", "error", err)
		}
	}()
	return st
}

// oppose takes note of who leads in another layout.
func (s *Shards) oppose(holder string) {
	if !s.foe.set(holder) {
		return
	}
	if holder != "" {
		s.log.Warn("another layout of shards is in force; this replica leads nothing until its replicas have gone", "holder", holder, "layout", s.layout.name)
		return
	}
	s.log.Info("no other layout of shards is in force", "layout", s.layout.name)
}

// note logs a failure when it is another one than before.
func (s *Shards) note(err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
	}
	if text != "" && text != s.failed {
		s.log.Warn("the shards' Leases cannot be followed", "error", text)
	}
	s.failed = text
}
