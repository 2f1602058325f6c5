package certificates

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// MapName is the ConfigMap by whose ca.crt the services are verified.
const MapName = "nemesis-ca"

// How often it is looked where the bundle is missing, and how many ConfigMaps are written at a time. What is
// left is for the next time.
const (
	publishEvery = 2 * time.Second
	writesAtOnce = 100
)

// PublisherOptions are what a Publisher works with. All are needed, but for Within, Came and Altered.
type PublisherOptions struct {
	Clients   *kube.Clients
	Log       *slog.Logger
	Namespace string // the controller's own
	Within    string // the only namespace that is watched beside it; "": all
	Bundle    func() (bundle []byte, changed <-chan struct{})
	// Namespaces are those that have applications; not known while the picture is not whole. Which of them
	// this replica writes in is Ours, so that replicas do not write the same.
	Namespaces func() (list map[string]bool, known bool)
	Ours       func(namespace string) bool
	// Came tells that there may be another one, whose first pod is started soon and mounts the bundle: what is not there
	// then comes to it only with the kubelet's next look, a minute later. nil: it is found within publishEvery.
	Came <-chan struct{}
	// Altered is told where somebody else has written the bundle; nil: nobody. It does not wait.
	Altered func(m *corev1.ConfigMap, by string)
}

// Publisher keeps the bundle in a ConfigMap in the controller's own namespace and in each namespace that has
// applications. Those of namespaces that have none any more are removed, as far as the label says that they
// are ours.
type Publisher struct {
	PublisherOptions
	kube      kubernetes.Interface
	informers []cache.SharedIndexInformer
	every     time.Duration // publishEvery, but in tests

	said map[string]string // the version of the ConfigMap of which Altered was told last, by namespace; for Run alone

	mu      sync.Mutex
	trouble string
}

// NewPublisher makes it.
func NewPublisher(o PublisherOptions) *Publisher {
	p := &Publisher{PublisherOptions: o, kube: o.Clients.Typed, every: publishEvery, said: map[string]string{}}
	for _, namespace := range kube.Watched(o.Namespace, o.Within) {
		p.informers = append(p.informers, kube.Informer(&corev1.ConfigMap{}, MapName, p.kube.CoreV1().ConfigMaps(namespace), keepWriters))
	}
	return p
}

// Run publishes until ctx ends. It never stops anything else.
func (p *Publisher) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	var synced []cache.InformerSynced
	for _, informer := range p.informers {
		if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			if ctx.Err() == nil {
				p.Log.Warn("watch interrupted", "resource", "the ConfigMaps "+MapName, "error", err)
				p.note("they cannot be read: " + kube.Message(err))
			}
		}); err != nil {
			return fmt.Errorf("watch the ConfigMaps %s: %w", MapName, err)
		}
		synced = append(synced, informer.HasSynced)
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		p.once(ctx)
		_, changed := p.Bundle()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-p.Came:
		case <-changed:
		}
	}
}

// once writes and removes what is due. What could not be done is tried the next time.
func (p *Publisher) once(ctx context.Context) {
	bundle, _ := p.Bundle()
	if bundle == nil {
		return
	}
	there := map[string]*corev1.ConfigMap{}
	for _, informer := range p.informers {
		for _, object := range informer.GetStore().List() {
			if m, ok := object.(*corev1.ConfigMap); ok && m.Name == MapName {
				there[m.Namespace] = m
			}
		}
	}
	maps.DeleteFunc(p.said, func(namespace, _ string) bool { return there[namespace] == nil })
	namespaces, known := p.Namespaces()
	wanted := map[string]bool{p.Namespace: true}
	for namespace := range namespaces {
		wanted[namespace] = true
	}
	work := Plan(there, wanted, known, string(bundle))
	fault, done := "", 0
	for _, w := range work {
		if !p.Ours(w.Namespace) {
			continue
		}
		if done++; done > writesAtOnce || ctx.Err() != nil {
			break
		}
		if m := there[w.Namespace]; m != nil && !w.Remove {
			p.say(m)
		}
		if err := p.do(ctx, w, string(bundle)); err != nil && ctx.Err() == nil {
			fault = "in a namespace with applications it is not as it should be; the log says in which, and why" // this is told to everybody
			if w.Namespace == p.Namespace {
				fault = fmt.Sprintf("%s/%s: %s", w.Namespace, MapName, kube.Message(err))
			}
			p.Log.Warn("the certificate authority is not published there; it is tried again", "namespace", w.Namespace, "remove", w.Remove, "error", err)
		}
	}
	p.note(fault)
}

// keepWriters keeps who wrote which field, which is dropped of other objects: see alteredBy.
func keepWriters(object any) (any, error) { return object, nil }

// say says, once, that somebody else has written the bundle: whose pods mount it would trust somebody else. It is written
// anew at once, and pods have it again as the kubelet looks. It cannot be immutable: pods that run are to get the next
// authority by it.
func (p *Publisher) say(m *corev1.ConfigMap) {
	by := alteredBy(m)
	if by == "" || p.said[m.Namespace] == m.ResourceVersion {
		return
	}
	p.said[m.Namespace] = m.ResourceVersion
	p.Log.Warn("the certificate authority was altered by somebody else; it is written anew", "namespace", m.Namespace, "configmap", MapName, "by", by)
	if p.Altered != nil {
		p.Altered(m, by)
	}
}

// alteredBy names who else has written the bundle, by the API server's own record of who wrote which field; "": nobody has.
func alteredBy(m *corev1.ConfigMap) (by string) {
	for _, entry := range m.ManagedFields {
		if entry.Manager != owner && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:`+authority.KeyCertificate+`"`) {
			return entry.Manager
		}
	}
	return ""
}

// Work is one ConfigMap that is to be written, or removed.
type Work struct {
	Namespace string
	Remove    bool
}

// Plan is what is to be done so that the bundle is where it is wanted, and nowhere else. Nothing is removed
// while it is not known where it is wanted.
func Plan(there map[string]*corev1.ConfigMap, wanted map[string]bool, known bool, bundle string) (work []Work) {
	for namespace := range wanted {
		if m := there[namespace]; m == nil || m.Data[authority.KeyCertificate] != bundle {
			work = append(work, Work{Namespace: namespace})
		}
	}
	for namespace, m := range there {
		if known && !wanted[namespace] && m.Labels[partOf] == product && m.DeletionTimestamp == nil {
			work = append(work, Work{Namespace: namespace, Remove: true})
		}
	}
	return work
}

func (p *Publisher) do(ctx context.Context, w Work, bundle string) error {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	published := p.kube.CoreV1().ConfigMaps(w.Namespace)
	if w.Remove {
		err := published.Delete(ctx, MapName, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	object := applycorev1.ConfigMap(MapName, w.Namespace).WithLabels(map[string]string{partOf: product}).
		WithData(map[string]string{authority.KeyCertificate: bundle})
	_, err := published.Apply(ctx, object, metav1.ApplyOptions{FieldManager: owner, Force: true})
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // the namespace goes
	}
	return err
}

func (p *Publisher) note(fault string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = fault
}

// Trouble is what people should look at.
func (p *Publisher) Trouble() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trouble == "" {
		return nil
	}
	return []string{"the ConfigMaps " + MapName + ", by which services are verified: " + p.trouble}
}
