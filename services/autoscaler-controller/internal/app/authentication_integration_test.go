//go:build integration

package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/reviews"
)

// account makes a service account with these rules in its namespace, and a token for the audiences; with a pod,
// one that is bound to it.
func (s *onCluster) account(t *testing.T, name, pod string, audiences []string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name}
	if _, err := s.kube.CoreV1().ServiceAccounts(s.namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(rules) > 0 {
		if _, err := s.kube.RbacV1().Roles(s.namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.kube.RbacV1().RoleBindings(s.namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: s.namespace}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if pod != "" {
		no := false
		made, err := s.kube.CoreV1().Pods(s.namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod}, Spec: corev1.PodSpec{
			ServiceAccountName: name, AutomountServiceAccountToken: &no, NodeName: "nowhere",
			Containers: []corev1.Container{{Name: "app", Image: "nemesis/fibonacci:dev", ImagePullPolicy: corev1.PullNever}},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod, UID: made.UID}
	}
	token, err := s.kube.CoreV1().ServiceAccounts(s.namespace).CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// The tokens and the rights are those of a real API server, and the controller that judges has no right to judge
// anybody: neither TokenReview nor SubjectAccessReview.
func TestAuthentication_AsARealAPIServerHasIt(t *testing.T) {
	s := setUp(t)
	ours := []string{"nemesis"}
	rule := func(verb string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{"autoscaler-group.autoscaler"}, Resources: resources, Verbs: []string{verb}}
	}
	tokens := map[string]string{
		"the balancer": s.account(t, "load-balancer", "lb-1", ours),
		"a pod":        s.account(t, "app", "app-1", ours),
		"no pod":       s.account(t, "unbound", "", ours),
		"elsewhere":    s.account(t, "elsewhere", "app-2", []string{"vault"}),
		"a viewer":     s.account(t, "viewer", "", nil, rule("list", "customautoscalers"), rule("get", "customautoscalers")),
		"an operator":  s.account(t, "operator", "", nil, rule("update", "customautoscalers/settings"), rule("get", "customautoscalers/settings"), rule("get", "customautoscalers/routes")),
		"nothing":      s.account(t, "nothing", "", nil),
		"nobody":       "",
		"nonsense":     "nonsense",
	}
	tokens["altered"] = tokens["the balancer"][:len(tokens["the balancer"])-4] + "AAAA"
	// It has an account of its own, with what the controller needs but for the right to judge tokens.
	mine := rest.AnonymousClientConfig(s.config)
	mine.BearerToken = s.account(t, "controller", "", nil, rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}})
	address, _ := boot(t, mine, func(o *Settings) {
		o.WatchNamespace, o.Namespace, o.Identity, o.Authentication = s.namespace, s.namespace, "judging", authentication.Required
	})
	testwait.Until(t, "it is whole", func() bool {
		status, _ := as(t, tokens["the balancer"], http.MethodGet, address+"/v1/routes?wait=0s", "")
		return status == http.StatusOK
	})
	push := func(pod string) string {
		return fmt.Sprintf(`{"podName":%q,"namespace":%q,"metrics":{"cpuUsage":1}}`, pod, s.namespace)
	}
	report := `{"balancer":"lb-1","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[]}`
	for _, c := range []struct {
		method, path, body string
		want               map[string]int // others are refused
	}{
		{"GET", "/v1/routes?wait=0s", "", map[string]int{"the balancer": 200, "an operator": 200}},
		{"POST", "/v1/traffic", report, map[string]int{"the balancer": 200}},
		{"POST", "/v1/traffic", strings.Replace(report, "lb-1", "lb-2", 1), nil},
		{"POST", "/metrics", push("app-1"), map[string]int{"a pod": 200}},
		{"POST", "/metrics", push("app-2"), nil},
		{"GET", "/v1/applications", "", map[string]int{"a viewer": 200, "an operator": 200, "nothing": 200}}, // what they may see, be it nothing
		{"GET", "/v1/applications?namespace=" + s.namespace, "", map[string]int{"a viewer": 200}},
		{"GET", "/v1/applications?namespace=kube-system", "", nil},
		{"GET", "/v1/loadbalancer/settings", "", map[string]int{"the balancer": 200, "an operator": 200}},
		{"GET", "/v1/identity/keys", "", map[string]int{"the balancer": 200, "a pod": 200}},
		{"GET", "/metrics", "", nil},
	} {
		for name, token := range tokens {
			status, body := as(t, token, c.method, address+c.path, c.body)
			want := c.want[name]
			switch {
			case want != 0:
			case name == "nobody" || name == "nonsense" || name == "elsewhere" || name == "altered":
				want = http.StatusUnauthorized
			default:
				want = http.StatusForbidden
			}
			if status != want {
				t.Errorf("%s %s by %s: %d, want %d: %s", c.method, c.path, name, status, want, body)
			}
		}
	}
	status, body := as(t, tokens["the balancer"], http.MethodPost, address+"/v1/access",
		fmt.Sprintf(`{"token":%q,"verb":"list","resource":"customautoscalers","namespaces":["default",%q]}`, tokens["a viewer"], s.namespace))
	if status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"user":"system:serviceaccount:%s:viewer"`, s.namespace)) || !strings.Contains(body, `"everywhere":true`) {
		t.Errorf("of its only namespace the viewer sees all: %d %s", status, body)
	}
}

// Where the keys are not to be had, the API server is asked whose the token of a service is.
func TestAuthentication_ByTokenReview(t *testing.T) {
	s := setUp(t)
	token := s.account(t, "app", "app-1", []string{"nemesis"})
	clients, err := kube.Connect(s.config, "test")
	if err != nil {
		t.Fatal(err)
	}
	server, err := reviews.New(clients)
	if err != nil {
		t.Fatal(err)
	}
	who, err := server.Review(t.Context(), token)
	if err != nil || who.Pod != "app-1" || who.Account != "app" || who.Namespace != s.namespace {
		t.Errorf("%+v %v", who, err)
	}
	if who, err := server.Review(t.Context(), s.account(t, "other", "", nil)); err == nil {
		t.Errorf("a token for another audience is %+v", who)
	}
}
