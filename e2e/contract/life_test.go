//go:build integration

package contract

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

const sample = `{
  "apiVersion": "autoscaler-group.autoscaler/v1alpha1", "kind": "CustomAutoscaler",
  "metadata": {"name": "sample", "labels": {"team": "vision"}},
  "spec": {"loadBalancingAlgorithm": "LeastConnections", "idleTime": 90, "cpuThreshold": 700,
    "targetDeployments": [{"name": "none", "apiPrefix": "/contract/NAMESPACE", "port": "5001", "service": "none"}]}}`

// response is what every generated response has.
type response interface{ StatusCode() int }

// life leads the client from create to not found, and returns what it was told on the way.
func life(t *testing.T, c *autoscaler.ClientWithResponses, who identity) []answer {
	t.Helper()
	ctx := t.Context()
	as := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+who.token)
		return nil
	}
	var answers []answer
	step := func(name string, r response, raw []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a := answer{Step: name, Status: r.StatusCode()}
		if a.Status < 300 {
			a.Body = comparable(t, []byte(strings.ReplaceAll(string(raw), who.namespace, "NAMESPACE")))
		} else if len(raw) == 0 {
			t.Errorf("%s: %d without a word", name, a.Status)
		}
		answers = append(answers, a)
	}
	create := func(name string, change func(*autoscaler.CustomAutoscaler)) {
		t.Helper()
		object := parse(t, who.namespace)
		change(&object)
		r, err := c.CreateCustomAutoscalerWithResponse(ctx, who.namespace, object, as)
		step(name, r, body(r), err)
	}
	nothing := func(*autoscaler.CustomAutoscaler) {}

	create("create", nothing)
	create("create again", nothing)
	create("create with an idleTime of 0", func(o *autoscaler.CustomAutoscaler) { rename(o, "bad"); o.Spec.IdleTime = new(int32(0)) })
	create("create with min > max", func(o *autoscaler.CustomAutoscaler) {
		rename(o, "bad")
		o.Spec.MinReplicas, o.Spec.MaxReplicas = new(int32(3)), new(int32(2))
	})
	create("create with port 70000", func(o *autoscaler.CustomAutoscaler) { rename(o, "bad"); o.Spec.TargetDeployments[0].Port = "70000" })
	create("create with a bad name", func(o *autoscaler.CustomAutoscaler) { rename(o, "Bad_Name") })

	list, err := c.ListCustomAutoscalersWithResponse(ctx, who.namespace, nil, as)
	step("list", list, list.Body, err)
	labelled, err := c.ListCustomAutoscalersWithResponse(ctx, who.namespace, &autoscaler.ListCustomAutoscalersParams{LabelSelector: new("team=none")}, as)
	step("list by label", labelled, labelled.Body, err)

	read, err := c.GetCustomAutoscalerWithResponse(ctx, who.namespace, "sample", as)
	step("read", read, read.Body, err)
	replaced := *read.JSON200
	replaced.Spec.IdleTime = new(int32(120))
	put, err := c.ReplaceCustomAutoscalerWithResponse(ctx, who.namespace, "sample", replaced, as)
	step("replace", put, put.Body, err)
	stale := *read.JSON200
	stale.Spec.IdleTime = new(int32(30))
	put, err = c.ReplaceCustomAutoscalerWithResponse(ctx, who.namespace, "sample", stale, as)
	step("replace what has changed since", put, put.Body, err)

	patch := func(name, object string, change autoscaler.MergePatch) {
		t.Helper()
		r, err := c.PatchCustomAutoscalerWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, who.namespace, object, change, as)
		step(name, r, r.Body, err)
	}
	patch("patch", "sample", autoscaler.MergePatch{"spec": map[string]any{"maxReplicas": 4}})
	patch("patch a field away", "sample", autoscaler.MergePatch{"spec": map[string]any{"cpuThreshold": nil}})
	patch("patch an old version", "sample", autoscaler.MergePatch{"metadata": map[string]any{"resourceVersion": "1"}, "spec": map[string]any{"maxReplicas": 5}})
	patch("patch badly", "sample", autoscaler.MergePatch{"spec": map[string]any{"idleTime": -1}})
	patch("patch an unknown field", "sample", autoscaler.MergePatch{"spec": map[string]any{"maxReplicas": "many"}})
	patch("patch nothing", "absent", autoscaler.MergePatch{"spec": map[string]any{"idleTime": 60}})
	replaced.Metadata.Name = new("absent")
	put, err = c.ReplaceCustomAutoscalerWithResponse(ctx, who.namespace, "absent", replaced, as)
	step("replace nothing", put, put.Body, err)

	wrong, err := c.PatchCustomAutoscalerWithBodyWithResponse(ctx, who.namespace, "sample", "text/plain", strings.NewReader("{}"), as)
	step("patch with another media type", wrong, wrong.Body, err)
	elsewhere, err := c.ListCustomAutoscalersWithResponse(ctx, "kube-system", nil, as)
	step("list where one may not", elsewhere, elsewhere.Body, err)
	stranger, err := c.ListCustomAutoscalersWithResponse(ctx, who.namespace, nil, func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer nobody")
		return nil
	})
	step("list as nobody", stranger, stranger.Body, err)

	for _, name := range []string{"delete", "delete again"} {
		gone, err := c.DeleteCustomAutoscalerWithResponse(ctx, who.namespace, "sample", as)
		step(name, gone, gone.Body, err)
	}
	absent, err := c.GetCustomAutoscalerWithResponse(ctx, who.namespace, "sample", as)
	step("read what is gone", absent, absent.Body, err)
	expect(t, answers)
	return answers
}

// expect holds the steps against what Kubernetes documents, so that two equal mistakes do not pass.
func expect(t *testing.T, answers []answer) {
	t.Helper()
	want := map[string]int{
		"create": 201, "create again": 409, "create with an idleTime of 0": 422, "create with min > max": 422,
		"create with port 70000": 422, "create with a bad name": 422, "list": 200, "list by label": 200, "read": 200,
		"replace": 200, "replace what has changed since": 409, "patch": 200, "patch a field away": 200,
		"patch an old version": 409, "patch badly": 422, "patch an unknown field": 422, "patch nothing": 404,
		"replace nothing": 404, "patch with another media type": 415, "list where one may not": 403, "list as nobody": 401,
		"delete": 200, "delete again": 404, "read what is gone": 404,
	}
	for _, a := range answers {
		if a.Status != want[a.Step] {
			t.Errorf("%s: status %d, want %d", a.Step, a.Status, want[a.Step])
		}
		delete(want, a.Step)
	}
	for step := range want {
		t.Errorf("%s was not tried", step)
	}
}

func parse(t *testing.T, namespace string) autoscaler.CustomAutoscaler {
	t.Helper()
	var object autoscaler.CustomAutoscaler
	if err := json.Unmarshal([]byte(strings.ReplaceAll(sample, "NAMESPACE", namespace)), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func rename(o *autoscaler.CustomAutoscaler, name string) { o.Metadata.Name = &name }

func body(r *autoscaler.CreateCustomAutoscalerResponse) []byte {
	if r == nil {
		return nil
	}
	return r.Body
}
