package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// balancer is a load balancer that runs.
type balancer struct {
	url   string // of the data port
	admin string
	tls   string // address of the data port over TLS; "" is none
	stop  context.CancelFunc
	ended chan error
}

// boot starts a load balancer on free ports, and waits until it is ready.
func boot(t *testing.T, controllerURL string, change func(*app.Settings)) *balancer {
	t.Helper()
	s, err := app.Load([]string{
		"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-controller-url", controllerURL,
		"-identity", "lb-" + t.Name(), "-lame-duck", "0s", "-drain-timeout", "10s", "-log-spool-dir", t.TempDir(),
		"-authentication", "optional", "-token-file", "", // a test of who is let in says otherwise
	}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	b := run(t, s)
	testwait.Until(t, "ready", func() bool {
		r, err := http.Get(b.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return b
}

// run starts a load balancer, which ends with the test.
func run(t *testing.T, s app.Settings) *balancer {
	t.Helper()
	s.Encryption.ClearText = s.Encryption.CAFile == encryption.DefaultCAFile // else it is said
	a, err := app.New(t.Context(), s, testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &balancer{
		url: "http://" + a.DataAddr().String(), admin: "http://" + a.AdminAddr().String(), stop: stop, ended: make(chan error, 1),
	}
	if address := a.TLSAddr(); address != nil {
		b.tls = address.String()
	}
	go func() { b.ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-b.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		b.ended <- nil
	})
	return b
}

// state is what the admin port says, by the generated client.
func (b *balancer) state(t *testing.T) loadbalancer.State {
	t.Helper()
	client, err := loadbalancer.NewClientWithResponses(b.admin)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.GetStateWithResponse(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.JSON200 == nil {
		t.Fatalf("state: %d %s", answer.StatusCode(), answer.Body)
	}
	return *answer.JSON200
}

// pod is a pod that serves handler, beside /ready.
func pod(t *testing.T, handler http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.Handle("/", handler)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// unused is an address where nobody listens: a port that the system hands to nobody, other than one
// that was free a moment ago.
const unused = "127.0.0.1:1"

// says answers with a text.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// client is one that shares no connections with other tests.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get asks, and returns the status and the body.
func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// testLog shows the log of a test that failed.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	defer func() { _ = recover() }() // a line after the test's end has no place any more
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
