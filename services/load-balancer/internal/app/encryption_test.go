package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// controllerOverTLS is the fake controller as the real one is reached.
func controllerOverTLS(t *testing.T, c *fakeController, clear *httptest.Server) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(clear.Config.Handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*c.issues.Issue()}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func trusting(t *testing.T, c *fakeController) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.issues.Bundle())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestEncryption_TheControllerIsVerifiedAndIssuesTheCertificateOfTheAdminPort(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", pod(t, says("hello")), nil)
	s, err := app.Load([]string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-peer-listen", "127.0.0.1:0", "-controller-url", controllerOverTLS(t, controller, server),
		"-lame-duck", "0s", "-drain-timeout", "10s", "-log-spool-dir", t.TempDir(), "-authentication", "optional", "-ca-file", controller.issues.File, "-token-file", "",
	}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := run(t, s)
	admin, web := strings.Replace(b.admin, "http://", "https://", 1), trusting(t, controller)
	testwait.Until(t, "the admin port shows a certificate that others verify", func() bool {
		answer, err := web.Get(admin + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	if _, body := get(t, web, admin+"/readyz"); strings.Contains(body, "clear") || strings.Contains(body, "no certificate") || strings.Count(body, `"use":"port"`) != 1 {
		t.Error(body)
	}
	if _, body := get(t, client(t), b.url+"/fib/1"); body != "hello" {
		t.Error(body)
	}
	if answer, body := get(t, client(t), b.admin+"/readyz"); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, "this port speaks TLS") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

// Who cannot be verified is not spoken to, whatever it would answer.
func TestEncryption_AControllerOfAnotherAuthorityIsNotFollowed(t *testing.T) {
	controller, server := newFakeController(t)
	other, _ := newFakeController(t)
	s, err := app.Load([]string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-controller-url", controllerOverTLS(t, controller, server),
		"-lame-duck", "0s", "-drain-timeout", "10s", "-log-spool-dir", t.TempDir(), "-authentication", "optional", "-ca-file", other.issues.File, "-token-file", "",
	}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := run(t, s)
	// The kubelet, which verifies nothing, is answered nevertheless.
	blind := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as the kubelet does
	admin := strings.Replace(b.admin, "http://", "https://", 1)
	testwait.Until(t, "it says why", func() bool {
		answer, body := get(t, blind, admin+"/readyz")
		return answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, "unknown authority")
	})
	if answer, _ := get(t, blind, admin+"/healthz"); answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}
