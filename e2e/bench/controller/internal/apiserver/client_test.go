package apiserver

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// client speaks to a server of the test.
func client(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c, err := newClient(server.URL, "token", authority)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient_SaysWhoItIsAndWhatItSends(t *testing.T) {
	var got []string
	c := client(t, func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization"))
	})
	if err := errors.Join(c.Create(t.Context(), "/a", []byte("{}")), c.Patch(t.Context(), "/b", []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	want := "POST /a application/json Bearer token, PATCH /b application/merge-patch+json Bearer token"
	if strings.Join(got, ", ") != want {
		t.Errorf("%v", got)
	}
}

func TestCreate_TakesWhatIsThereAlready(t *testing.T) {
	code := http.StatusConflict
	c := client(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "because of this", code) })
	if err := c.Create(t.Context(), "/a", nil); err != nil {
		t.Error(err)
	}
	code = http.StatusUnprocessableEntity
	if err := c.Create(t.Context(), "/a", nil); !IsStatus(err, code) || !strings.Contains(err.Error(), "POST /a: status 422: because of this") {
		t.Error(err)
	}
}

func TestNewClient_NeedsACertificate(t *testing.T) {
	if _, err := newClient("https://127.0.0.1:1", "t", []byte("half")); err == nil {
		t.Error("it trusts nobody and speaks all the same")
	}
}

func TestParallel_DoesEachOnceAndEndsWithTheFirstFault(t *testing.T) {
	var sum atomic.Int64
	if err := Parallel(t.Context(), 1000, func(_ context.Context, i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 999*1000/2 {
		t.Errorf("%v, %d", err, sum.Load())
	}
	fault, done := errors.New("no more"), atomic.Int64{}
	err := Parallel(t.Context(), 100000, func(_ context.Context, i int) error {
		done.Add(1)
		if i == 10 {
			return fault
		}
		return nil
	})
	if !errors.Is(err, fault) || done.Load() == 100000 {
		t.Errorf("%v after %d", err, done.Load())
	}
	if err := Parallel(t.Context(), 0, nil); err != nil {
		t.Error(err)
	}
}

func TestWatchDeployments_ShowsCountsAsTheyChangeAndGoesOnWhereItWasEnded(t *testing.T) {
	var watches atomic.Int64
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			_, _ = fmt.Fprint(w, `{"metadata":{"resourceVersion":"7"},"items":[]}`)
			return
		}
		if r.URL.Query().Get("resourceVersion") != "7" {
			t.Errorf("from %s", r.URL)
		}
		_, _ = fmt.Fprintf(w, `{"type":"MODIFIED","object":{"metadata":{"namespace":"ns","name":"app"},"spec":{"replicas":%d}}}`+"\n", watches.Add(1)-1)
		w.(http.Flusher).Flush()
		if watches.Load() > 1 { // the first ends, as of one who reads too slowly
			<-r.Context().Done()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan Scaled, 2)
	if err := c.WatchDeployments(ctx, func(s Scaled) { seen <- s }); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if got := <-seen; got != (Scaled{Namespace: "ns", Name: "app", Replicas: i}) {
			t.Errorf("%+v", got)
		}
	}
}

func TestPut_StoresAndComplains(t *testing.T) {
	var got struct{ Key, Value []byte }
	full := false
	etcd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v3/kv/put" || json.NewDecoder(r.Body).Decode(&got) != nil {
			t.Errorf("%s", r.URL)
		}
		if full {
			http.Error(w, "no space", http.StatusTooManyRequests)
		}
	}))
	defer etcd.Close()
	if err := put(t.Context(), etcd.Client(), etcd.URL, "/registry/pods/ns/a", []byte(`{}`)); err != nil || string(got.Key) != "/registry/pods/ns/a" || string(got.Value) != "{}" {
		t.Errorf("%v, %s %s", err, got.Key, got.Value)
	}
	full = true
	if err := put(t.Context(), etcd.Client(), etcd.URL, "/k", nil); err == nil || !strings.Contains(err.Error(), "no space") || !strings.Contains(err.Error(), "/k") {
		t.Error(err)
	}
}

func TestDrop_RemovesWhatIsBelowAndNothingElse(t *testing.T) {
	var got struct {
		Key, Value []byte
		End        []byte `json:"range_end"`
	}
	etcd := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v3/kv/deleterange" || json.NewDecoder(r.Body).Decode(&got) != nil {
			t.Errorf("%s", r.URL)
		}
	}))
	defer etcd.Close()
	if err := drop(t.Context(), etcd.Client(), etcd.URL, "/registry/pods/ns/"); err != nil {
		t.Error(err)
	}
	for key, want := range map[string]bool{"/registry/pods/ns/a": true, "/registry/pods/ns/zz": true, "/registry/pods/ns0/a": false, "/registry/pods/nr/a": false} {
		if in := key >= string(got.Key) && key < string(got.End); in != want {
			t.Errorf("%s is removed: %v", key, in)
		}
	}
}

func TestFreePorts_AreDifferent(t *testing.T) {
	ports, err := FreePorts(5)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		seen[p] = true
	}
	if len(seen) != 5 {
		t.Errorf("%v", ports)
	}
}
