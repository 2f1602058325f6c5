package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/testtokens"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app/batching"
)

// keeper is a controller that has an issuer's keys, and knows one person.
type keeper struct {
	*recorder
	t      *testing.T
	issuer *testtokens.Issuer
}

func (k *keeper) GetIdentityKeys(context.Context, autoscaler.GetIdentityKeysRequestObject) (autoscaler.GetIdentityKeysResponseObject, error) {
	return autoscaler.GetIdentityKeys200JSONResponse{Issuer: testtokens.Name, Keys: k.issuer.Keys(k.t)}, nil
}

func (k *keeper) ReviewAccess(_ context.Context, in autoscaler.ReviewAccessRequestObject) (autoscaler.ReviewAccessResponseObject, error) {
	a := autoscaler.ReviewAccess200JSONResponse{Namespaces: []common.Namespace{}}
	if token := in.Body.Token; token == "prom" || token == "jane" {
		a.Authenticated, a.User, a.Everywhere = true, &token, token == "prom" && in.Body.Verb == "get" && in.Body.Resource == "metrics"
	} else {
		a.Reason = new("nobody has it")
	}
	return a, nil
}

func newKeeper(t *testing.T) (*keeper, string) {
	t.Helper()
	k := &keeper{recorder: &recorder{news: make(chan struct{}, 1)}, t: t, issuer: testtokens.New(t)}
	server := httptest.NewServer(autoscaler.Handler(autoscaler.NewStrictHandler(k, nil)))
	t.Cleanup(server.Close)
	return k, server.URL
}

func pushAs(t *testing.T, address, token, pod string) (int, string) {
	t.Helper()
	body := `{"podName":"` + pod + `","namespace":"shop","metrics":{"queued":1}}`
	return request(t, http.MethodPost, address+"/metrics", token, body)
}

func request(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestCollector_TakesOfEachPodWhatItMeasuresOfItself(t *testing.T) {
	k, url := newKeeper(t)
	address, stop := collector(t, url, "-authentication", "required")
	good := k.issuer.Token(t, "shop", "default", "cart-1")
	testwait.Until(t, "the keys are known", func() bool {
		status, _ := pushAs(t, address, good, "cart-1")
		return status == http.StatusOK
	})
	expired := k.issuer.Token(t, "shop", "default", "cart-1", func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() })
	audience := k.issuer.Token(t, "shop", "default", "cart-1", func(c map[string]any) { c["aud"] = []string{testtokens.Name} })
	for name, c := range map[string]struct {
		token, pod string
		status     int
		says       string
	}{
		"another pod":          {good, "cart-2", 403, "measures itself alone"},
		"its name elsewhere":   {k.issuer.Token(t, "search", "default", "cart-1"), "cart-1", 403, "namespace search"},
		"nobody":               {"", "cart-1", 401, "send a token"},
		"expired":              {expired, "cart-1", 401, "expired"},
		"another audience":     {audience, "cart-1", 401, "must be for nemesis"},
		"no pod":               {k.issuer.Token(t, "shop", "default", ""), "cart-1", 403, "bound to no pod"},
		"another issuer's":     {testtokens.New(t).Token(t, "shop", "default", "cart-1"), "cart-1", 401, "signature"},
		"a person":             {"prom", "cart-1", 401, "not a signed JSON Web Token"},
		"another pod, a batch": {good, "cart-1\",\"x\":\"", 200, "received"}, // one more field is none of ours
	} {
		if status, body := pushAs(t, address, c.token, c.pod); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
	}
	stop()
	for _, p := range k.all() {
		if p.PodName != "cart-1" || p.Namespace != "shop" {
			t.Errorf("it passed on %+v", p)
		}
	}
}

func TestCollector_ShowsItsMetricsToWhoMayReadThem(t *testing.T) {
	_, url := newKeeper(t)
	address, _ := collector(t, url, "-authentication", "required")
	for token, want := range map[string]int{"": 401, "wrong": 401, "jane": 403, "prom": 200} {
		for _, path := range []string{"/metrics", "/%6Detrics"} {
			if status, body := request(t, http.MethodGet, address+path, token, ""); status != want {
				t.Errorf("%s by %q: %d %s", path, token, status, body)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			if status, body := request(t, http.MethodGet, address+path, token, ""); status != http.StatusOK {
				t.Errorf("%s by %q: %d %s", path, token, status, body)
			}
		}
	}
	if _, body := request(t, http.MethodGet, address+"/metrics", "prom", ""); !strings.Contains(body, "nemesis_authentication_required 1") {
		t.Error("required is not shown")
	}
	open, _ := collector(t, url, "-authentication", "required", "-open-metrics")
	if status, _ := request(t, http.MethodGet, open+"/metrics", "", ""); status != http.StatusOK {
		t.Errorf("open metrics: %d", status)
	}
	if status, _ := pushAs(t, open, "", "cart-1"); status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		t.Errorf("a push without a token: %d", status)
	}
	away, _ := collector(t, "http://127.0.0.1:1", "-authentication", "required")
	if status, body := request(t, http.MethodGet, away+"/metrics", "prom", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "cannot be reached") {
		t.Errorf("nobody to ask: %d %s", status, body)
	}
}

func TestCollector_OptionalTakesPushesWithoutATokenAndSaysSo(t *testing.T) {
	k, url := newKeeper(t)
	address, _ := collector(t, url)
	if status, body := pushAs(t, address, "", "anything"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	testwait.Until(t, "one with a token is judged", func() bool {
		status, _ := pushAs(t, address, k.issuer.Token(t, "shop", "default", "cart-1"), "cart-2")
		return status == http.StatusForbidden
	})
	if _, body := request(t, http.MethodGet, address+"/readyz", "", ""); !strings.Contains(body, "authentication is optional") {
		t.Error(body)
	}
	if _, body := request(t, http.MethodGet, address+"/metrics", "", ""); !strings.Contains(body, "nemesis_authentication_required 0") {
		t.Error("the metric does not say it")
	}
	if _, err := batching.Load([]string{"-authentication", "perhaps"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "authentication") {
		t.Errorf("%v", err)
	}
}

// A pod has a pace of its own, and who sends tokens that are none is not looked at for long; both take nothing from others.
func TestCollector_PodsAndStrangersHaveAPace(t *testing.T) {
	k, url := newKeeper(t)
	address, stop := collector(t, url, "-authentication", "required")
	defer stop()
	first, second := k.issuer.Token(t, "shop", "default", "cart-1"), k.issuer.Token(t, "shop", "default", "cart-2")
	testwait.Until(t, "the keys are known", func() bool {
		status, _ := pushAs(t, address, second, "cart-2")
		return status == http.StatusOK
	})
	testwait.Until(t, "a pod that pushes all the time is told to wait", func() bool {
		status, text := pushAs(t, address, first, "cart-1")
		return status == http.StatusTooManyRequests && strings.Contains(text, "more than 10 times a second")
	})
	if status, text := pushAs(t, address, second, "cart-2"); status != http.StatusOK {
		t.Errorf("another pod: %d %s", status, text)
	}
	testwait.Until(t, "an address with tokens that are none is told to wait", func() bool {
		status, text := pushAs(t, address, "none", "cart-1")
		return status == http.StatusTooManyRequests && strings.Contains(text, "from this address")
	})
}
