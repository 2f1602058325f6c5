package httpapi

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
)

// IssueTo says whom it is for.
func (p *parts) IssueTo(_ context.Context, who Service, request []byte) (certificate, authority []byte, err error) {
	return []byte(who.Namespace + "/" + who.Account + "/" + who.Pod + " " + string(request)), []byte("authority"), nil
}

func TestIssueCertificate_IsForThePodOfTheToken(t *testing.T) {
	p := guarding(mayAll())
	// It is every replica's to do: a leader is not asked.
	p.leader = "10.0.0.1:8080"
	w := do(p.handler(t), "POST", certificatesPath, `{"request":"a request"}`, "Authorization", "Bearer "+lbToken)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"certificate":"nemesis-system/load-balancer/lb a request"`) || !strings.Contains(w.Body.String(), `"authority":"authority"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for body, field := range map[string]string{`{}`: "request", `{"request":""}`: "request", `{"request":"` + strings.Repeat("x", 8193) + `"}`: "request"} {
		if w := do(p.handler(t), "POST", certificatesPath, body, "Authorization", "Bearer "+lbToken); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), field) {
			t.Errorf("%.40s: %d %s", body, w.Code, w.Body)
		}
	}
}

// With authentication at optional nobody is asked who he is, and a certificate has to name somebody.
func TestIssueCertificate_WithoutATokenThereIsNone(t *testing.T) {
	p := newParts()
	if w := do(p.handler(t), "POST", certificatesPath, `{"request":"a request"}`); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "names the pod") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRelay_TheLeaderIsCalledOverTLSAndVerified(t *testing.T) {
	authority := testauthority.New(t)
	for name, trusted := range map[string]*testauthority.Authority{"verified": authority, "of another authority": testauthority.New(t)} {
		leader := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"items":[],"from":"the leader"}`))
		}))
		leader.TLS = &tls.Config{Certificates: []tls.Certificate{*authority.Issue()}, MinVersion: tls.VersionTLS13}
		leader.StartTLS()
		defer leader.Close()
		p := newParts()
		p.leader = leader.Listener.Addr().String()
		p.authorities = (&encryption.Settings{CAFile: trusted.File}).NewAuthorities()
		w := do(p.handler(t), "GET", "/v1/applications", "")
		if relayed := strings.Contains(w.Body.String(), "the leader"); relayed != (name == "verified") || w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
