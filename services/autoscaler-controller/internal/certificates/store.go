// Package certificates keeps the certificate authority of the services' connections to each other: its
// state in a Secret, what is published of it in ConfigMaps, and whom it issues certificates to. What an
// authority is and when it is renewed is package authority's matter (pkg), who may ask for a certificate
// that of the API.
package certificates

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Where the authority stands, in the controller's own namespace.
const (
	SecretName = "nemesis-ca-key"
	owner      = "autoscaler-controller" // as the API server's field manager
	partOf     = "app.kubernetes.io/part-of"
	product    = "nemesis"
)

// Options are what a Store works with. All are needed, but for Times.
type Options struct {
	Clients   *kube.Clients
	Log       *slog.Logger
	Namespace string
	Identity  string // of this replica
	Times     authority.Times
	Now       func() time.Time // nil: time.Now
}

// Store is the authority as it stands in the Secret. Every replica reads it, and issues certificates by
// it; whoever sees first that it has to be renewed does so. The API server takes one of those who write
// at once, by the version that they had read, and the others read what that one wrote.
//
// A Secret that is deleted is written anew from what is known, with another root published at once: that
// is how a root is changed ahead of its time, and nobody is cut off by it.
type Store struct {
	Options
	kube     kubernetes.Interface
	informer cache.SharedIndexInformer
	due      chan struct{} // something was read

	mu      sync.Mutex
	version uint64 // of the Secret as last read or written; older news is ignored
	object  *corev1.Secret
	state   authority.State
	synced  bool   // whether there is a Secret is known
	trouble string // why there is no authority, or why it is not renewed
	changed chan struct{}
}

// New makes it.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		Options: o, kube: o.Clients.Typed, due: make(chan struct{}, 1), changed: make(chan struct{}), trouble: "it was not read yet",
		informer: kube.Informer(&corev1.Secret{}, SecretName, o.Clients.Typed.CoreV1().Secrets(o.Namespace), nil),
	}
}

// Run watches and renews until ctx ends. It never stops anything else: without the right to read, say,
// the rest of the controller works.
func (s *Store) Run(ctx context.Context) error {
	if err := s.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			s.Log.Warn("watch interrupted", "resource", "the Secret "+s.name(), "error", err)
			s.fault("it cannot be read: " + kube.Message(err))
		}
	}); err != nil {
		return fmt.Errorf("watch the certificate authority: %w", err)
	}
	registration, err := s.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { s.seen(object) },
		UpdateFunc: func(_, object any) { s.seen(object) },
		DeleteFunc: func(any) { s.gone() },
	})
	if err != nil {
		return fmt.Errorf("watch the certificate authority: %w", err)
	}
	var running sync.WaitGroup
	running.Go(func() { s.informer.RunWithContext(ctx) })
	if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		s.mu.Lock()
		s.synced = true
		s.mu.Unlock()
		s.renew(ctx)
	}
	running.Wait()
	return nil
}

// How soon what could not be written is tried again, and how often it is looked at least: a clock may have
// been set. The chance keeps replicas from writing in the same moment.
const (
	retryAfter = 5 * time.Second
	lookAfter  = time.Hour
	chance     = 0.2
)

// renew does what is due, until ctx ends.
func (s *Store) renew(ctx context.Context) {
	for {
		pause := lookAfter
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("the certificate authority was not renewed; it is tried again", "secret", s.name(), "error", err)
			pause = retryAfter
		} else if due := s.dueIn(); due < pause {
			pause = max(due, 0)
		}
		pause += time.Duration(rand.Float64() * chance * float64(min(pause, retryAfter)))
		timer := time.NewTimer(max(pause, 10*time.Millisecond))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.due:
		}
		timer.Stop()
	}
}

func (s *Store) dueIn() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Empty() {
		return retryAfter
	}
	return s.state.Due(s.Times).Sub(s.Now())
}

// once writes what is due; nothing is written when nothing is.
func (s *Store) once(ctx context.Context) error {
	s.mu.Lock()
	before, object, unreadable := s.state, s.object, s.trouble
	s.mu.Unlock()
	if object != nil && before.Empty() && len(object.Data[authority.KeyCertificate]) > 0 {
		return fmt.Errorf("%s; who deletes the Secret has another authority made, which every service has to read before it is believed", unreadable)
	}
	now := s.Now()
	state, what := before, ""
	if object == nil && !before.Empty() {
		what = "the Secret was deleted: it is written anew"
		rotated, err := before.Rotate(now, s.Times)
		if err != nil {
			return err
		}
		state = rotated
	}
	for range 4 { // a state that nobody looked at for a year has more than one thing to do
		next, did, err := state.Renew(now, s.Times)
		if err != nil {
			return err
		}
		if did == "" {
			break
		}
		state, what = next, did
	}
	if what == "" {
		s.settled()
		return nil
	}
	data, err := state.Encode()
	if err != nil {
		return err
	}
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	written, err := s.write(ctx, object, data)
	if err != nil {
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			return nil // another replica was faster: the watch says what it wrote
		}
		s.fault("it cannot be written: " + kube.Message(err))
		return err
	}
	s.Log.Info("certificate authority", "secret", s.name(), "what", what)
	s.take(written)
	return nil
}

// write makes the Secret where there is none, and changes the one that was read. For an ordinary create the
// right could not be bound to the name, for a server-side apply it can; and of two replicas that make it at
// once, each under its own name, one is told of the conflict.
func (s *Store) write(ctx context.Context, object *corev1.Secret, data map[string][]byte) (*corev1.Secret, error) {
	secrets := s.kube.CoreV1().Secrets(s.Namespace)
	if object == nil {
		made := applycorev1.Secret(SecretName, s.Namespace).WithLabels(map[string]string{partOf: product}).WithType(corev1.SecretTypeOpaque).WithData(data)
		return secrets.Apply(ctx, made, metav1.ApplyOptions{FieldManager: owner + "-" + s.Identity})
	}
	changed := object.DeepCopy()
	changed.Data = data
	return secrets.Update(ctx, changed, metav1.UpdateOptions{FieldManager: owner})
}

func (s *Store) seen(object any) {
	if secret, ok := object.(*corev1.Secret); ok {
		s.take(secret)
	}
}

// gone takes note that the Secret was deleted.
func (s *Store) gone() {
	s.mu.Lock()
	s.object, s.version = nil, 0
	s.mu.Unlock()
	s.ring()
}

// take reads a Secret, unless that is older than what is known.
func (s *Store) take(object *corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.ring()
	v := kube.Version(object.ResourceVersion)
	if v != 0 && v < s.version {
		return
	}
	same := s.object != nil && maps.EqualFunc(s.object.Data, object.Data, func(a, b []byte) bool { return string(a) == string(b) })
	s.version, s.object = v, object
	if same && !s.state.Empty() {
		return
	}
	state, err := authority.Decode(object.Data)
	if err != nil {
		s.trouble = err.Error()
		s.Log.Warn("the certificate authority cannot be read; what was known goes on counting", "secret", s.name(), "error", err)
		return
	}
	if state.Empty() && !s.state.Empty() {
		s.object = &corev1.Secret{ObjectMeta: object.ObjectMeta} // emptied by somebody: as if it were deleted, but for its version
		return
	}
	s.state, s.trouble = state, ""
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) ring() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

func (s *Store) fault(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = text
}

// settled takes note that nothing is to be done.
func (s *Store) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.Empty() {
		s.trouble = ""
	}
}

// Trouble is what people should look at.
func (s *Store) Trouble() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble == "" {
		return nil
	}
	return []string{fmt.Sprintf("the certificate authority, the Secret %s: %s", s.name(), s.trouble)}
}

// Bundle is what is published: by what certificates are verified. Nil while there is none. The channel
// closes when it changes.
func (s *Store) Bundle() ([]byte, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Bundle(), s.changed
}

// Sign issues a certificate, as PEM.
func (s *Store) Sign(key crypto.PublicKey, names authority.Names) ([]byte, error) {
	s.mu.Lock()
	state, trouble := s.state, s.trouble
	s.mu.Unlock()
	if state.Empty() {
		return nil, fault.New(fault.Unavailable, "there is no certificate authority: the Secret %s: %s", s.name(), trouble).After(time.Second)
	}
	return state.Issue(s.Now(), s.Times, key, names)
}

// Signed tells whether a certificate can be verified by what is published.
func (s *Store) Signed(c *x509.Certificate) bool {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	return state.Empty() || state.Signed(c, s.Now())
}

func (s *Store) name() string { return s.Namespace + "/" + SecretName }
