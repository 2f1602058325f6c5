package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/chronicle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/cluster"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/election"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/ingest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/reporter"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/settings"
)

// part is what a shard has of its own; without shards there is one, of all applications.
type part struct {
	fleet   *fleet.Fleet
	loop    *control.Loop
	metrics *cluster.MetricsReader
	epoch   string

	news      *news.Board
	chronicle *chronicle.Chronicle
	reporter  *reporter.Reporter
}

// parts are all shards' parts. What comes from the cluster is told to the one that it is for, by its
// namespace, or to all.
type parts []part

var (
	_ cluster.Sink         = (parts)(nil)
	_ cluster.BalancerSink = (parts)(nil)
	_ settings.Sink        = (parts)(nil)
)

func (p parts) of(namespace string) *control.Loop { return p[shard.Of(namespace, len(p))].loop }

// ours tells which namespaces are those of a part.
func (p parts) ours(i int) func(namespace string) bool {
	return func(namespace string) bool { return shard.Of(namespace, len(p)) == i }
}

// name is what a shard goes by where measurements are told apart; "" where there is one alone.
func (p parts) name(i int) string {
	if len(p) == 1 {
		return ""
	}
	return strconv.Itoa(i)
}

// Observe takes news of an application.
func (p parts) Observe(o fleet.Observation) { p.of(o.Namespace).Observe(o) }

// Forget drops an application.
func (p parts) Forget(k fleet.Key) { p.of(k.Namespace).Forget(k) }

// Refresh has a status written anew.
func (p parts) Refresh(a fleet.Autoscaler) { p.of(a.Namespace).Refresh(a) }

// Alive takes the names of the load balancers whose pod runs and is ready.
func (p parts) Alive(names []string) {
	for _, one := range p {
		one.loop.Alive(names)
	}
}

// BalancerEnded takes note that the process of a load balancer ended then.
func (p parts) BalancerEnded(name string, at time.Time) {
	for _, one := range p {
		one.loop.BalancerEnded(name, at)
	}
}

// BalancerDeleted takes note that the pod of a load balancer was deleted.
func (p parts) BalancerDeleted(name string) {
	for _, one := range p {
		one.loop.BalancerDeleted(name)
	}
}

// Configure takes the settings of the load balancers.
func (p parts) Configure(s fleet.BalancerSettings) {
	for _, one := range p {
		one.fleet.Configure(s)
	}
}

// Measure takes what pods use.
func (p parts) Measure(list []fleet.Measurement) {
	if len(p) == 1 {
		p[0].loop.Measure(list)
		return
	}
	each := make([][]fleet.Measurement, len(p))
	for _, m := range list {
		i := shard.Of(m.Pod.Namespace, len(p))
		each[i] = append(each[i], m)
	}
	for i, some := range each {
		if len(some) > 0 {
			p[i].loop.Measure(some)
		}
	}
}

// Leading is how many shards are led here.
func (p parts) Leading() (n int) {
	for _, one := range p {
		if one.loop.Leading() {
			n++
		}
	}
	return n
}

// Run works until ctx ends.
func (p parts) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, one := range p {
		running.Go(func() { one.loop.Run(ctx) })
		running.Go(func() { one.metrics.Run(ctx) })
	}
	running.Wait()
}

// newParts makes so many, without their loops.
func newParts(n int) (parts, error) {
	p := make(parts, n)
	for i := range p {
		epoch, err := newEpoch()
		if err != nil {
			return nil, err
		}
		p[i].epoch, p[i].fleet = epoch, fleet.New(epoch)
	}
	return p, nil
}

// elections are those of all parts.
type elections struct {
	single *election.Elector // without shards
	shards *election.Shards  // with
}

func newElections(c *kube.Clients, log *slog.Logger, s Settings, p parts, whole func() bool) elections {
	if len(p) == 1 {
		return elections{single: election.New(c, log, election.Options{
			Namespace: s.Namespace, Name: s.Identity, Address: s.Advertise, Balancers: p[0].fleet.Balancers, Patience: p[0].fleet.Patience,
		})}
	}
	o := election.ShardsOptions{Namespace: s.Namespace, Name: s.Identity, Address: s.Advertise, Joins: whole}
	for _, one := range p {
		o.Balancers = append(o.Balancers, one.fleet.Balancers)
		o.Patience = append(o.Patience, one.fleet.Patience)
	}
	return elections{shards: election.NewShards(c, log, o)}
}

// of is the election of a part.
func (e elections) of(i int) *election.Elector {
	if e.shards == nil {
		return e.single
	}
	return e.shards.Elector(i)
}

// Run takes part until ctx ends.
func (e elections) Run(ctx context.Context, p parts) error {
	if e.shards == nil {
		return e.single.Run(ctx, p[0].Lead)
	}
	leads := make([]func(context.Context), len(p))
	for i := range p {
		leads[i] = p[i].Lead
	}
	return e.shards.Run(ctx, leads)
}

// trouble is what people should look at.
func (e elections) trouble() []string {
	elsewhere := e.single.Elsewhere
	if e.shards != nil {
		elsewhere = e.shards.Elsewhere
	}
	if holder := elsewhere(); holder != "" {
		return []string{fmt.Sprintf("another layout of shards is in force, held by %s: this replica leads nothing until its replicas have gone", holder)}
	}
	return nil
}

// newAPI makes the handler of the API. What the parts have of their own is not in o.
func newAPI(o httpapi.Options, p parts, e elections, i *instruments) (http.Handler, error) {
	pushed, err := ingest.NewMetrics(p, i, o.NodeOf)
	if err != nil {
		return nil, fmt.Errorf("pushes: %w", err)
	}
	each := make([]httpapi.Shard, len(p))
	for at, one := range p {
		each[at] = httpapi.Shard{
			Fleet: one.fleet, Control: one.loop, Leadership: e.of(at), Traffic: ingest.NewTraffic(one.loop, i, one.epoch), Metrics: pushed,
		}
		if one.chronicle != nil {
			each[at].News, each[at].History = one.news, one.chronicle
		}
	}
	if e.shards == nil {
		o.Pushes = pushed
		return httpapi.New(o.With(each[0]))
	}
	o.Leadership, o.Pushes = e.shards, pushed.Of(func(namespace string) (int, bool) {
		i := shard.Of(namespace, len(p))
		leader, _ := e.of(i).Leader()
		return i, leader == ""
	})
	return httpapi.NewSharded(o, each)
}
