package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// api is an API server with the Secret and the two configurations; nil: it is not there.
type api struct {
	mu         sync.Mutex
	secret     *corev1.Secret
	mutating   *admissionregistrationv1.MutatingWebhookConfiguration
	validating *admissionregistrationv1.ValidatingWebhookConfiguration
	writes     []string
	refuse     string // a part of "METHOD path" that is forbidden
	away       bool
}

// RoundTrip answers without a network, for virtual time.
func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		return nil, io.ErrUnexpectedEOF
	}
	w := httptest.NewRecorder()
	status, answer := a.answer(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (a *api) answer(r *http.Request) (int, any) {
	refusal := func(code int, reason metav1.StatusReason) (int, any) {
		return code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: string(reason)}
	}
	call := r.Method + " " + r.URL.Path
	if a.refuse != "" && strings.Contains(call, a.refuse) {
		return refusal(http.StatusForbidden, metav1.StatusReasonForbidden)
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if r.Method != http.MethodGet {
		a.writes = append(a.writes, call)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/secrets/"+Secret):
		return a.ofSecret(r, body, refusal)
	case strings.HasSuffix(r.URL.Path, "/mutatingwebhookconfigurations/"+Configuration) && a.mutating != nil:
		return patched(r, body, a.mutating, "MutatingWebhookConfiguration")
	case strings.HasSuffix(r.URL.Path, "/validatingwebhookconfigurations/"+Configuration) && a.validating != nil:
		return patched(r, body, a.validating, "ValidatingWebhookConfiguration")
	}
	return refusal(http.StatusNotFound, metav1.StatusReasonNotFound)
}

func (a *api) ofSecret(r *http.Request, body []byte, refusal func(int, metav1.StatusReason) (int, any)) (int, any) {
	if r.Method == http.MethodPatch {
		var sent corev1.Secret
		if err := yaml.Unmarshal(body, &sent); err != nil {
			return refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest)
		}
		version := 0
		if a.secret != nil {
			version, _ = strconv.Atoi(a.secret.ResourceVersion)
		}
		if sent.ResourceVersion != "" && sent.ResourceVersion != strconv.Itoa(version) {
			return refusal(http.StatusConflict, metav1.StatusReasonConflict)
		}
		sent.ResourceVersion = strconv.Itoa(version + 1)
		a.secret = &sent
	}
	if a.secret == nil {
		return refusal(http.StatusNotFound, metav1.StatusReasonNotFound)
	}
	a.secret.TypeMeta = metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}
	return http.StatusOK, a.secret
}

func patched[T any](r *http.Request, body []byte, o *T, kind string) (int, any) {
	if r.Method == http.MethodPatch {
		was, err := json.Marshal(o)
		if err == nil {
			was, err = strategicpatch.StrategicMergePatch(was, body, *o)
		}
		if err == nil {
			err = json.Unmarshal(was, o)
		}
		if err != nil {
			return http.StatusInternalServerError, metav1.Status{Message: err.Error()}
		}
	}
	raw, _ := json.Marshal(o)
	var answer map[string]any
	_ = json.Unmarshal(raw, &answer)
	answer["kind"], answer["apiVersion"] = kind, "admissionregistration.k8s.io/v1"
	return http.StatusOK, answer
}

// cluster has both configurations, with a webhook that is somebody else's beside ours.
func cluster() *api {
	to := func(service string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Name: service, Namespace: "nemesis-system"}}
	}
	return &api{
		mutating: &admissionregistrationv1.MutatingWebhookConfiguration{Webhooks: []admissionregistrationv1.MutatingWebhook{
			{Name: "sidecar.x.y", ClientConfig: to("autoscaler-controller")}, {Name: "other.x.y", ClientConfig: to("other")},
		}},
		validating: &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "object.x.y", ClientConfig: to("autoscaler-controller")}}},
	}
}

func (a *api) counted() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.writes)
}

// keeper runs one until the test ends.
func keeper(t *testing.T, a *api, leads func() bool) *Keeper {
	t.Helper()
	k := made(t, a, leads)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return k
}

func made(t *testing.T, a *api, leads func() bool) *Keeper {
	t.Helper()
	clients, err := kube.Connect(&rest.Config{Host: "http://api", Transport: a}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Clients: clients, Log: slog.New(slog.DiscardHandler), Namespace: "nemesis-system", Service: "autoscaler-controller", Leads: leads})
}

func yes() bool { return true }
func no() bool  { return false }

// trusted tells whether the API server, by what its configuration says, takes what a replica shows.
func trusted(c admissionregistrationv1.WebhookClientConfig, k *Keeper, kind string) error {
	certificate, err := k.Certificate(nil)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.CABundle) {
		return fmt.Errorf("no certificates in the bundle %q", c.CABundle)
	}
	if c.Service.Path == nil || *c.Service.Path != "/"+k.Path()+"/"+kind || len(k.Path()) < 20 || len(validation.IsDNS1123Subdomain(k.Path())) > 0 {
		return fmt.Errorf("the path is %v, the replica's %s", c.Service.Path, k.Path())
	}
	_, err = certificate.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: c.Service.Name + "." + c.Service.Namespace + ".svc", CurrentTime: time.Now()})
	return err
}

func TestKeeper_TheApiServerTrustsEveryReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := cluster()
		follower := keeper(t, a, no)
		time.Sleep(5 * time.Second)
		if follower.Trouble() == "" || a.counted() != 0 || follower.Path() != "" {
			t.Errorf("while nobody leads: %q, writes %v", follower.Trouble(), a.writes)
		}
		if _, err := follower.Certificate(&tls.ClientHelloInfo{}); err == nil || !follower.Until().IsZero() {
			t.Error("it has a certificate of nobody")
		}
		leader := keeper(t, a, yes)
		time.Sleep(2 * lookEvery)
		for _, k := range []*Keeper{leader, follower} {
			for kind, c := range map[string]admissionregistrationv1.WebhookClientConfig{"inject": a.config("inject"), "review": a.config("review")} {
				if err := trusted(c, k, kind); err != nil || k.Trouble() != "" {
					t.Errorf("%s: %v; %s", kind, err, k.Trouble())
				}
			}
		}
		if other := a.mutating.Webhooks[1].ClientConfig; other.CABundle != nil || other.Service.Path != nil {
			t.Errorf("somebody else's is changed: %+v", other)
		}
		written := a.counted()
		time.Sleep(time.Hour)
		if got := a.counted(); got != written {
			t.Errorf("where nothing is to be done it writes: %v", a.writes[written:])
		}
	})
}

// config is what the cluster's configuration says of a webhook.
func (a *api) config(kind string) admissionregistrationv1.WebhookClientConfig {
	a.mu.Lock()
	defer a.mu.Unlock()
	if kind == "inject" {
		return *a.mutating.Webhooks[0].ClientConfig.DeepCopy()
	}
	return *a.validating.Webhooks[0].ClientConfig.DeepCopy()
}

func TestKeeper_MendsWhatSomebodyElseChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := cluster()
		k := keeper(t, a, yes)
		time.Sleep(lookEvery + time.Second)
		a.mu.Lock()
		a.mutating.Webhooks[0].ClientConfig.CABundle = nil
		elsewhere := "/elsewhere"
		a.validating.Webhooks[0].ClientConfig.Service.Path = &elsewhere
		a.mu.Unlock()
		time.Sleep(lookEvery)
		if err := trusted(a.config("inject"), k, "inject"); err != nil {
			t.Error(err)
		}
		if err := trusted(a.config("review"), k, "review"); err != nil {
			t.Error(err)
		}
		// A Secret that goes, or whose path nobody takes, is made anew, with another path.
		for _, spoil := range []func(){func() { a.secret = nil }, func() { a.secret.Data["path"] = []byte("UPPER") }, func() { delete(a.secret.Data, "path") }} {
			path := k.Path()
			a.mu.Lock()
			spoil()
			a.mu.Unlock()
			time.Sleep(lookEvery)
			if err := trusted(a.config("inject"), k, "inject"); err != nil || k.Path() == path {
				t.Errorf("%v, path %s", err, k.Path())
			}
		}
	})
}

func TestKeeper_WithoutConfigurationsNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{}
		k := keeper(t, a, yes)
		time.Sleep(time.Minute)
		if k.Trouble() != "" || a.counted() != 1 {
			t.Errorf("%s, writes %v, want the Secret alone", k.Trouble(), a.writes)
		}
	})
}

// Over two years in which two replicas look no more than every seven hours the API server takes each of them at
// every moment.
func TestKeeper_CertificatesAreRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := cluster()
		both := []*Keeper{made(t, a, yes), made(t, a, no)}
		serials, roots := map[string]bool{}, map[string]bool{}
		for range 2 * 365 * 24 / 7 {
			for _, k := range both {
				k.note(k.look(t.Context()))
				if k.Trouble() != "" {
					t.Fatal(k.Trouble())
				}
			}
			time.Sleep(7*time.Hour - time.Second)
			for _, k := range both {
				if err := trusted(a.config("inject"), k, "inject"); err != nil {
					t.Fatal(err)
				}
				serials[k.current().Leaf.SerialNumber.String()] = true
			}
			roots[string(a.secret.Data[authority.KeyCertificate])] = true
			time.Sleep(time.Second)
		}
		if len(serials) < 2*365 || len(roots) < 3 {
			t.Errorf("%d certificates of %d roots", len(serials), len(roots))
		}
	})
}

func TestKeeper_SaysWhatItCannotDo(t *testing.T) {
	for what, c := range map[string]struct {
		change func(a *api)
		want   string
		works  bool // the replica answers all the same
	}{
		"read the Secret":       {func(a *api) { a.refuse = "GET /api/v1/namespaces/nemesis-system/secrets" }, "read the Secret nemesis-system/nemesis-webhook-ca", false},
		"make the Secret":       {func(a *api) { a.refuse = "PATCH /api/v1" }, "keep the webhook's authority", false},
		"read a configuration":  {func(a *api) { a.refuse = "GET /apis/admissionregistration.k8s.io/v1/validating" }, "read the ValidatingWebhookConfiguration", true},
		"write a configuration": {func(a *api) { a.refuse = "PATCH /apis/admissionregistration.k8s.io/v1/mutating" }, "write the MutatingWebhookConfiguration", true},
		"reach the API server":  {func(a *api) { a.away = true }, "read the Secret", false},
		"use what is in the Secret": {func(a *api) {
			a.secret = &corev1.Secret{Data: map[string][]byte{authority.KeyCertificate: []byte("x")}}
		}, "ca.crt: holds no PEM; delete it", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := cluster()
			c.change(a)
			before := a.secret
			k := keeper(t, a, yes)
			time.Sleep(lookEvery + time.Second)
			if got := k.Trouble(); !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", what, got, c.want)
			}
			if _, err := k.Certificate(nil); (err == nil) != c.works {
				t.Errorf("%s: certificate: %v", what, err)
			}
			if before != nil && (a.secret != before || len(a.writes) > 0) {
				t.Errorf("%s: what cannot be read is overwritten", what)
			}
			// When the API server gives the right, or is back, all is well.
			a.mu.Lock()
			a.refuse, a.away, a.secret = "", false, nil
			a.mu.Unlock()
			time.Sleep(2 * lookEvery)
			if k.Trouble() != "" || !bytes.Contains(a.mutating.Webhooks[0].ClientConfig.CABundle, []byte("CERTIFICATE")) {
				t.Errorf("%s: afterwards: %s", what, k.Trouble())
			}
		})
	}
}

func TestKeeper_AnotherLeaderThatWroteMeanwhileWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := cluster()
		first, second := keeper(t, a, yes), keeper(t, a, yes) // for a moment both believe that they lead
		time.Sleep(3 * lookEvery)
		if first.Path() != second.Path() {
			t.Errorf("paths %s and %s", first.Path(), second.Path())
		}
		for _, k := range []*Keeper{first, second} {
			if err := trusted(a.config("inject"), k, "inject"); err != nil {
				t.Error(err)
			}
		}
	})
}
