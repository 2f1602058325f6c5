package kube

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// server answers each path with one body, and everything else with 404.
func server(t *testing.T, bodies map[string]string) *Client {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.Error(w, `{"message":"no such thing"}`, http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(web.Close)
	return &Client{base: web.URL, http: web.Client()}
}

func TestNodeReady_TellsWhatTheNodeWaitsFor(t *testing.T) {
	const path = "/api/v1/nodes/one"
	for body, want := range map[string]string{
		`{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`:                             "",
		`{"status":{"conditions":[{"type":"Ready","status":"False","message":"no network yet"}]}}`: "no network yet",
		`{"status":{"conditions":[{"type":"DiskPressure","status":"False"}]}}`:                     "has not reported",
		`no JSON`: path,
	} {
		expect(t, server(t, map[string]string{path: body}).NodeReady(t.Context(), "one"), want)
	}
	expect(t, server(t, nil).NodeReady(t.Context(), "one"), "no such thing")
}

func TestDeploymentAvailable_CountsPods(t *testing.T) {
	const path = "/apis/apps/v1/namespaces/a/deployments/b"
	for body, want := range map[string]string{
		`{"spec":{"replicas":2},"status":{"availableReplicas":2}}`: "",
		`{"spec":{"replicas":2},"status":{"availableReplicas":1}}`: "1 of 2",
		`{"spec":{"replicas":0}}`:                                  "0 of 0",
	} {
		expect(t, server(t, map[string]string{path: body}).DeploymentAvailable(t.Context(), "a", "b"), want)
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%v, want an error with %q", err, want)
	}
}

func TestKubeconfig_CarriesTheCredentials(t *testing.T) {
	directory := t.TempDir()
	files := Files{filepath.Join(directory, "ca"), filepath.Join(directory, "crt"), filepath.Join(directory, "key")}
	for _, path := range []string{files.Authority, files.Certificate, files.Key} {
		if err := os.WriteFile(path, []byte("content of "+filepath.Base(path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := Kubeconfig("https://10.0.0.1:6443", "me", "there", files)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(raw) {
		t.Fatalf("no JSON: %s", raw)
	}
	for _, want := range []string{"https://10.0.0.1:6443", `"namespace": "there"`, base64.StdEncoding.EncodeToString([]byte("content of key"))} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%q is missing in %s", want, raw)
		}
	}
	if _, err := Kubeconfig("", "", "", Files{}); err == nil {
		t.Error("missing files were accepted")
	}
}
