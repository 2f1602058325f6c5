package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clustered are the kinds of ours that are in no namespace.
var clustered = []string{"ClusterRole/", "ClusterRoleBinding/", "PriorityClass/", "Namespace/", "CustomResourceDefinition/"}

func TestNamespaced_HasRolesAlone(t *testing.T) {
	whole := helm(t, "team-a")
	for name, c := range map[string]struct {
		values, watched string
		events          bool
	}{
		"its own namespace": {`rbac: {namespaced: true}`, "team-a", false},
		"another one":       {`{rbac: {namespaced: true}, watchNamespace: team-b}`, "team-b", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := helm(t, "team-a", c.values)
			for id, o := range got {
				for _, kind := range clustered {
					if strings.HasPrefix(id, kind) {
						t.Errorf("%s is outside any namespace", id)
					}
				}
				if ns := at(o, "metadata", "namespace"); ns != "team-a" && ns != c.watched {
					t.Errorf("%s is in %v", id, ns)
				}
			}
			role, binding := got["Role/nemesis-autoscaler-controller"], got["RoleBinding/nemesis-autoscaler-controller"]
			if at(role, "metadata", "namespace") != c.watched || at(binding, "metadata", "namespace") != c.watched {
				t.Errorf("the rights are not in %s: %v %v", c.watched, role, binding)
			}
			all, _ := whole["ClusterRole/nemesis-autoscaler-controller"]["rules"].([]any)
			want := slices.DeleteFunc(slices.Clone(all), func(rule any) bool {
				what := at(rule, "resources", 0)
				return what == "claimpolicies" || what == "namespaces" || what == "tokenreviews" // in no namespace
			})
			if len(want) != len(all)-3 {
				t.Errorf("%d of %d rules are of what is in no namespace", len(all)-len(want), len(all))
			}
			if diff := cmp.Diff(any(want), role["rules"]); diff != "" || role["rules"] == nil {
				t.Errorf("the rights are others:\n%s", diff)
			}
			bound := map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "nemesis-autoscaler-controller"}
			if diff := cmp.Diff(bound, binding["roleRef"]); diff != "" {
				t.Error(diff)
			}
			if at(binding, "subjects", 0, "namespace") != "team-a" {
				t.Errorf("it is bound to %v", binding["subjects"])
			}
			if watched := env(got["Deployment/autoscaler-controller"])["NEMESIS_WATCH_NAMESPACE"]; watched != c.watched {
				t.Errorf("the controller watches %v", watched)
			}
			if _, events := got["Role/autoscaler-controller-events"]; events != c.events {
				t.Errorf("events in its own namespace: %v", events)
			}
		})
	}
}

// A Role gives no rights to what is in no namespace, and a binding needs its role beside it: who gives the controller such a right in
// kustomize/ has to say in the chart's README what does not work without it, and leave it out here.
func TestNamespaced_GivesOnlyWhatARoleCan(t *testing.T) {
	outside := []any{"nodes", "namespaces", "persistentvolumes", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews", "customresourcedefinitions", "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "clusterroles", "clusterrolebindings", "claimpolicies"}
	got := helm(t, "team-a", `{rbac: {namespaced: true}, watchNamespace: team-b, autoscalerController: {shards: 2}}`)
	roles, bindings := 0, 0
	for id, o := range got {
		switch o["kind"] {
		case "Role":
			roles++
			rules, _ := o["rules"].([]any)
			for _, rule := range rules {
				resources, _ := at(rule, "resources").([]any)
				for _, resource := range resources {
					if slices.Contains(outside, resource) || at(rule, "nonResourceURLs") != nil {
						t.Errorf("%s cannot give rights to %v", id, resource)
					}
				}
			}
		case "RoleBinding":
			bindings++
			role := got[fmt.Sprintf("%v/%v", at(o, "roleRef", "kind"), at(o, "roleRef", "name"))]
			if role == nil || at(role, "metadata", "namespace") != at(o, "metadata", "namespace") {
				t.Errorf("%s is to %v, which is not beside it", id, o["roleRef"])
			}
		}
	}
	if roles != 4 || bindings != 4 {
		t.Errorf("%d roles and %d bindings: %v", roles, bindings, got.ids())
	}
}

func TestWatchNamespace_LeavesClusterRolesWithoutNamespaced(t *testing.T) {
	got := helm(t, "nemesis-system", `watchNamespace: team-b`)
	if got["ClusterRole/nemesis-autoscaler-controller"] == nil || env(got["Deployment/autoscaler-controller"])["NEMESIS_WATCH_NAMESPACE"] != "team-b" {
		t.Errorf("%v", got.ids())
	}
}

func TestNetworkPolicy_OpensTheAPIServersPorts(t *testing.T) {
	for name, c := range map[string]struct {
		values string
		want   map[string]any
	}{
		"usual": {`{}`, map[string]any{"ports": []any{tcp(443), tcp(6443)}}},
		"its own": {
			`networkPolicy: {apiServer: {ports: [16443], cidrs: [10.0.0.1/32, "fd00::1/128"]}}`,
			map[string]any{"ports": []any{tcp(16443)}, "to": []any{block("10.0.0.1/32"), block("fd00::1/128")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := helm(t, "nemesis-system", `networkPolicy: {enabled: true}`, c.values)["NetworkPolicy/autoscaler-controller"]
			if diff := cmp.Diff(c.want, at(policy, "spec", "egress", 1)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func tcp(port float64) map[string]any { return map[string]any{"protocol": "TCP", "port": port} }

func block(cidr string) map[string]any {
	return map[string]any{"ipBlock": map[string]any{"cidr": cidr}}
}

func TestNetworkPolicy_ClosesOnlyANamespaceWithoutApplications(t *testing.T) {
	for values, want := range map[string]bool{
		`{}`:                                  true,
		`networkPolicy: {defaultDeny: false}`: false,
		`rbac: {namespaced: true}`:            false,
		`{rbac: {namespaced: true}, watchNamespace: other}`:       true,
		`watchNamespace: nemesis-system`:                          false,
		`{networkPolicy: {enabled: false}, rbac: {}}`:             false,
		`{metricsCollector: {enabled: true}, watchNamespace: ""}`: true,
	} {
		got := helm(t, "nemesis-system", `networkPolicy: {enabled: true}`, values)
		if _, closed := got["NetworkPolicy/default-deny"]; closed != want {
			t.Errorf("%s: closed is %v", values, closed)
		}
	}
	for id := range helm(t, "nemesis-system", `{metricsCollector: {enabled: true}, elasticsearch: {enabled: true, url: "https://e:9200", egress: true}}`) {
		if strings.HasPrefix(id, "NetworkPolicy/") {
			t.Errorf("%s is there without networkPolicy.enabled", id)
		}
	}
}

// Nothing of another namespace than the release's is left in what is rendered.
func TestChart_IsWholeInAnotherNamespace(t *testing.T) {
	got := helm(t, "scaling", production(t), `{metricsCollector: {enabled: true}, elasticsearch: {enabled: true, url: "https://e:9200", egress: true}, loadBalancer: {tls: {enabled: true}}}`, shardingValues)
	for id, o := range got {
		if text := fmt.Sprint(o); strings.Contains(text, "nemesis-system") {
			t.Errorf("%s names nemesis-system: %s", id, text)
		}
	}
	for _, id := range []string{"Deployment/load-balancer", "DaemonSet/metrics-collector"} {
		if url := env(got[id])["NEMESIS_CONTROLLER_URL"]; url != "https://autoscaler-controller.scaling.svc:8080" {
			t.Errorf("%s looks for the controller at %v", id, url)
		}
	}
	if own := env(got["Deployment/autoscaler-controller"])["NEMESIS_CONTROLLER_URL"]; own != nil {
		t.Errorf("the controller was told %v, a setting that it does not have", own)
	}
	mine := helm(t, "scaling", `loadBalancer: {settings: {NEMESIS_CONTROLLER_URL: "http://elsewhere:8080"}}`)["Deployment/load-balancer"]
	if url := env(mine)["NEMESIS_CONTROLLER_URL"]; url != "http://elsewhere:8080" {
		t.Errorf("what the user says does not win: %v", url)
	}
}

func TestWorkload_TakesSettingsAsTheyAreMeant(t *testing.T) {
	got := helm(t, "nemesis-system", `loadBalancer: {settings: {NEMESIS_LOG_LEVEL: debug, NEMESIS_LAME_DUCK: 0s, NEMESIS_MAX_BODY_MIB: 1048576, NEMESIS_TRUST_TRACES: false, NEMESIS_LOG_SAMPLE: 0.25}}`)
	have := env(got["Deployment/load-balancer"])
	want := map[string]any{"NEMESIS_LOG_LEVEL": "debug", "NEMESIS_LAME_DUCK": "0s", "NEMESIS_MAX_BODY_MIB": "1048576", "NEMESIS_TRUST_TRACES": "false", "NEMESIS_LOG_SAMPLE": "0.25", "NEMESIS_DRAIN_TIMEOUT": "15m"}
	for name, value := range want {
		if have[name] != value {
			t.Errorf("%s is %q and not %q", name, have[name], value)
		}
	}
	list, _ := at(container(got["Deployment/load-balancer"]), "env").([]any)
	if len(list) != len(have) {
		t.Errorf("a name stands there twice: %v", list)
	}
	// $(POD_NAME) is known to what comes after it alone.
	list, _ = at(container(helm(t, "nemesis-system", `autoscalerController: {settings: {NEMESIS_ADVERTISE: "$(POD_IP):9"}}`)["Deployment/autoscaler-controller"]), "env").([]any)
	if at(list[2], "name") != "POD_IP" || at(list[4], "value") != "$(POD_IP):9" {
		t.Errorf("the order is another: %v", list)
	}
}

func TestWorkload_KeepsGosLimitBelowTheMemorys(t *testing.T) {
	for values, want := range map[string]any{
		`{}`:                                    "460MiB",
		`{resources: {limits: {memory: 1Gi}}}`:  "920MiB",
		`{resources: {limits: {memory: 3Gi}}}`:  "2760MiB",
		`{resources: {limits: {memory: 96Mi}}}`: "86MiB",
		`{resources: {limits: {memory: 1Gi}}, settings: {GOMEMLIMIT: 1GiB}}`:           "1GiB",
		`{resources: {limits: {memory: 1G}}, settings: {GOMEMLIMIT: 900MiB}}`:          "900MiB",
		`{resources: {limits: {memory: null}}}`:                                        nil,
		`{resources: {limits: {memory: null}}, settings: {NEMESIS_LOG_LEVEL: "warn"}}`: nil,
	} {
		got := env(helm(t, "nemesis-system", "loadBalancer: "+values)["Deployment/load-balancer"])["GOMEMLIMIT"]
		if got != want {
			t.Errorf("%s: GOMEMLIMIT is %v and not %v", values, got, want)
		}
	}
}

func TestWorkload_TakesWhatPodsHave(t *testing.T) {
	d := helm(t, "nemesis-system", `
images: { registry: registry.example.com/team/, pullPolicy: Always, pullSecrets: [{ name: key }] }
loadBalancer:
  replicas: null
  podAnnotations: { a: b }
  podLabels: { c: d }
  nodeSelector: { e: f }
  tolerations: [{ operator: Exists }]
  priorityClassName: mine
  terminationGracePeriodSeconds: 37
  strategy: { type: Recreate }
`, `priorityClass: {create: true}`)["Deployment/load-balancer"]
	for path, want := range map[string]any{
		"spec.replicas": nil, "spec.strategy": map[string]any{"type": "Recreate"},
		"spec.template.metadata.annotations.a": "b", "spec.template.metadata.labels.c": "d",
		"spec.template.spec.nodeSelector.e": "f", "spec.template.spec.priorityClassName": "mine",
		"spec.template.spec.terminationGracePeriodSeconds": 37.0,
		"spec.template.spec.tolerations":                   []any{map[string]any{"operator": "Exists"}},
		"spec.template.spec.imagePullSecrets":              []any{map[string]any{"name": "key"}},
	} {
		var steps []any
		for step := range strings.SplitSeq(path, ".") {
			steps = append(steps, step)
		}
		if diff := cmp.Diff(want, at(d, steps...)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if c := container(d); at(c, "image") != "registry.example.com/team/load-balancer:"+version(t) || at(c, "imagePullPolicy") != "Always" {
		t.Errorf("the image is %v, pulled %v", at(c, "image"), at(c, "imagePullPolicy"))
	}
}

func TestImage_IsWhatIsSaidClosest(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for values, want := range map[string]string{
		`images: {tag: dev}`: "nemesis/load-balancer:dev",
		`{images: {tag: dev}, loadBalancer: {image: {tag: v2}}}`:                      "nemesis/load-balancer:v2",
		`loadBalancer: {image: {repository: "r:5000/x", tag: v2}}`:                    "r:5000/x:v2",
		`{images: {tag: dev}, loadBalancer: {image: {digest: "` + digest + `"}}}`:     "nemesis/load-balancer@" + digest,
		`loadBalancer: {image: {repository: r/x, tag: v2, digest: "` + digest + `"}}`: "r/x@" + digest,
	} {
		if got := at(container(helm(t, "nemesis-system", values)["Deployment/load-balancer"]), "image"); got != want {
			t.Errorf("%s: %v and not %s", values, got, want)
		}
	}
}

func TestElasticsearch_MakesAnotherJobWhenItIsAnother(t *testing.T) {
	job := func(values ...string) (id string) {
		for name := range helm(t, "nemesis-system", append([]string{elasticValues}, values...)...) {
			if strings.HasPrefix(name, "Job/") {
				id = name
			}
		}
		return id
	}
	first := job()
	if first == "" || job(`loadBalancer: {replicas: 3}`) != first {
		t.Errorf("%q changes with what it has nothing to do with", first)
	}
	for _, values := range []string{`images: {tag: dev}`, `elasticsearch: {retention: 90d}`, `elasticsearch: {url: "https://other:9200"}`} {
		if job(values) == first {
			t.Errorf("%s: it is the same Job, which cannot be changed", values)
		}
	}
	if none := job(`elasticsearch: {setup: {enabled: false}}`); none != "" {
		t.Errorf("%s is there", none)
	}
}

func TestTLS_IsOnTheServiceWithTheSecretThatIsNamed(t *testing.T) {
	got := helm(t, "nemesis-system", `loadBalancer: {tls: {enabled: true, secretName: front, redirect: true}}`)
	service, d := got["Service/load-balancer"], got["Deployment/load-balancer"]
	if at(service, "spec", "ports", 2, "port") != 443.0 {
		t.Errorf("%v", service)
	}
	if at(d, "spec", "template", "spec", "volumes", 2, "secret", "secretName") != "front" || env(d)["NEMESIS_HTTPS_REDIRECT"] != "true" {
		t.Errorf("%v", d)
	}
}

func TestPublicService_HasTheDataPortsAlone(t *testing.T) {
	if got := helm(t, "nemesis-system")["Service/load-balancer-public"]; got != nil {
		t.Errorf("it is there without being asked for: %v", got)
	}
	got := helm(t, "nemesis-system", `loadBalancer: {public: {type: LoadBalancer, annotations: {a: b}}, tls: {enabled: true}}`)
	inside, public := got["Service/load-balancer"], got["Service/load-balancer-public"]
	if at(inside, "spec", "type") != nil || len(at(inside, "spec", "ports").([]any)) != 3 {
		t.Errorf("the one inside is changed: %v", inside)
	}
	if at(public, "spec", "type") != "LoadBalancer" || at(public, "metadata", "annotations", "a") != "b" {
		t.Errorf("%v", public)
	}
	want := []any{
		map[string]any{"name": "data", "port": 80.0, "targetPort": "data"}, map[string]any{"name": "data-tls", "port": 443.0, "targetPort": "data-tls"},
	}
	if diff := cmp.Diff(want, at(public, "spec", "ports")); diff != "" {
		t.Error(diff)
	}
}

func TestMonitors_TakeLabels(t *testing.T) {
	for id, o := range helm(t, "nemesis-system", `{serviceMonitor: {enabled: true, labels: {release: a}}, alerts: {enabled: true, labels: {release: b}}}`) {
		want := map[string]any{"ServiceMonitor": "a", "PrometheusRule": "b"}[fmt.Sprint(o["kind"])]
		if got := at(o, "metadata", "labels", "release"); got != want {
			t.Errorf("%s has %v", id, got)
		}
	}
}
