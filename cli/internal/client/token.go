package client

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// lifetime is how long a token that is made is good.
const lifetime = time.Hour

var serviceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}

// accountToken is a token of a service account, made when it is needed and anew in time.
type accountToken struct {
	config          *rest.Config
	namespace, name string

	lock  sync.Mutex
	token string
	until time.Time
}

// made is the token of the service account that was asked for; nil: none was.
func (n *Nemesis) made(config *rest.Config) func(context.Context) (string, error) {
	if n.options.ServiceAccount == "" {
		return nil
	}
	if n.token == nil {
		namespace, name, ok := strings.Cut(n.options.ServiceAccount, "/")
		if !ok {
			namespace, name = n.Namespace(), n.options.ServiceAccount
		}
		n.token = &accountToken{config: config, namespace: namespace, name: name}
	}
	return n.token.get
}

func (t *accountToken) get(ctx context.Context) (string, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if time.Now().Before(t.until) {
		return t.token, nil
	}
	kubernetes, err := dynamic.NewForConfig(t.config)
	if err != nil {
		return "", err
	}
	request := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"metadata": map[string]any{"name": t.name},
		"spec":     map[string]any{"expirationSeconds": int64(lifetime / time.Second)},
	}}
	answer, err := kubernetes.Resource(serviceAccounts).Namespace(t.namespace).Create(ctx, request, metav1.CreateOptions{}, "token")
	if err != nil {
		return "", Refused(fmt.Sprintf("a token of the service account %s/%s", t.namespace, t.name), err)
	}
	token, _, _ := unstructured.NestedString(answer.Object, "status", "token")
	if token == "" {
		return "", fmt.Errorf("the API server made no token of the service account %s/%s", t.namespace, t.name)
	}
	t.token, t.until = token, time.Now().Add(lifetime*2/3)
	return token, nil
}
