package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// balancerLabel is what the load balancers' pods are known by.
const balancerLabel = "app.kubernetes.io/name=load-balancer"

// BalancerSink takes the names of the load balancers whose pod runs and is ready.
type BalancerSink interface {
	Alive(names []string)
}

// Balancers watches the load balancers' pods in the controller's own namespace: one that is silent, but
// runs and is ready, serves and is only not heard. Where they run elsewhere, or where this may not be
// looked at, nothing is known of their pods, and one that is silent for a minute counts as gone.
type Balancers struct {
	informer cache.SharedIndexInformer
	log      *slog.Logger
	sink     BalancerSink

	mu   sync.Mutex
	told []string
}

// NewBalancers makes it. It speaks to nobody yet.
func NewBalancers(c *Clients, log *slog.Logger, namespace string, sink BalancerSink) *Balancers {
	pods := c.kube.CoreV1().Pods(namespace)
	only := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector = balancerLabel
		return o
	}
	return &Balancers{
		log: log, sink: sink,
		informer: informer(&corev1.Pod{}, nil,
			func(ctx context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
				return pods.List(ctx, only(o))
			},
			func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return pods.Watch(ctx, only(o))
			}),
	}
}

// Run watches until ctx ends. It never stops anything else.
func (b *Balancers) Run(ctx context.Context) error {
	if err := b.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			b.log.Warn("watch interrupted", "resource", "the load balancers' pods", "error", err)
		}
	}); err != nil {
		return fmt.Errorf("watch the load balancers' pods: %w", err)
	}
	react := func(any) { b.tell() }
	if _, err := b.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: react, DeleteFunc: react, UpdateFunc: func(_, after any) { react(after) },
	}); err != nil {
		return fmt.Errorf("watch the load balancers' pods: %w", err)
	}
	b.informer.RunWithContext(ctx)
	return nil
}

// tell tells who is alive, if that is news.
func (b *Balancers) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	alive := make([]string, 0, 8)
	for _, object := range b.informer.GetStore().List() {
		if pod, ok := object.(*corev1.Pod); ok && runsReady(pod) {
			alive = append(alive, pod.Name)
		}
	}
	if slices.Sort(alive); slices.Equal(alive, b.told) {
		return
	}
	b.told = alive
	b.sink.Alive(alive)
}

// runsReady tells whether a pod runs and is ready.
func runsReady(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
