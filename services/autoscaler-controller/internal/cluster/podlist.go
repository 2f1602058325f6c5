package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	podListers = 4 // lists at a time, each of another namespace
	// fewSets is how many applications of a namespace have their pods listed one by one; of more, all
	// pods of the namespace are listed together.
	fewSets = 8
)

// podLister lists the pods of applications that begin to be asked for.
type podLister struct {
	list     func(ctx context.Context, namespace string, o metav1.ListOptions) (*corev1.PodList, error)
	selector func(fleet.Key) string // of an application's pods; "" is not known
	merge    func(set *podSet, listed []*pod, version uint64) (again bool)
	wanted   func(*podSet) bool // it is still asked for
	log      *slog.Logger

	namespaces workqueue.TypedRateLimitingInterface[string]
	mu         sync.Mutex
	asked      map[string][]*podSet // by namespace
}

func newPodLister(log *slog.Logger) *podLister {
	return &podLister{
		log: log, asked: map[string][]*podSet{},
		namespaces: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
}

// ask asks for lists. It does not wait.
func (l *podLister) ask(sets []*podSet) {
	l.mu.Lock()
	for _, set := range sets {
		l.asked[set.key.Namespace] = append(l.asked[set.key.Namespace], set)
	}
	l.mu.Unlock()
	for _, set := range sets {
		l.namespaces.Add(set.key.Namespace)
	}
}

// Run lists until ctx ends.
func (l *podLister) Run(ctx context.Context) {
	var running sync.WaitGroup
	for range podListers {
		running.Go(func() {
			for {
				namespace, over := l.namespaces.Get()
				if over {
					return
				}
				l.work(ctx, namespace)
				l.namespaces.Done(namespace)
			}
		})
	}
	<-ctx.Done()
	l.namespaces.ShutDown()
	running.Wait()
}

// work lists what is asked for in a namespace. What could not be listed is tried again after a pause.
func (l *podLister) work(ctx context.Context, namespace string) {
	l.mu.Lock()
	sets := l.asked[namespace]
	delete(l.asked, namespace)
	l.mu.Unlock()
	sets = slices.DeleteFunc(sets, func(set *podSet) bool { return !l.wanted(set) })
	var failed []*podSet
	var err error
	for _, together := range l.batches(sets) {
		if e := l.fetch(ctx, namespace, together); e != nil {
			failed, err = append(failed, together.sets...), e
		}
	}
	if err == nil {
		l.namespaces.Forget(namespace)
		return
	}
	if ctx.Err() != nil {
		return
	}
	l.log.Warn("pods not listed", "namespace", namespace, "applications", len(failed), "error", err)
	l.mu.Lock()
	l.asked[namespace] = append(l.asked[namespace], failed...)
	l.mu.Unlock()
	l.namespaces.AddRateLimited(namespace)
}

// batch are applications whose pods one list has.
type batch struct {
	selector string // "" is every pod of the namespace
	sets     []*podSet
}

func (l *podLister) batches(sets []*podSet) []batch {
	if len(sets) == 0 {
		return nil
	}
	all := []batch{{sets: sets}}
	if len(sets) > fewSets {
		return all
	}
	var each []batch
	for _, set := range sets {
		selector := l.selector(set.key)
		if selector == "" {
			return all
		}
		each = append(each, batch{selector, []*podSet{set}})
	}
	return each
}

// fetch lists a batch, a page at a time, as of the version of the first page.
func (l *podLister) fetch(ctx context.Context, namespace string, b batch) error {
	wanted, found := make(map[fleet.Key]bool, len(b.sets)), map[fleet.Key][]*pod{}
	for _, set := range b.sets {
		wanted[set.key] = true
	}
	o := metav1.ListOptions{LabelSelector: b.selector, Limit: kube.PageSize}
	var version uint64
	for {
		page, err := l.page(ctx, namespace, o)
		if err != nil {
			return fmt.Errorf("pods of %s: %w", namespace, err)
		}
		for i := range page.Items {
			if k, ok := ownerOf(&page.Items[i]); ok && wanted[k] {
				found[k] = append(found[k], keepPod(&page.Items[i]))
			}
		}
		if version == 0 {
			version = kube.Version(page.ResourceVersion)
		}
		if o.Continue = page.Continue; o.Continue == "" {
			break
		}
	}
	for _, set := range b.sets {
		if l.merge(set, found[set.key], version) {
			l.ask([]*podSet{set})
		}
	}
	return nil
}

func (l *podLister) page(ctx context.Context, namespace string, o metav1.ListOptions) (*corev1.PodList, error) {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	return l.list(ctx, namespace, o)
}
