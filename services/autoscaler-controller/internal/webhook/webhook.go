// Package webhook has the API server find this replica's admission port and trust it: the authority in a Secret
// that all replicas read, this replica's certificate, and, as long as it leads, the two configurations in the
// cluster, into which it writes the authority's certificates and the path.
//
// The configurations are in manifests, without these two; where they are not, nothing is written, and nobody asks.
// When they are removed with Nemesis, pods and CustomAutoscalers are made as before.
package webhook

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	// Secret is where the authority stands, in the controller's own namespace.
	Secret = "nemesis-webhook-ca"
	// Configuration is the name of both configurations.
	Configuration = "nemesis-autoscaler-controller"

	keyPath   = "path" // of the Secret: the part of the path that only the API server knows
	owner     = "autoscaler-controller-webhook"
	lookEvery = 10 * time.Second
	retry     = time.Second // while there is no certificate
	mostSteps = 5           // of a renewal at once
)

// Options are what it works with. All are needed.
type Options struct {
	Clients   *kube.Clients
	Log       *slog.Logger
	Namespace string
	Service   string // before the port, in the same namespace
	Leads     func() bool
}

// Keeper keeps the certificate and the configurations as they ought to be. Make it with New, and Run it.
type Keeper struct {
	Options

	mu          sync.Mutex
	certificate *tls.Certificate
	path        string
	trouble     string
}

// New makes it.
func New(o Options) *Keeper {
	return &Keeper{Options: o, trouble: "the Secret " + o.Namespace + "/" + Secret + " was not read yet"}
}

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		k.note(k.look(ctx))
		pause := lookEvery
		if k.current() == nil {
			pause = retry
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// note takes what came of a look. What was known before goes on to hold.
func (k *Keeper) note(err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	k.mu.Lock()
	was := k.trouble
	k.trouble = trouble
	k.mu.Unlock()
	switch trouble {
	case was:
	case "":
		k.Log.Info("the webhook is ready")
	default:
		k.Log.Warn("the webhook is not as it ought to be", "error", trouble)
	}
}

// Trouble says what is not as it ought to be; "": nothing.
func (k *Keeper) Trouble() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trouble
}

// Path is the secret part of the path; "": it is not known yet.
func (k *Keeper) Path() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.path
}

// Certificate is for a tls.Config.
func (k *Keeper) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := k.current(); c != nil {
		return c, nil
	}
	return nil, errors.New("there is no certificate yet")
}

// Until is when the certificate expires; the zero value: there is none.
func (k *Keeper) Until() time.Time {
	if c := k.current(); c != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}

func (k *Keeper) current() *tls.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.certificate
}

func (k *Keeper) look(ctx context.Context) error {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	leads := k.Leads()
	state, path, err := k.authority(ctx, leads)
	if err != nil || path == "" {
		return err
	}
	if err := k.certify(state, path); err != nil {
		return err
	}
	if !leads {
		return nil
	}
	return k.point(ctx, state.Bundle(), path)
}

// goodPath is what the API server takes as a part of a path, and nobody guesses.
var goodPath = regexp.MustCompile(`^[a-z0-9]{20,63}$`)

// authority reads the Secret, and makes or renews what is in it if this replica leads.
func (k *Keeper) authority(ctx context.Context, leads bool) (authority.State, string, error) {
	where := k.Namespace + "/" + Secret
	found, err := k.Clients.Typed.CoreV1().Secrets(k.Namespace).Get(ctx, Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = &corev1.Secret{}, nil
	}
	if err != nil {
		return authority.State{}, "", kube.Refusal(err, "read the Secret "+where)
	}
	state, err := authority.Decode(found.Data)
	if err != nil {
		return authority.State{}, "", fmt.Errorf("the Secret %s: %w; delete it, and the one that leads makes another", where, err)
	}
	path := string(found.Data[keyPath])
	if !leads {
		if !goodPath.MatchString(path) {
			return state, "", fmt.Errorf("the Secret %s is not there: the replica that leads makes it", where)
		}
		return state, path, nil
	}
	changed := !goodPath.MatchString(path)
	if changed {
		path = strings.ToLower(rand.Text())
	}
	for range mostSteps {
		next, what, err := state.Renew(time.Now(), authority.Times{})
		if err != nil {
			return authority.State{}, "", err
		}
		if what == "" {
			break
		}
		state, changed = next, true
		k.Log.Info("the webhook's authority", "secret", where, "what", what)
	}
	if !changed {
		return state, path, nil
	}
	return state, path, k.keep(ctx, state, path, found.ResourceVersion)
}

// keep writes the Secret. Server-side apply makes it where there is none: for that the right to create may be
// bound to the name. A version has it fail when somebody else wrote meanwhile.
func (k *Keeper) keep(ctx context.Context, state authority.State, path, version string) error {
	data, err := state.Encode()
	if err != nil {
		return err
	}
	data[keyPath] = []byte(path)
	object := applycorev1.Secret(Secret, k.Namespace).WithLabels(map[string]string{"app.kubernetes.io/part-of": "nemesis"}).WithData(data)
	if version != "" {
		object = object.WithResourceVersion(version)
	}
	_, err = k.Clients.Typed.CoreV1().Secrets(k.Namespace).Apply(ctx, object, metav1.ApplyOptions{FieldManager: owner, Force: true})
	if err != nil {
		return kube.Refusal(err, "keep the webhook's authority in the Secret "+k.Namespace+"/"+Secret)
	}
	return nil
}

// certify sees to this replica's certificate.
func (k *Keeper) certify(state authority.State, path string) error {
	now, service := time.Now(), k.Service+"."+k.Namespace+".svc"
	certificate := k.current()
	if certificate == nil || !now.Before(authority.RenewAt(certificate.Leaf)) || !signed(state.Bundle(), certificate.Leaf, service, now) {
		key, _, err := authority.NewRequest()
		if err != nil {
			return err
		}
		chain, err := state.Issue(now, authority.Times{}, key.Public(), authority.Names{Common: k.Service, DNS: []string{service}})
		if err != nil {
			return err
		}
		if certificate, err = authority.Join(chain, key); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.certificate, k.path = certificate, path
	return nil
}

// signed tells whether who has the bundle takes a certificate.
func signed(bundle []byte, c *x509.Certificate, name string, now time.Time) bool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now})
	return err == nil
}
