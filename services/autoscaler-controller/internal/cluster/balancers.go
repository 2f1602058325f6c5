package cluster

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	nameLabel         = "app.kubernetes.io/name"
	balancerName      = "load-balancer" // of what the load balancers' pods are known by
	collectorName     = "metrics-collector"
	controllerName    = "autoscaler-controller"
	servicesLabel     = nameLabel + " in (" + balancerName + ", " + collectorName + ", " + controllerName + ")" // of those whose tokens are looked at
	balancerContainer = "load-balancer"                                                                         // the load balancer's container in its pod
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
// nothing is known of their pods, and one that is silent for a minute counts as gone. Of collectors and of the
// controller's replicas it knows no more than whose pods are no more: see Gone.
type Balancers struct {
	follow    *following
	log       *slog.Logger
	sink      BalancerSink
	namespace string
	gone      *gone
	alive     []string // as the sink has them

	mu   sync.Mutex // of pods, which others look at
	pods map[string]balancer
}

// balancer is what is kept of a load balancer's pod.
type balancer struct {
	name  string
	uid   string
	other bool // it is another service's: the sink hears nothing of it
	alive bool
	ended time.Time // when its last process ended; zero: none did
}

func keepBalancer(p *corev1.Pod) balancer {
	of := p.Labels[nameLabel]
	return balancer{name: p.Name, uid: string(p.UID), other: of == collectorName || of == controllerName, alive: runsReady(p), ended: endOfBalancer(p)}
}

// NewBalancers makes it. It speaks to nobody yet.
func NewBalancers(c *kube.Clients, log *slog.Logger, namespace string, sink BalancerSink) *Balancers {
	b := &Balancers{log: log, sink: sink, namespace: namespace, gone: newGone(), pods: map[string]balancer{}}
	from := labelled{c.Typed.CoreV1().Pods(namespace), servicesLabel}
	b.follow = follow("the load balancers' and collectors' pods", from, keepBalancer, kube.Store[balancer](b), func(name string, err error) {
		b.log.Warn("watch interrupted", "resource", name, "error", err)
	})
	return b
}

// labelled are the objects of a kind that have a label.
type labelled struct {
	source[*corev1.PodList]
	label string
}

func (l labelled) List(ctx context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
	o.LabelSelector = l.label
	return l.source.List(ctx, o)
}

func (l labelled) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.LabelSelector = l.label
	return l.source.Watch(ctx, o)
}

// Run watches until ctx ends. It never stops anything else.
func (b *Balancers) Run(ctx context.Context) error {
	b.follow.run(ctx)
	return nil
}

// Put takes a pod that is new or has changed.
func (b *Balancers) Put(p balancer) {
	b.put(p)
	b.seen(p)
	b.publish()
}

// Remove takes a pod that was deleted.
func (b *Balancers) Remove(p balancer) {
	b.left(p)
	b.publish()
}

// Replace takes all pods that there are.
func (b *Balancers) Replace(all []balancer, _ uint64) {
	there := make(map[string]bool, len(all))
	for _, p := range all {
		there[p.name] = true
		b.put(p)
		b.seen(p)
	}
	for _, p := range b.pods {
		if !there[p.name] {
			b.left(p)
		}
	}
	b.publish()
}

func (b *Balancers) put(p balancer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before, known := b.pods[p.name]; known && before.uid != p.uid {
		b.gone.add(before.uid)
	}
	b.pods[p.name] = p
}

// left takes a pod that was deleted, as it was last seen.
func (b *Balancers) left(p balancer) {
	b.gone.add(p.uid)
	b.mu.Lock()
	delete(b.pods, p.name)
	b.mu.Unlock()
	if !p.other {
		b.sink.BalancerDeleted(p.name)
	}
	b.seen(p)
}

// seen takes a pod as it is now, or was last.
func (b *Balancers) seen(p balancer) {
	if !p.ended.IsZero() && !p.other {
		b.sink.BalancerEnded(p.name, p.ended)
	}
}

// publish says who is alive, if that is news.
func (b *Balancers) publish() {
	alive := make([]string, 0, len(b.pods))
	for _, p := range b.pods {
		if p.alive && !p.other {
			alive = append(alive, p.name)
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
