package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// asked is how long a member's token is asked for; the API server may give less.
const asked = 12 * time.Hour

// Member is somebody who has one of Kubernetes' roles in one namespace, and signs calls of Nemesis with a token.
type Member struct {
	cluster *Cluster
	tokens  string // where they are had

	mu    sync.Mutex
	token string
	renew time.Time
}

// Member makes a service account in the namespace and binds the ClusterRole to it there. It stays as long as the namespace.
func (c *Cluster) Member(ctx context.Context, namespace, name, role string) (*Member, error) {
	accounts := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s", namespace, name)
	bindings := fmt.Sprintf("/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings/%s", namespace, name)
	meta := map[string]any{"name": name, "namespace": namespace}
	for path, object := range map[string]map[string]any{
		accounts: {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
		bindings: {
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
			"subjects": []map[string]any{{"kind": "ServiceAccount", "name": name, "namespace": namespace}},
		},
	} {
		if err := c.Do(ctx, http.MethodPatch, path+"?fieldManager=nemesis-"+name+"&force=true", "application/apply-patch+yaml", object, nil); err != nil {
			return nil, fmt.Errorf("make the account %s/%s: %w", namespace, name, err)
		}
	}
	return &Member{cluster: c, tokens: accounts + "/token"}, nil
}

// Sign is an editor of requests for the generated clients: it adds the member's token.
func (m *Member) Sign(ctx context.Context, r *http.Request) error {
	token, err := m.current(ctx)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// current is a token of which at least half of its life is left.
func (m *Member) current(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Before(m.renew) {
		return m.token, nil
	}
	request := map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"spec": map[string]any{"expirationSeconds": int(asked.Seconds())},
	}
	var answer struct {
		Status struct {
			Token               string    `json:"token"`
			ExpirationTimestamp time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	if err := m.cluster.Do(ctx, http.MethodPost, m.tokens, "application/json", request, &answer); err != nil {
		return "", fmt.Errorf("have a token: %w", err)
	}
	m.token, m.renew = answer.Status.Token, now.Add(answer.Status.ExpirationTimestamp.Sub(now)/2)
	return m.token, nil
}
