package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// kinds are those of the log's troubles, with what is said of them.
func (b *balancer) kinds(t *testing.T) string {
	t.Helper()
	log := b.state(t).Log
	if log == nil {
		t.Fatal("the state has nothing of the log")
	}
	var all []string
	for _, trouble := range log.Trouble {
		all = append(all, trouble.Kind+" "+trouble.Message)
	}
	return strings.Join(all, "\n")
}

// readiness is what the kubelet is answered.
func (b *balancer) readiness(t *testing.T) (int, string) {
	t.Helper()
	r, body := get(t, client(t), b.admin+"/readyz")
	return r.StatusCode, strings.ReplaceAll(inClearText.ReplaceAllString(body, ""), `,"trouble":[]`, "")
}

// inClearText is what a load balancer says here because tests speak to it without TLS.
var inClearText = regexp.MustCompile(`("clear-text is set: [^"]*",?|"http://[^"]* is called in clear text: [^"]*",?)`)

func TestTrouble_ThereIsNoneWhenAllIsWell(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", unused, nil)
	b := boot(t, server.URL, nil)
	if got := b.kinds(t); got != "" {
		t.Errorf("trouble: %s", got)
	}
	strict := boot(t, server.URL, func(s *app.Settings) { s.Identities.Authentication = "required" })
	if _, body := strict.readiness(t); strings.Contains(body, "trouble") {
		t.Error(body)
	}
}

func TestTrouble_OfTheFolderIsShownWhileRequestsAreServed(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", pod(t, says("hello")), nil)
	folder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := boot(t, server.URL, func(s *app.Settings) { s.LogSpoolDir = folder })
	if got := b.kinds(t); !strings.HasPrefix(got, "folder ") {
		t.Errorf("trouble: %q", got)
	}
	if status, body := b.readiness(t); status != http.StatusOK || !strings.Contains(body, `"log, folder: `) {
		t.Errorf("%d %s", status, body)
	}
	if r, body := get(t, client(t), b.url+"/fib/1"); r.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	testwait.Until(t, "the request and the wake-up wait", func() bool { l := b.state(t).Log; return l.WaitingRecords == 2 && l.WaitingSeconds != nil })
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the trouble is over", func() bool { return b.kinds(t) == "" })
}

func TestTrouble_SecretsThatCannotBeReadKeepNoPortShut(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", pod(t, says("hello")), nil)
	elasticsearch := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		switch {
		case r.Header.Get("Authorization") != "ApiKey abc":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/_data_stream/"):
			_, _ = io.WriteString(w, `{"data_streams":[{"template":"logs"}]}`)
		case r.URL.Path == "/_bulk":
			body, _ := io.ReadAll(r.Body)
			refused := strings.Repeat(`,{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no"}}}`, strings.Count(string(body), "\n")/2)
			_, _ = io.WriteString(w, `{"errors":true,"items":[`+strings.TrimPrefix(refused, ",")+`]}`)
		}
	}))
	t.Cleanup(elasticsearch.Close)
	key := filepath.Join(t.TempDir(), "key")
	b := boot(t, server.URL, func(s *app.Settings) {
		s.Elasticsearch.URL, s.Elasticsearch.APIKeyFile = elasticsearch.URL, key
	})
	if r, body := get(t, client(t), b.url+"/fib/1"); r.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	testwait.Until(t, "it is shown", func() bool { return strings.Contains(b.kinds(t), "shipping files: elasticsearch-api-key-file: ") })
	if status, body := b.readiness(t); status != http.StatusOK || !strings.Contains(body, "log, shipping: files: elasticsearch-api-key-file: ") {
		t.Errorf("%d %s", status, body)
	}
	b.counts(t, `nemesis_lb_log_holding{reason="files"} 1`)
	if err := os.WriteFile(key, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the record has come, and what the server says of it is shown", func() bool {
		got := b.kinds(t)
		return !strings.Contains(got, "shipping") && strings.Contains(got, "refused ") && strings.Contains(got, "mapper_parsing_exception")
	})
	// The kubelet's path is everybody's, and the server may quote from the record.
	if _, body := b.readiness(t); !strings.Contains(body, `"log, refused: Elasticsearch refuses records; GET /loadbalancer/state says why"`) || strings.Contains(body, "mapper_parsing_exception") {
		t.Error(body)
	}
	b.counts(t, `nemesis_lb_log_holding{reason="files"} 0`)
	testwait.Until(t, "another's template is shown", func() bool { return strings.Contains(b.kinds(t), "template the template logs wins for ") })
}
