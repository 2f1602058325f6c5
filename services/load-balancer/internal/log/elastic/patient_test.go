package elastic

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestClient_APatientOneReadsItsFilesAsSoonAsTheyAreThere(t *testing.T) {
	server := httptest.NewTLSServer(asElasticsearch(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	key, ca := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "ca.crt")
	o := Options{URLs: []string{server.URL}, APIKeyFile: key, CAFile: ca}
	if _, err := New(o); err == nil {
		t.Fatal("one that is not patient does without its files")
	}
	o.Patient = true
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (string, error) {
		_, said, err := c.ask(t.Context(), bulk{row: row{source: strings.NewReader("lines"), size: 5, n: 1}})
		return string(said), err
	}
	for _, want := range []string{"elasticsearch-api-key-file", "elasticsearch-ca-file"} {
		if _, err := ask(); !errors.Is(err, errFiles) || !strings.Contains(err.Error(), want) {
			t.Errorf("without its files: %v, want one that names %s", err, want)
		}
		if err := c.Ready(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ready: %v, want one that names %s", err, want)
		}
	}
	if err := os.WriteFile(key, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(); !errors.Is(err, errFiles) || strings.Contains(err.Error(), "api-key") {
		t.Errorf("with one of them: %v", err)
	}
	if err := os.Rename(authority(t, server), ca); err != nil {
		t.Fatal(err)
	}
	if said, err := ask(); err != nil || said != "ApiKey abc" || c.Ready() != nil {
		t.Errorf("with both: %q, %v", said, err)
	}
	if err := os.Remove(key); err != nil { // a file that is being replaced is no fault: what it held is known
		t.Fatal(err)
	}
	if said, err := ask(); err != nil || said != "ApiKey abc" {
		t.Errorf("after one has gone: %q, %v", said, err)
	}
}

func TestClient_APatientOneStillNamesEveryFaultOfItsSettings(t *testing.T) {
	if _, err := New(Options{URLs: []string{"x"}, PasswordFile: "p", Patient: true}); err == nil {
		t.Error("taken")
	}
}

func TestShipper_SaysThatItsFilesCannotBeReadAndShipsWhenTheyCan(t *testing.T) {
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, _ *http.Request) {
		status, said := took(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, said)
	}))
	defer server.Close()
	key := filepath.Join(t.TempDir(), "key")
	client, err := New(Options{URLs: []string{server.URL}, APIKeyFile: key, Patient: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := &batches{left: []string{entryOf(1)}, end: cancel}
	var s *Shipper
	looked := 0
	random := func() float64 { // asked for each pause: it goes on at once
		if looked++; looked == 3 {
			if held := s.Holding(); !strings.HasPrefix(held, "files: ") || !strings.Contains(held, "elasticsearch-api-key-file") || testutil.ToFloat64(s.metrics.holding[reasonFiles]) != 1 {
				t.Errorf("it holds because of %q", held)
			}
			if err := os.WriteFile(key, []byte("abc"), 0o600); err != nil {
				t.Error(err)
			}
		}
		return 0
	}
	s = NewShipper(client, ShipperOptions{Outbox: b, DeadLetters: new(aside), Random: random, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	s.Run(ctx)
	if len(b.left) > 0 || testutil.ToFloat64(s.metrics.shipped) != 1 || testutil.ToFloat64(s.metrics.holding[reasonFiles]) != 0 {
		t.Errorf("%d entries are left", len(b.left))
	}
}

func TestShipper_ShowsWhyItHoldsAndWhatWasRefused(t *testing.T) {
	b := &batches{left: []string{entryOf(1)}}
	held := ""
	var s *Shipper
	_, _, s = shipAllWith(t, b, func(running *Shipper, n int) (int, string) {
		if n <= logAfter+1 {
			held = running.Holding()
			return http.StatusForbidden, `{"error":{"type":"security_exception"}}`
		}
		return http.StatusOK, `{"errors":true,"items":[{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no"}}}]}`
	})
	if !strings.HasPrefix(held, reasonRights+": 403 ") {
		t.Errorf("it held because of %q", held)
	}
	if now := s.Holding(); now != "" {
		t.Errorf("it holds still: %q", now)
	}
	if at, why := s.Refused(); at.IsZero() || !strings.Contains(why, "mapper_parsing_exception") {
		t.Errorf("refused at %v: %q", at, why)
	}
}
