package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// The whole program answers the API server over TLS, by what stands in the Secret.
func TestWebhook_AnswersByTheSecretThatItKeeps(t *testing.T) {
	a := &asked{rights: map[string]bool{}, leases: map[string][]byte{}}
	api := httptest.NewServer(a)
	t.Cleanup(api.Close)
	tel, err := telemetry.Start(t.Context(), telemetry.Options{Service: "autoscaler-controller", Instance: "test", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	controller, err := New(ctx, Settings{Listen: "127.0.0.1:0", Namespace: "default", Identity: t.Name(), WebhookListen: "127.0.0.1:0"}, &rest.Config{Host: api.URL, BearerToken: "controller"}, tel)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := controller.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	testwait.Until(t, "the webhook is ready, and the picture whole", func() bool {
		return controller.hooks.trouble() == nil && controller.watcher.Missing() == ""
	})
	a.mu.Lock()
	var secret corev1.Secret
	if err := yaml.Unmarshal(a.secret, &secret); err != nil {
		t.Fatal(err)
	}
	a.mu.Unlock()
	state, err := authority.Decode(secret.Data)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(state.Bundle())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "autoscaler-controller.default.svc", MinVersion: tls.VersionTLS13}}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(deployment string) *admissionv1.AdmissionResponse {
		t.Helper()
		body := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","namespace":"ns","operation":"CREATE","resource":{"resource":"pods","version":"v1"},` +
			`"object":{"metadata":{"labels":{"pod-template-hash":"7"},"ownerReferences":[{"kind":"ReplicaSet","name":"` + deployment + `-7","controller":true}]},"spec":{"containers":[{"name":"c"}]}}}}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+controller.hooks.server.Addr().String()+"/"+string(secret.Data["path"])+"/inject", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(answer.Body).Decode(&review); err != nil || review.Response == nil {
			t.Fatalf("%d: %v", answer.StatusCode, err)
		}
		return review.Response
	}
	if got := ask("app"); !got.Allowed || !bytes.Contains(got.Patch, []byte(`"image":"nemesis/sidecar:dev"`)) || !bytes.Contains(got.Patch, []byte(`"value":"https://autoscaler-controller.default.svc:8080"`)) {
		t.Errorf("%+v %s", got, got.Patch)
	}
	if got := ask("other"); !got.Allowed || got.Patch != nil {
		t.Errorf("%+v", got)
	}
	plain, err := new(tls.Dialer).DialContext(t.Context(), "tcp", controller.hooks.server.Addr().String())
	if err == nil {
		_ = plain.Close()
		t.Error("who does not know the authority trusts it")
	}
}

func TestInjected_TheImageAndTheControllerHaveDefaults(t *testing.T) {
	for _, c := range []struct {
		s                 Settings
		image, controller string
	}{
		{Settings{Namespace: "nemesis-system"}, "nemesis/sidecar:dev", ""},
		{Settings{Namespace: "scaling"}, "nemesis/sidecar:dev", "https://autoscaler-controller.scaling.svc:8080"},
		{Settings{Namespace: "scaling", SidecarImage: "r/s:1", SidecarControllerURL: "http://c"}, "r/s:1", "http://c"},
	} {
		if got := injected(c.s); got.Image != c.image || got.Controller != c.controller {
			t.Errorf("%+v: %+v", c.s, got)
		}
	}
}

func TestNew_AWebhookPortThatIsInUseFailsAtOnce(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	tel, err := telemetry.Start(t.Context(), telemetry.Options{Service: "autoscaler-controller", Instance: "test", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), Settings{Listen: "127.0.0.1:0", Namespace: "default", Identity: t.Name(), WebhookListen: strings.TrimPrefix(taken.URL, "http://")}, &rest.Config{Host: "http://127.0.0.1:1"}, tel)
	if err == nil || !strings.Contains(err.Error(), "webhook-listen") {
		t.Errorf("%v", err)
	}
}
