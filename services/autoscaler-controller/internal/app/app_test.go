package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// boot runs the real service on a port of its own until the test ends.
func boot(t *testing.T, config *rest.Config, change func(*Settings)) (address string, stop func() error) {
	t.Helper()
	s := Settings{Listen: "127.0.0.1:0", LogLevel: "debug", Namespace: "default", Identity: t.Name(), Authentication: authentication.Optional, Encryption: encryption.Settings{ClearText: true}}
	if change != nil {
		change(&s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := &safeBuffer{}
	tel, err := telemetry.Start(ctx, telemetry.Options{Service: "autoscaler-controller", Instance: "test", Level: s.level(), Out: out})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(ctx, s, config, tel)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return testwait.Receive(t, "it ends", ended)
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return "http://" + a.Addr().String(), stop
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func ask(t *testing.T, method, url string) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	return answer.StatusCode, answer.Header
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestApp_LivesButIsNotReadyWhileTheAPIServerIsAway(t *testing.T) {
	address, stop := boot(t, &rest.Config{Host: "http://127.0.0.1:1"}, nil)
	if status, body := get(t, address+"/healthz"); status != 200 {
		t.Errorf("healthz: %d %s", status, body)
	}
	status, body := get(t, address+"/readyz")
	if status != 503 || !strings.Contains(body, "customautoscalers") {
		t.Errorf("readyz: %d %s", status, body)
	}
	status, body = get(t, address+"/v1/routes")
	if status != 503 {
		t.Errorf("routes: %d %s", status, body)
	}
	if status, body := get(t, address+"/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers"); status != 401 {
		t.Errorf("without a token: %d %s", status, body)
	}
	if status, body := get(t, address+"/v1/loadbalancer/settings"); status != 503 || !strings.Contains(body, "load-balancer-settings") {
		t.Errorf("settings: %d %s", status, body)
	}
	for path, allow := range map[string]string{"/healthz": "GET, HEAD", "/readyz": "GET, HEAD", "/metrics": "GET, HEAD, POST"} {
		if status, header := ask(t, http.MethodPut, address+path); status != 405 || header.Get("Content-Type") != "application/problem+json" || header.Get("Allow") != allow {
			t.Errorf("PUT %s: %d %v", path, status, header)
		}
	}
	var list struct{ Items []any }
	if status, body := get(t, address+"/v1/applications"); status != 200 || json.Unmarshal([]byte(body), &list) != nil || len(list.Items) != 0 {
		t.Errorf("applications: %d %s", status, body)
	}
	_, metrics := get(t, address+"/metrics")
	for _, name := range []string{
		"nemesis_build_info", `nemesis_applications{state="Asleep"} 0`, "nemesis_long_polls_open 0", `nemesis_relay_errors_total{shard=""} 0`,
		"nemesis_scale_errors_total 0", `nemesis_balancers{report="fresh"} 0`, "nemesis_traffic_report_age_seconds 0", "nemesis_leader 0",
		"nemesis_balancer_settings_followed 0", `nemesis_claims_refused{by="other-namespace"} 0`,
	} {
		if !strings.Contains(metrics, name) {
			t.Errorf("the metrics lack %s", name)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestLoad_NamesEveryFault(t *testing.T) {
	_, _, err := Load([]string{"-listen", "nowhere", "-log-level", "loud"}, []string{"NEMESIS_ANONYMOUS_ACCESS=perhaps"}, io.Discard)
	if err == nil {
		t.Fatal("three faults were taken")
	}
	for _, key := range []string{"listen", "log-level", "anonymous-access"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in: %v", key, err)
		}
	}
	s, _, err := Load(nil, []string{"NEMESIS_LISTEN=:9"}, io.Discard)
	if err != nil || s.Listen != ":9" || s.Namespace != "nemesis-system" || s.Identity == "" || s.AnonymousAccess {
		t.Errorf("got %+v, %v", s, err)
	}
}
