package elastic

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// file writes a file of a test, and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// asElasticsearch says in every answer what the client's own check wants to see.
func asElasticsearch(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		h(w, r)
	})
}

// authority is a file with what a server's certificate is trusted by.
func authority(t *testing.T, server *httptest.Server) string {
	t.Helper()
	return file(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

func TestClient_ReadsItsSecretAgainWhenItIsRefused(t *testing.T) {
	password := file(t, "password", "old\n")
	var asked atomic.Int32
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if _, p, _ := r.BasicAuth(); p != "new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	c, err := New(Options{URLs: []string{server.URL}, Username: "u", PasswordFile: password})
	if err != nil {
		t.Fatal(err)
	}
	bulk := func() (int, string) {
		status, body, err := c.ask(t.Context(), esapi.BulkRequest{Body: strings.NewReader("lines")})
		if err != nil {
			t.Fatal(err)
		}
		return status, string(body)
	}
	if status, _ := bulk(); status != http.StatusUnauthorized || asked.Load() != 1 {
		t.Fatalf("with the old password: %d after %d requests; one that did not change is no reason to ask again", status, asked.Load())
	}
	if err := os.WriteFile(password, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, body := bulk(); status != http.StatusOK || body != "lines" {
		t.Errorf("after the file changed: %d %q", status, body)
	}
}

func TestClient_ReadsItsAuthorityAgainWhenItDoesNotTrust(t *testing.T) {
	server := httptest.NewTLSServer(asElasticsearch(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer server.Close()
	path := file(t, "ca.crt", oldAuthority)
	c, err := New(Options{URLs: []string{server.URL}, CAFile: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ask(t.Context(), plain{method: http.MethodGet, path: "/x"}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("with another authority: %v", err)
	}
	if err := os.Rename(authority(t, server), path); err != nil {
		t.Fatal(err)
	}
	if status, _, err := c.ask(t.Context(), plain{method: http.MethodPut, path: "/x", body: "{}"}); err != nil || status != http.StatusOK {
		t.Errorf("after the file changed: %d %v", status, err)
	}
}

func TestClient_RefusesWhatIsNoElasticsearch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer server.Close()
	c, err := New(Options{URLs: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ask(t.Context(), plain{method: http.MethodGet, path: "/x"}); err == nil || !strings.Contains(err.Error(), "not Elasticsearch") {
		t.Errorf("error = %v", err)
	}
}

func TestClient_AsksTheNextNodeWhenOneIsAway(t *testing.T) {
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer server.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	c, err := New(Options{URLs: []string{gone.URL, server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if status, _, err := c.ask(t.Context(), esapi.BulkRequest{Body: strings.NewReader("x")}); err != nil || status != http.StatusOK {
			t.Errorf("%d %v", status, err)
		}
	}
}

func TestOptions_NameEveryFaultAndNoSecret(t *testing.T) {
	for name, test := range map[string]struct {
		o    Options
		want []string
	}{
		"nothing":        {Options{}, []string{"elasticsearch-url"}},
		"scheme":         {Options{URLs: []string{"ftp://x"}}, []string{`elasticsearch-url: "ftp://x"`}},
		"secret in URL":  {Options{URLs: []string{"http://u:geheim@x"}}, []string{"elasticsearch-password-file"}},
		"half a user":    {Options{URLs: []string{"http://x"}, Username: "u"}, []string{"without elasticsearch-password-file"}},
		"user and key":   {Options{URLs: []string{"http://x"}, Username: "u", PasswordFile: "p", APIKeyFile: "k"}, []string{"choose one"}},
		"two at once":    {Options{URLs: []string{"x"}, PasswordFile: "p"}, []string{"elasticsearch-url", "without elasticsearch-username"}},
		"no such file":   {Options{URLs: []string{"http://x"}, APIKeyFile: "/none"}, []string{"elasticsearch-api-key-file", "/none"}},
		"no certificate": {Options{URLs: []string{"https://x"}, CAFile: file(t, "ca", "text")}, []string{"elasticsearch-ca-file", "PEM"}},
		"empty":          {Options{URLs: []string{"https://x"}, APIKeyFile: file(t, "key", "\n")}, []string{"elasticsearch-api-key-file", "empty"}},
		"two lines":      {Options{URLs: []string{"https://x"}, APIKeyFile: file(t, "key", "a\nb")}, []string{"elasticsearch-api-key-file", "one line"}},
	} {
		_, err := New(test.o)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %s", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the secret is in %v", name, err)
		}
	}
}

// oldAuthority is one that signed nothing here.
const oldAuthority = `-----BEGIN CERTIFICATE-----
MIIBdDCCARmgAwIBAgIUd0CXcuGoly7dxRv//81gyP5Qbp4wCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDb2xkMCAXDTI2MTEyNTE0MzE1MloYDzIxMjYxMTAxMTQzMTUy
WjAOMQwwCgYDVQQDDANvbGQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASlKtuM
mqkRJ36ZAWM/9iUKhNbNbzE0sxcjt0QMKY7uNXYlqFRMQ3M4LZJZd0yoidvgahru
VzNwCMCxyEhRFA8Qo1MwUTAdBgNVHQ4EFgQUlf7OdAvvMq3fCrpT+NjEsQ3Ao5Ew
HwYDVR0jBBgwFoAUlf7OdAvvMq3fCrpT+NjEsQ3Ao5EwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNJADBGAiEA5leOJoTfstzNbSfPVMgb0/2yUkZ9h3LNacL3
lk8pnF8CIQDnamuuHH6TtdHkpuWkORoPqRNM9DV9pw7n9PaTQm60mQ==
-----END CERTIFICATE-----
`
