package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	balancerLabel     = "app.kubernetes.io/name=load-balancer" // what the load balancers' pods are known by
	balancerContainer = "load-balancer"                        // the load balancer's container in its pod
)

// BalancerSink takes what becomes of the load balancers' pods. A load balancer goes by its pod's name.
type BalancerSink interface {
	Alive(names []string)                    // those whose pod runs and is ready, whenever they are others
	BalancerEnded(name string, at time.Time) // the process ended then
	BalancerDeleted(name string)             // its pod was deleted
}

// Balancers watches the load balancers' pods in the controller's own namespace: one that is silent, but
// runs and is ready, serves, and its reports alone do not arrive; one whose process has ended, or whose
// pod was deleted, counts as gone sooner. Where they run elsewhere, or where this may not be looked at,
// nothing is known of their pods, and one that is silent for a minute counts as gone.
type Balancers struct {
	informer cache.SharedIndexInformer
	log      *slog.Logger
	sink     BalancerSink

	mu    sync.Mutex
	alive []string // as the sink has them
}

// NewBalancers makes it. It speaks to nobody yet.
func NewBalancers(c *kube.Clients, log *slog.Logger, namespace string, sink BalancerSink) *Balancers {
	pods := c.Typed.CoreV1().Pods(namespace)
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
	if _, err := b.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: b.seen, UpdateFunc: func(_, after any) { b.seen(after) }, DeleteFunc: b.left,
	}); err != nil {
		return fmt.Errorf("watch the load balancers' pods: %w", err)
	}
	b.informer.RunWithContext(ctx)
	return nil
}

// seen takes a pod as it is now, or was last.
func (b *Balancers) seen(object any) {
	if pod, ok := object.(*corev1.Pod); ok {
		if at := endOfBalancer(pod); !at.IsZero() {
			b.sink.BalancerEnded(pod.Name, at)
		}
	}
	b.publish()
}

// left takes a pod that was deleted.
func (b *Balancers) left(object any) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	if pod, ok := object.(*corev1.Pod); ok {
		b.sink.BalancerDeleted(pod.Name)
	}
	b.seen(object)
}

// publish says who is alive, if that is news.
func (b *Balancers) publish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	alive := make([]string, 0, 8)
	for _, object := range b.informer.GetStore().List() {
		if pod, ok := object.(*corev1.Pod); ok && runsReady(pod) {
			alive = append(alive, pod.Name)
		}
	}
	if slices.Sort(alive); slices.Equal(alive, b.alive) {
		return
	}
	b.alive = alive
	b.sink.Alive(alive)
}

// runsReady tells whether a pod runs and is ready.
func runsReady(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodRunning && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// endOfBalancer is when the last process of the load balancer in the pod ended; zero: none did.
func endOfBalancer(pod *corev1.Pod) (at time.Time) {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != balancerContainer {
			continue
		}
		for _, s := range []corev1.ContainerState{c.State, c.LastTerminationState} {
			if s.Terminated != nil && s.Terminated.FinishedAt.After(at) {
				at = s.Terminated.FinishedAt.Time
			}
		}
	}
	return at
}
