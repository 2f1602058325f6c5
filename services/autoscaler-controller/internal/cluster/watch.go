package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

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
	informers informers
	log       *slog.Logger
	synced    atomic.Bool

	// mu makes "read the caches, tell the sink" one step, so that the sink never hears older news
	// after newer. What it guards takes microseconds.
	mu        sync.Mutex
	sink      Sink
	claims    map[fleet.Key]claim
	named     map[fleet.Key]named // nil before the first look
	refused   map[fleet.Autoscaler][]string
	known     map[fleet.Autoscaler]autoscaler // as last decoded
	byService map[string][]fleet.Key
}

// NewWatcher makes a watcher.
func NewWatcher(o Options) *Watcher {
	return &Watcher{
		informers: newInformers(o.Clients, o.Namespace), log: o.Log,
		claims: map[fleet.Key]claim{}, refused: map[fleet.Autoscaler][]string{}, known: map[fleet.Autoscaler]autoscaler{},
	}
}

// Run watches until ctx ends. Nothing is told before every cache is whole: half a picture (pods
// without their Deployment, say) would be read as a change.
func (w *Watcher) Run(ctx context.Context, sink Sink) error {
	w.sink = sink
	var running sync.WaitGroup
	defer running.Wait()
	var synced []cache.InformerSynced
	for name, i := range w.informers.all() {
		if err := i.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			if ctx.Err() == nil && (i != w.informers.scaledObjects || !apierrors.IsNotFound(err)) {
				w.log.Warn("watch interrupted", "resource", name, "error", err)
			}
		}); err != nil {
			return fmt.Errorf("watch %s: %w", name, err)
		}
		registration, err := i.AddEventHandler(w.handler(name))
		if err != nil {
			return fmt.Errorf("watch %s: %w", name, err)
		}
		synced = append(synced, registration.HasSynced)
		running.Go(func() { i.RunWithContext(ctx) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil // ctx has ended
	}
	w.mu.Lock()
	w.synced.Store(true)
	w.claim()
	w.mu.Unlock()
	w.log.Info("caches are whole")
	<-ctx.Done()
	return nil
}

// Missing says which caches are not whole yet; "" when all are.
func (w *Watcher) Missing() string {
	if w.synced.Load() {
		return ""
	}
	var missing []string
	for name, i := range w.informers.all() {
		if !i.HasSynced() {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return strings.TrimSpace("the first list of " + strings.Join(missing, ", "))
}

// handler routes the news of one kind to the applications it concerns.
func (w *Watcher) handler(name string) cache.ResourceEventHandler {
	react := func(object any) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if !w.synced.Load() {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if name == "customautoscalers" {
			w.claim()
			return
		}
		for _, k := range w.concerned(name, object) {
			w.observe(k)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    react,
		DeleteFunc: react,
		UpdateFunc: func(before, after any) {
			w.moved(name, before, after, react)
			react(after)
		},
	}
}

// moved tells the application that an object has left: a pod whose labels changed hands, say.
func (w *Watcher) moved(name string, before, after any, react func(any)) {
	of, ok := deploymentsOf[name]
	if !ok {
		return
	}
	was, _ := of(before)
	is, _ := of(after)
	if !slices.Equal(was, is) {
		react(before)
	}
}

// concerned are the applications that an object belongs to.
func (w *Watcher) concerned(kind string, object any) []fleet.Key {
	if of, ok := deploymentsOf[kind]; ok {
		names, _ := of(object)
		return keys(names)
	}
	switch kind {
	case "endpointslices":
		names, _ := serviceOf(object)
		if len(names) == 0 {
			return nil
		}
		return w.byService[names[0]]
	default:
		name, err := cache.MetaNamespaceKeyFunc(object)
		if err != nil {
			return nil
		}
		if kind == "services" {
			return w.byService[name]
		}
		return keys([]string{name})
	}
}

func keys(names []string) []fleet.Key {
	list := make([]fleet.Key, 0, len(names))
	for _, n := range names {
		if namespace, name, ok := strings.Cut(n, "/"); ok {
			list = append(list, fleet.Key{Namespace: namespace, Deployment: name})
		}
	}
	return list
}

// claim decides anew which CustomAutoscaler has which Deployment, and tells what changed. One that
// does not decode keeps what it last had, and stops nobody else. mu is held.
func (w *Watcher) claim() {
	known := map[fleet.Autoscaler]autoscaler{}
	for _, object := range w.informers.autoscalers.GetStore().List() {
		u, ok := object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		a, err := decode(u)
		if err != nil {
			before := w.known[a.Autoscaler]
			if before.malformed == nil || before.generation != a.generation {
				w.log.Warn("malformed CustomAutoscaler", "namespace", a.Namespace, "autoscaler", a.Name, "error", err)
			}
			before.Autoscaler, before.generation, before.uid, before.malformed = a.Autoscaler, a.generation, a.uid, err
			a = before
		}
		known[a.Autoscaler] = a
	}
	claims, refused := resolve(known)
	before := w.claims
	w.named = name(w.named, claims, w.named == nil, time.Now())
	stale := w.changed(known, refused)
	w.claims, w.refused, w.known = claims, refused, known
	w.byService = map[string][]fleet.Key{}
	for k, c := range claims {
		for _, service := range c.services() {
			name := k.Namespace + "/" + service
			w.byService[name] = append(w.byService[name], k)
		}
	}
	for k := range before {
		if _, ok := claims[k]; !ok {
			w.sink.Forget(k)
		}
	}
	for k, c := range claims {
		if !reflect.DeepEqual(before[k], c) {
			w.observe(k)
		}
	}
	for _, a := range stale {
		w.sink.Refresh(a)
	}
}

// changed are the CustomAutoscalers whose own standing is another one than before.
func (w *Watcher) changed(known map[fleet.Autoscaler]autoscaler, refused map[fleet.Autoscaler][]string) []fleet.Autoscaler {
	var list []fleet.Autoscaler
	for name, a := range known {
		before, ok := w.known[name]
		if !ok || before.generation != a.generation || before.uid != a.uid || !slices.Equal(w.refused[name], refused[name]) {
			list = append(list, name)
		}
	}
	return list
}
