// Package settings keeps the load balancers' settings: the ConfigMap in which they stand, its watch, and its
// writing. How settings are spelled is the codec's matter, what the load balancers make of them theirs; the
// controller's own settings are read by app.
package settings

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Where the load balancers' settings are kept, in the controller's own namespace.
const (
	settingsName  = "load-balancer-settings"
	settingsKey   = "settings.yaml"
	settingsOwner = "autoscaler-controller" // as the API server's field manager
)

// Codec reads and writes settings as the contract has them; no text is every default.
type Codec interface {
	Read(text string) (fleet.BalancerSettings, error)
	Write(s fleet.BalancerSettings) (string, error)
}

// Sink takes the settings that every load balancer is to follow.
type Sink interface {
	Configure(s fleet.BalancerSettings)
}

// Options are what a Store works with. All are needed.
type Options struct {
	Clients   *kube.Clients
	Log       *slog.Logger
	Namespace string
	Codec     Codec
	Sink      Sink
	Events    Events // where a text that cannot be read is told of
}

// Events takes events.
type Events interface{ Add(e kube.Event) }

// Store keeps the load balancers' settings in a ConfigMap. Every replica watches it, so that all
// publish the same, whoever changed it: the API on any replica, or a person with kubectl.
//
// No ConfigMap is every default. One that cannot be read changes nothing: what was published before
// stays so, and a process that has published nothing yet goes on without, so that the load balancers
// keep what they follow.
//
// Their version is the ConfigMap's: the API server counts it, so that it grows whichever replica
// writes, and goes on growing when the ConfigMap is deleted and made again.
//
// It is written by server-side apply, which replaces our key at once and whatever stood there,
// leaves all else in the object alone, and makes the object where there is none: for that the right
// to create may be bound to the name, which for an ordinary create it cannot.
type Store struct {
	Options
	kube     kubernetes.Interface
	informer cache.SharedIndexInformer

	mu      sync.Mutex
	version uint64                  // of the ConfigMap as last read or written; older news is ignored
	good    *fleet.BalancerSettings // the last that could be read; nil: none yet
	trouble string                  // why what stands in the cluster is not followed; "" when it is
}

// New makes it.
func New(o Options) *Store {
	return &Store{
		Options: o, kube: o.Clients.Typed, trouble: "it was not read yet",
		informer: kube.Informer(&corev1.ConfigMap{}, settingsName, o.Clients.Typed.CoreV1().ConfigMaps(o.Namespace), nil),
	}
}

// Run watches until ctx ends. It never stops anything else: without the right to read, say, the
// rest of the controller works, and the load balancers keep what they follow.
func (s *Store) Run(ctx context.Context) error {
	if err := s.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			s.unread(err)
		}
	}); err != nil {
		return fmt.Errorf("watch the load balancers' settings: %w", err)
	}
	registration, err := s.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { s.seen(object, false) },
		UpdateFunc: func(_, object any) { s.seen(object, false) },
		DeleteFunc: func(object any) { s.seen(object, true) },
	})
	if err != nil {
		return fmt.Errorf("watch the load balancers' settings: %w", err)
	}
	var running sync.WaitGroup
	running.Go(func() { s.informer.RunWithContext(ctx) })
	if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) && s.last() == 0 {
		s.take(absent(s.informer.LastSyncResourceVersion()))
	}
	running.Wait()
	return nil
}

func (s *Store) seen(object any, deleted bool) {
	m, ok := object.(*corev1.ConfigMap)
	switch {
	case !ok: // that it is gone was not seen, but found out: all that is known is that it was after the last version
		s.take(absent(strconv.FormatUint(s.last()+1, 10)))
	case deleted:
		s.take(absent(m.ResourceVersion))
	default:
		s.take(m)
	}
}

// absent stands for no ConfigMap, as of a version.
func absent(version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
}

// last is the version that was read or written last, malformed or not; 0: none yet.
func (s *Store) last() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// unread takes note of a watch that broke. What was read before goes on being followed.
func (s *Store) unread(err error) {
	s.Log.Warn("watch interrupted", "resource", "the ConfigMap "+s.name(), "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good == nil {
		s.trouble = "it cannot be read: " + kube.Message(err)
	}
}

// take follows what the ConfigMap says, unless that is older than what is known. One without a
// version is news.
func (s *Store) take(m *corev1.ConfigMap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := kube.Version(m.ResourceVersion)
	if v != 0 && v < s.version {
		return
	}
	s.version = v
	read, err := s.read(m)
	if err != nil {
		s.trouble = err.Error()
		s.Log.Warn("malformed settings of the load balancers; the last good ones go on being followed", "configmap", s.name(), "error", err)
		s.Events.Add(kube.Event{Warning: true, Reason: "Malformed", Message: contract.Cut(err.Error() + "; the last good settings go on being followed"), About: corev1.ObjectReference{
			APIVersion: "v1", Kind: "ConfigMap", Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
		}})
		return
	}
	if s.good == nil || *s.good != read {
		s.Log.Info("settings of the load balancers", "policy", read.Policy, "max_connections", read.MaxConnections, "timeout", read.Timeout.String(), "version", read.Version)
	}
	s.good, s.trouble = &read, ""
	s.Sink.Configure(read)
}

func (s *Store) read(m *corev1.ConfigMap) (fleet.BalancerSettings, error) {
	text, ok := m.Data[settingsKey]
	if !ok && len(m.Data)+len(m.BinaryData) > 0 {
		// A person who wrote policy: random straight into it would wait for it in vain.
		return fleet.BalancerSettings{}, fault.New(fault.Invalid, "there is no key %s: the settings stand below it, as YAML", settingsKey)
	}
	read, err := s.Codec.Read(text)
	read.Version = kube.Version(m.ResourceVersion)
	return read, err
}

// Now are the settings that are followed; a fault.Unavailable when none could be read yet.
func (s *Store) Now() (fleet.BalancerSettings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good == nil {
		return fleet.BalancerSettings{}, fault.New(fault.Unavailable, "the settings stand in the ConfigMap %s: %s", s.name(), s.trouble).After(time.Second)
	}
	return *s.good, nil
}

// Trouble says why what stands in the ConfigMap is not followed; "" when it is.
func (s *Store) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

func (s *Store) name() string { return s.Namespace + "/" + settingsName }
