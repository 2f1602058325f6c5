package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// server is an API server that takes what it is given, and counts the tokens that it hands out.
func server(t *testing.T, life time.Duration) (c *Cluster, calls func() []string) {
	t.Helper()
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		seen = append(seen, fmt.Sprintf("%s %s %v", r.Method, r.URL.Path, body["kind"]))
		if !strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = fmt.Fprint(w, `{}`)
			return
		}
		until := time.Now().Add(life).Format(time.RFC3339)
		_, _ = fmt.Fprintf(w, `{"status":{"token":"t%d","expirationTimestamp":%q}}`, len(seen), until)
	}))
	t.Cleanup(s.Close)
	return &Cluster{Server: s.URL, HTTP: s.Client()}, func() []string { return seen }
}

func signed(t *testing.T, m *Member) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	if err := m.Sign(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r.Header.Get("Authorization")
}

func TestMember_HasAnAccountARoleAndATokenThatIsUsedForHalfOfItsLife(t *testing.T) {
	for life, want := range map[time.Duration][]string{
		time.Hour:    {"Bearer t3", "Bearer t3"},
		-time.Second: {"Bearer t3", "Bearer t4"},
	} {
		c, calls := server(t, life)
		m, err := c.Member(t.Context(), "shop", "reader", "view")
		if err != nil {
			t.Fatal(err)
		}
		if got := []string{signed(t, m), signed(t, m)}; !slices.Equal(got, want) {
			t.Errorf("%v: %q, want %q", life, got, want)
		}
		made := slices.Sorted(slices.Values(calls()[:3]))
		if !slices.Equal(made, []string{
			"PATCH /api/v1/namespaces/shop/serviceaccounts/reader ServiceAccount",
			"PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/reader RoleBinding",
			"POST /api/v1/namespaces/shop/serviceaccounts/reader/token TokenRequest",
		}) {
			t.Errorf("%v: %q", life, made)
		}
	}
}

func TestMember_SaysWhatTheServerRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no accounts here", http.StatusForbidden) }))
	defer s.Close()
	c := &Cluster{Server: s.URL, HTTP: s.Client()}
	if _, err := c.Member(t.Context(), "shop", "reader", "view"); err == nil || !strings.Contains(err.Error(), "shop/reader") || !strings.Contains(err.Error(), "no accounts here") {
		t.Error(err)
	}
	m := &Member{cluster: c, tokens: "/t"}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	if err := m.Sign(t.Context(), r); err == nil || r.Header.Get("Authorization") != "" {
		t.Errorf("%v, %v", err, r.Header)
	}
}
