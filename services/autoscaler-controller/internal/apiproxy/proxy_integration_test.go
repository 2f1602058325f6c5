//go:build integration

package apiproxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

var resource = schema.GroupVersionResource{Group: "autoscaler-group.autoscaler", Version: "v1alpha1", Resource: "customautoscalers"}

func create(t *testing.T, c *kube.Clients, namespace string) {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": resource.GroupVersion().String(), "kind": "CustomAutoscaler", "metadata": map[string]any{"name": "ca", "namespace": namespace},
		"spec": map[string]any{"targetDeployments": []any{map[string]any{"name": "app", "apiPrefix": "/" + namespace, "port": "80"}}},
	}}
	if _, err := c.Dynamic.Resource(resource).Namespace(namespace).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestIntegration_CallsAreJudgedByTheCallersToken(t *testing.T) {
	c, ns := kubetest.Connect(t)
	create(t, c, ns)
	closed, err := New(c, false)
	if err != nil {
		t.Fatal(err)
	}
	open, err := New(c, true)
	if err != nil {
		t.Fatal(err)
	}
	path := "/apis/" + resource.Group + "/" + resource.Version + "/namespaces/" + ns + "/" + resource.Resource
	call := func(o *Proxy, method, path, token string, body []byte) (int, string, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://here"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := o.Do(r)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text), err
	}
	if _, _, err := call(closed, "GET", path, "", nil); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("without a token: %v", err)
	}
	if status, text, err := call(closed, "GET", path, kubetest.Token(t, c, ns), nil); err != nil || status != http.StatusForbidden {
		t.Errorf("a token without rights: %d %s %v", status, text, err)
	}
	if status, _, err := call(closed, "GET", path, "nonsense", nil); err != nil || status != http.StatusUnauthorized {
		t.Errorf("no token at all: %d %v", status, err)
	}
	status, text, err := call(open, "GET", path, "", nil)
	var list struct{ Items []map[string]any }
	if err != nil || status != http.StatusOK || json.Unmarshal([]byte(text), &list) != nil || len(list.Items) != 1 {
		t.Errorf("with anonymous access: %d %s %v", status, text, err)
	}
	if _, _, err := call(open, "POST", path, "", []byte(`{}`)); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("writing with anonymous access: %v", err)
	}
}
