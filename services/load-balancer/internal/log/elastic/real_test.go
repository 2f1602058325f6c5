//go:build elasticsearch

package elastic

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// as are the options for the real server: as the user that the variable names, or without one where
// it has no users.
func as(t *testing.T, variable string) Options {
	t.Helper()
	o := Options{URLs: []string{os.Getenv("NEMESIS_ELASTICSEARCH_URL")}}
	if o.URLs[0] == "" {
		t.Fatal("NEMESIS_ELASTICSEARCH_URL is not set: use deployments/with-elasticsearch")
	}
	if user, password, ok := strings.Cut(os.Getenv(variable), ":"); ok {
		o.Username, o.PasswordFile = user, file(t, "password", password)
	}
	return o
}

const (
	asAdmin  = "NEMESIS_ELASTICSEARCH_ADMIN"
	asWriter = "NEMESIS_ELASTICSEARCH_WRITER"
	asReader = "NEMESIS_ELASTICSEARCH_READER"
)

func connect(t *testing.T, variable string) *Client {
	t.Helper()
	c, err := New(as(t, variable))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// namespace is one that no other test has, with the templates made.
func namespace(t *testing.T) string {
	t.Helper()
	ns := "t" + strconv.FormatInt(time.Now().UnixNano(), 36)
	steps, err := runSetup(t, as(t, asAdmin), SetupOptions{Namespace: ns, Retention: "30d"})
	if err != nil {
		t.Fatal(err)
	}
	for what, step := range steps {
		if step.Outcome == Failed {
			t.Fatalf("%s: %s", what, step.Note)
		}
	}
	return ns
}

// index writes entries as the balancer does, and waits until they can be found.
func index(t *testing.T, c *Client, entries []byte) {
	t.Helper()
	must := true
	status, body, err := c.ask(t.Context(), esapi.BulkRequest{Body: strings.NewReader(string(entries)), RequireDataStream: &must})
	if err != nil || status != http.StatusOK || strings.Contains(string(body), `"errors":true`) {
		t.Fatalf("%d %s %v", status, body, err)
	}
	admin := connect(t, asAdmin)
	if status, body, err := admin.ask(t.Context(), plain{method: http.MethodPost, path: "/" + Streams + "/_refresh"}); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
}
