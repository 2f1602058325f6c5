package main

import (
	"strings"
	"testing"
)

func TestWebhook_OfAnotherNamespaceLeavesItsOwnPodsAlone(t *testing.T) {
	got := helm(t, "scaling", `{webhook: {enabled: true, sidecar: {image: {repository: r.example/side, tag: "7"}}}}`)
	hook := at(got["MutatingWebhookConfiguration/nemesis-autoscaler-controller"], "webhooks", 0)
	values, _ := at(hook, "namespaceSelector", "matchExpressions", 0, "values").([]any)
	names := map[any]bool{}
	for _, v := range values {
		names[v] = true
	}
	if !names["scaling"] || !names["kube-system"] || names["nemesis-system"] || at(hook, "clientConfig", "service", "namespace") != "scaling" {
		t.Errorf("%v", hook)
	}
	if at(got["ValidatingWebhookConfiguration/nemesis-autoscaler-controller"], "webhooks", 0, "clientConfig", "service", "namespace") != "scaling" {
		t.Error("the other one leads elsewhere")
	}
	if image := env(got["Deployment/autoscaler-controller"])["NEMESIS_SIDECAR_IMAGE"]; image != "r.example/side:7" {
		t.Errorf("it puts in %v", image)
	}
}

func TestWebhook_IsNoPartOfRolesAlone(t *testing.T) {
	if _, err := template(t, "team-a", `{rbac: {namespaced: true}, webhook: {enabled: true}}`); err == nil || !strings.Contains(err.Error(), "webhook.enabled: true is not allowed with rbac.namespaced") {
		t.Errorf("%v", err)
	}
	for id := range helm(t, "team-a", `rbac: {namespaced: true}`) {
		if strings.Contains(id, "Webhook") || strings.Contains(id, "webhook") {
			t.Errorf("%s is there", id)
		}
	}
}
