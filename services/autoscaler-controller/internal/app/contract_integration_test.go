//go:build integration

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// said is an answer without what differs from call to call: times, versions, ids.
type said struct {
	Step   string
	Status int
	Object any
}

// author makes an account that may write CustomAutoscalers in the namespace, and its token.
func (s *onCluster) author(t *testing.T) string {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "author"}
	if _, err := s.kube.CoreV1().ServiceAccounts(s.namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kube.RbacV1().Roles(s.namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"autoscaler-group.autoscaler"}, Resources: []string{"customautoscalers"}, Verbs: []string{"*"},
	}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kube.RbacV1().RoleBindings(s.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "author"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "author", Namespace: s.namespace}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := s.kube.CoreV1().ServiceAccounts(s.namespace).CreateToken(t.Context(), "author", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// plainly drops what no two objects have in common.
func plainly(t *testing.T, body []byte) any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var clean func(any)
	clean = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "status"} {
				delete(v, name)
			}
			for _, inner := range v {
				clean(inner)
			}
		case []any:
			for _, inner := range v {
				clean(inner)
			}
		}
	}
	clean(object)
	return object
}

// life leads one object through its whole life, with good calls and bad ones.
func life(t *testing.T, c *autoscaler.ClientWithResponses, namespace string) []said {
	t.Helper()
	ctx := t.Context()
	var all []said
	note := func(step string, status int, body []byte) {
		one := said{Step: step, Status: status}
		if status < http.StatusBadRequest {
			one.Object = plainly(t, body)
		}
		all = append(all, one)
	}
	create := func(step, body string) {
		r, err := c.CreateCustomAutoscalerWithBodyWithResponse(ctx, namespace, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		note(step, r.StatusCode(), r.Body)
	}
	object := func(spec string) string {
		return fmt.Sprintf(`{"apiVersion":"autoscaler-group.autoscaler/v1alpha1","kind":"CustomAutoscaler","metadata":{"name":"x"},"spec":%s}`, spec)
	}
	spec := func(more string) string {
		return fmt.Sprintf(`{"targetDeployments":[{"name":"x","apiPrefix":"/%s-x","port":"80"}]%s}`, namespace, more)
	}
	read := func(step string) *autoscaler.CustomAutoscaler {
		r, err := c.GetCustomAutoscalerWithResponse(ctx, namespace, "x")
		if err != nil {
			t.Fatal(err)
		}
		note(step, r.StatusCode(), r.Body)
		return r.JSON200
	}
	replace := func(step string, o autoscaler.CustomAutoscaler) {
		r, err := c.ReplaceCustomAutoscalerWithResponse(ctx, namespace, "x", o)
		if err != nil {
			t.Fatal(err)
		}
		note(step, r.StatusCode(), r.Body)
	}
	patch := func(step, media, body string) {
		r, err := c.PatchCustomAutoscalerWithBodyWithResponse(ctx, namespace, "x", media, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		note(step, r.StatusCode(), r.Body)
	}
	remove := func(step string) {
		r, err := c.DeleteCustomAutoscalerWithResponse(ctx, namespace, "x")
		if err != nil {
			t.Fatal(err)
		}
		note(step, r.StatusCode(), []byte(`{}`))
	}
	const merge = "application/merge-patch+json"
	read("read what is not there")
	create("create no JSON", `{`)
	create("create out of range", object(spec(`,"idleTime":0`)))
	create("create a wrong type", object(spec(`,"idleTime":"soon"`)))
	create("create min over max", object(spec(`,"minReplicas":5,"maxReplicas":2`)))
	create("create a port of no kind", object(strings.Replace(spec(""), `"80"`, `"65536"`, 1)))
	create("create without spec", `{"apiVersion":"autoscaler-group.autoscaler/v1alpha1","kind":"CustomAutoscaler","metadata":{"name":"x"}}`)
	create("create", object(spec(`,"idleTime":90`)))
	create("create again", object(spec("")))
	first := read("read")
	list, err := c.ListCustomAutoscalersWithResponse(ctx, namespace, &autoscaler.ListCustomAutoscalersParams{})
	if err != nil {
		t.Fatal(err)
	}
	note("list", list.StatusCode(), list.Body)
	if first == nil {
		t.Fatalf("nothing was created: %+v", all)
	}
	stale := *first
	patch("merge-patch", merge, `{"spec":{"idleTime":120,"cpuThreshold":700}}`)
	replace("replace with an old version", stale)
	patch("merge-patch out of range", merge, `{"spec":{"idleTime":-1}}`)
	patch("merge-patch no JSON", merge, `{`)
	patch("patch of another media type", "text/plain", `{}`)
	patch("merge-patch removes a field", merge, `{"spec":{"cpuThreshold":null}}`)
	// The controller may write the status between the two; then the version is rightly refused.
	before := len(all)
	for range 10 {
		all = all[:before]
		fresh := read("read the change")
		if fresh == nil {
			break
		}
		fresh.Spec.IdleTime = new(int32(33))
		if replace("replace", *fresh); all[len(all)-1].Status != http.StatusConflict {
			break
		}
	}
	remove("delete")
	remove("delete what is not there")
	patch("patch what is not there", merge, `{"spec":{"idleTime":120}}`)
	return all
}

func TestIntegration_TheControllerAnswersAsTheAPIServerDoes(t *testing.T) {
	s := setUp(t)
	token := s.author(t)
	bearer := autoscaler.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	})
	controller, err := autoscaler.NewClientWithResponses(s.address, bearer)
	if err != nil {
		t.Fatal(err)
	}
	here := life(t, controller, s.namespace)
	there := life(t, s.direct(t), s.namespace)
	if diff := cmp.Diff(there, here); diff != "" {
		t.Errorf("(-API server +controller):\n%s", diff)
	}
	want := map[string]int{
		"read what is not there": 404, "create no JSON": 400, "create out of range": 422, "create a wrong type": 422, "create": 201,
		"create again": 409, "merge-patch": 200, "replace with an old version": 409, "replace": 200, "delete": 200, "delete what is not there": 404,
	}
	for _, one := range here {
		if status, ok := want[one.Step]; ok && one.Status != status {
			t.Errorf("%s: %d, want %d", one.Step, one.Status, status)
		}
	}
}
