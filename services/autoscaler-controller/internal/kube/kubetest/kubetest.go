// Package kubetest is for tests against a cluster: the one that KUBECONFIG names, with the
// CustomResourceDefinition applied. Each makes a namespace of its own and removes it.
package kubetest

import (
	"context"
	"os"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Account is the service account that Token speaks for.
const Account = "nobody"

// Connect makes clients that may do everything, and a namespace that goes with the test.
func Connect(t *testing.T) (c *kube.Clients, namespace string) {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Skip("KUBECONFIG names no cluster")
	}
	config, err := kube.Config(path)
	if err != nil {
		t.Fatal(err)
	}
	c = clients(t, config)
	namespaces := c.Typed.CoreV1().Namespaces()
	made, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "ac-test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = namespaces.Delete(context.Background(), made.Name, metav1.DeleteOptions{}) })
	return c, made.Name
}

// Token makes the account and a token of it, which gives no right at all.
func Token(t *testing.T, c *kube.Clients, namespace string) string {
	t.Helper()
	accounts := c.Typed.CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: Account}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	made, err := accounts.CreateToken(t.Context(), Account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made.Status.Token
}

// Nobody makes clients that speak with such a token.
func Nobody(t *testing.T, c *kube.Clients, namespace string) *kube.Clients {
	t.Helper()
	config := rest.AnonymousClientConfig(c.Config)
	config.BearerToken = Token(t, c, namespace)
	return clients(t, config)
}

// Away makes clients whose API server does not answer.
func Away(t *testing.T, c *kube.Clients) *kube.Clients {
	t.Helper()
	config := rest.CopyConfig(c.Config)
	config.Host = "https://127.0.0.1:1"
	return clients(t, config)
}

func clients(t *testing.T, config *rest.Config) *kube.Clients {
	t.Helper()
	c, err := kube.Connect(config, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
