package app_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// secured is a controller that is reached over TLS alone.
func secured(t *testing.T, by *testauthority.Authority) (*recorder, string) {
	t.Helper()
	r, behind := controller(t)
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(to))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*by.Issue()}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return r, server.URL
}

// An application starts without Nemesis, and its sidecar before there is an authority: it waits for one, and
// sends nothing to who cannot be verified.
func TestEncryption_TheSidecarWaitsForTheAuthorityAndSaysSo(t *testing.T) {
	authority, folder := testauthority.New(t), t.TempDir()
	r, url := secured(t, authority)
	proc(t, folder, 10)
	file := filepath.Join(t.TempDir(), "ca.crt")
	s := boot(t, "-controller-url", url, "-proc-root", folder, "-ca-file", file, "-token-file", "", "-back-off-longest", "1s")
	testwait.Until(t, "it says what it waits for", func() bool {
		status, body := s.get(t, "/readyz")
		return status == http.StatusOK && strings.Contains(body, "the controller cannot be verified: ca-file: ") && strings.Contains(body, "ConfigMap nemesis-ca")
	})
	if got := r.all(); len(got) > 0 {
		t.Errorf("%d pushes were sent", len(got))
	}
	authority.Write(file, authority.Bundle())
	r.wait(t, "a push", func(all []common.PodMetrics) bool { return len(all) > 0 })
	if _, body := s.get(t, "/readyz"); strings.Contains(body, "verified") {
		t.Error(body)
	}
}

// The controller issues no certificate here: the collector goes on with what nobody trusts, and says so.
func TestEncryption_TheCollectorServesTLSAndSaysWhatItLacks(t *testing.T) {
	authority := testauthority.New(t)
	r, url := secured(t, authority)
	r.issues = nil
	folder := t.TempDir()
	proc(t, folder, 10)
	address, _ := collector(t, url, "-ca-file", authority.File, "-token-file", "")
	https := strings.Replace(address, "http://", "https://", 1)
	blind := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as the kubelet does
	answer, err := blind.Get(https + "/healthz")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	_ = answer.Body.Close()
	testwait.Until(t, "it says what it lacks", func() bool { return strings.Contains(page(t, address+"/readyz"), "no certificate yet") })
	// Whoever verifies does not push to it: the sidecar says why.
	s := boot(t, "-controller-url", https, "-proc-root", folder, "-ca-file", authority.File, "-token-file", "", "-back-off-longest", "1s")
	testwait.Until(t, "pushes fail", func() bool {
		_, body := s.get(t, "/metrics")
		return strings.Contains(body, `nemesis_sidecar_pushes_total{result="failed"} `) && !strings.Contains(body, `nemesis_sidecar_pushes_total{result="failed"} 0`)
	})
	if got := r.all(); len(got) > 0 {
		t.Errorf("%d pushes came through", len(got))
	}
}
