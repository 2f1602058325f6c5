//go:build integration

// Package contract holds the promise that one client works against both: the generated client is
// led through the life of a CustomAutoscaler, first against the controller, then against the
// Kubernetes API server itself, with the same token, and must get the same answers.
package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// answer is what the client saw of one step: the status code and what matters of the body.
type answer struct {
	Step   string
	Status int
	Body   any
}

func TestClient_GetsTheSameAnswersFromTheControllerAndFromKubernetes(t *testing.T) {
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("KUBECONFIG must name a cluster where Nemesis runs: run make e2e, which sets it")
	}
	cluster, err := kube.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	controller, err := cluster.ServiceURL(t.Context(), "nemesis-system", "autoscaler-controller", 8080, "NEMESIS_CONTROLLER_URL")
	if err != nil {
		t.Fatal(err)
	}
	first := life(t, client(t, controller, http.DefaultTransport), user(t, "contract-controller"))
	// The token is the test user's own on both sides, not the kubeconfig's.
	second := life(t, client(t, cluster.Server, cluster.Anonymous()), user(t, "contract-kubernetes"))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the answers differ (-controller +kubernetes):\n%s", diff)
	}
}

type identity struct{ namespace, token string }

// user makes a namespace and in it a service account that may edit CustomAutoscalers there.
func user(t *testing.T, namespace string) identity {
	t.Helper()
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: editor, namespace: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: editor, namespace: %[1]s}
rules:
- {apiGroups: [autoscaler-group.autoscaler], resources: [customautoscalers], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: editor, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: editor}
subjects: [{kind: ServiceAccount, name: editor, namespace: %[1]s}]
`, namespace)
	kubectl(t, manifest, "apply", "-f", "-")
	t.Cleanup(func() {
		if _, err := kube.Kubectl(context.Background(), nil, "delete", "namespace", namespace, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	return identity{namespace, strings.TrimSpace(kubectl(t, "", "-n", namespace, "create", "token", "editor"))}
}

func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := kube.Kubectl(t.Context(), strings.NewReader(stdin), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func client(t *testing.T, server string, transport http.RoundTripper) *autoscaler.ClientWithResponses {
	t.Helper()
	c, err := autoscaler.NewClientWithResponses(server, autoscaler.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// comparable keeps of a body what does not differ by place and time.
func comparable(t *testing.T, raw []byte) any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if items, ok := body["items"].([]any); ok {
		names := make([]string, 0, len(items))
		for _, item := range items {
			names = append(names, fmt.Sprint(item.(map[string]any)["metadata"].(map[string]any)["name"]))
		}
		return map[string]any{"kind": body["kind"], "apiVersion": body["apiVersion"], "names": names}
	}
	if body["kind"] == "Status" {
		return map[string]any{"kind": body["kind"], "status": body["status"], "details.name": body["details"].(map[string]any)["name"]}
	}
	meta, _ := body["metadata"].(map[string]any)
	return map[string]any{
		"kind": body["kind"], "apiVersion": body["apiVersion"], "spec": body["spec"],
		"name": meta["name"], "generation": meta["generation"], "labels": meta["labels"],
		"named": meta["uid"] != nil && meta["resourceVersion"] != nil && meta["creationTimestamp"] != nil,
	}
}
