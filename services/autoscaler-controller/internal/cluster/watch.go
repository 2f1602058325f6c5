package cluster

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Sink takes what is seen.
type Sink interface {
	Observe(o fleet.Observation)
	Forget(k fleet.Key)
	Refresh(a fleet.Autoscaler) // its status may have to change
}

// Watcher watches the cluster and tells a Sink. Make it with NewWatcher, and Run it.
type Watcher struct {
	log  *slog.Logger
	sink Sink

	deployments         *table[deployment]
	services            *table[service]
	slices              *table[slice]
	hpas, scaledObjects *table[rival]
	policies            *table[claimPolicy]
	namespaces          *table[namespace]
	pods                *podStore
	lister              *podLister
	autoscalers         *ledger

	follows []*following // the kinds
	podsBy  *following   // that of pods, also among follows
	seen    *following   // that of CustomAutoscalers, also among follows

	apps      *applications
	byService *serviceIndex
	started   atomic.Bool // every cache is whole: what is seen is told

	forbidden sync.Map // kinds of which it is said that they may not be read

	// turn is had by whoever changes who has what; pods and the rest go on meanwhile.
	turn     sync.Mutex
	index    *claims.Index
	byLabels bool // a policy goes by the labels of namespaces
}

// NewWatcher makes a watcher.
func NewWatcher(o Options) *Watcher {
	w := newWatcher(o.Log)
	w.connect(o)
	return w
}

// newWatcher makes one without a cluster.
func newWatcher(log *slog.Logger) *Watcher {
	w := &Watcher{
		log: log, deployments: newTable(nameOfDeployment, nil), services: newTable(nameOfService, nil),
		slices: newTable(nameOfSlice, serviceOfSlice), hpas: newTable(nameOfRival, deploymentOfRival),
		scaledObjects: newTable(nameOfRival, deploymentOfRival), pods: newPodStore(), lister: newPodLister(log),
		autoscalers: newLedger(), apps: newApplications(), byService: &serviceIndex{keys: map[objectName][]fleet.Key{}},
		index: claims.NewIndex(), policies: newTable(nameOfPolicy, nil), namespaces: newTable(nameOfNamespace, nil),
	}
	w.policies.news, w.namespaces.news = w.govern, w.relabelled
	w.deployments.news, w.hpas.news, w.scaledObjects.news = w.ofDeployments, w.ofDeployments, w.ofDeployments
	w.services.news, w.slices.news = w.ofServices, w.ofServices
	w.pods.news, w.pods.list = w.observeAll, w.lister.ask
	w.lister.wanted, w.lister.merge, w.lister.selector = w.pods.wants, w.pods.merge, func(k fleet.Key) string {
		if d := w.deployments.get(objectName{k.Namespace, k.Deployment}); d != nil {
			return d.selector
		}
		return ""
	}
	return w
}

// Run watches until ctx ends. Nothing is told before every cache is whole: half a picture (pods
// without their Deployment, say) would be read as a change. Pods are watched when it is known whose.
func (w *Watcher) Run(ctx context.Context, sink Sink) error {
	w.sink = sink
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { w.lister.Run(ctx) })
	for _, f := range w.follows {
		if f != w.podsBy {
			running.Go(func() { f.run(ctx) })
		}
	}
	if !w.seen.wait(ctx) {
		return nil
	}
	w.pods.begin()
	running.Go(func() { w.podsBy.run(ctx) })
	for _, f := range w.follows {
		if !f.wait(ctx) {
			return nil
		}
	}
	w.start()
	w.log.Info("caches are whole")
	<-ctx.Done()
	return nil
}

// start tells all that is known, and from then on what changes.
func (w *Watcher) start() {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.started.Store(true)
	w.observeAll(w.apps.keys())
	logged := 0
	for _, a := range w.autoscalers.names() {
		w.sink.Refresh(a)
		if refused := w.index.Refused(a); len(refused) > 0 && logged < maxRefusalsLogged {
			logged += len(refused)
			w.logRefusals(objectName{a.Namespace, a.Name}, refused)
		}
	}
}

// Missing says which caches are not whole yet; "" when all are.
func (w *Watcher) Missing() string {
	if w.started.Load() {
		return ""
	}
	var missing []string
	for _, f := range w.follows {
		if !f.isWhole() {
			missing = append(missing, f.name)
		}
	}
	slices.Sort(missing)
	return strings.TrimSpace("the first list of " + strings.Join(missing, ", "))
}

// Autoscalers are the CustomAutoscalers of the namespaces that are chosen.
func (w *Watcher) Autoscalers(of func(namespace string) bool) []fleet.Autoscaler {
	return slices.DeleteFunc(w.autoscalers.names(), func(a fleet.Autoscaler) bool { return !of(a.Namespace) })
}

func (w *Watcher) ofDeployments(names []objectName) {
	for _, n := range distinct(names) {
		w.observe(fleet.Key{Namespace: n.namespace, Deployment: n.name})
	}
}

func (w *Watcher) ofServices(names []objectName) {
	for _, n := range distinct(names) {
		w.observeAll(w.byService.of(n))
	}
}

func (w *Watcher) observeAll(keys []fleet.Key) {
	for _, k := range distinct(keys) {
		w.observe(k)
	}
}

// distinct are the values of a list, each once.
func distinct[T comparable](list []T) []T {
	if len(list) < 2 {
		return list
	}
	seen, out := make(map[T]struct{}, len(list)), make([]T, 0, len(list))
	for _, v := range list {
		if _, twice := seen[v]; !twice {
			seen[v] = struct{}{}
			out = append(out, v)
		}
	}
	return out
}

// apply gives Deployments to whom they belong by now, and tells what changed. updated are CustomAutoscalers
// that are new or ask for something else. w.turn is held.
func (w *Watcher) apply(change claims.Change, updated []fleet.Autoscaler) {
	now := time.Now()
	var claimed []fleet.Key
	for _, k := range change.Keys {
		if c, owned := w.index.Claim(k); owned {
			w.assign(k, c, now)
			claimed = append(claimed, k)
		} else {
			w.release(k)
		}
	}
	for _, a := range change.Refused {
		refused := w.index.Refused(a)
		before := w.refusedKeys(a)
		if w.autoscalers.refuse(a, refused) {
			updated = append(updated, a)
			claimed = append(append(claimed, before...), w.refusedKeys(a)...) // these applications say it
		}
		if w.started.Load() {
			w.logRefusals(objectName{a.Namespace, a.Name}, refused)
		}
	}
	w.observeAll(claimed)
	if !w.started.Load() {
		return
	}
	for _, a := range distinct(updated) {
		w.sink.Refresh(a)
	}
}

// assign gives a Deployment to a CustomAutoscaler.
func (w *Watcher) assign(k fleet.Key, c claims.Claim, now time.Time) {
	by, _ := w.autoscalers.get(c.By)
	one := claim{by: by.said, targets: by.said.at(c.Targets)}
	w.byService.move(k, w.apps.claimOf(k).services(), one.services())
	w.apps.assign(k, one, by.kept[k.Deployment], !w.started.Load(), now)
	w.pods.want(k)
}

// release takes a Deployment from whoever had it.
func (w *Watcher) release(k fleet.Key) {
	w.byService.move(k, w.apps.claimOf(k).services(), nil)
	s := w.apps.shard(k)
	s.mu.Lock()
	app, known := s.apps[k]
	delete(s.apps, k)
	if known && app.told {
		w.sink.Forget(k)
	}
	s.mu.Unlock()
	w.pods.drop(k)
}
