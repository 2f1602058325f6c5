package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/archive"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/cluster"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/webhook"
)

// What the controller asks of the API server is what its roles give it and what RBAC.md says: a right that
// nothing uses fails, and so does a call without its right. The API server of this test writes down what is
// asked with the controller's own token, and answers so that every way of the adapters is gone.

const (
	rightsFolder = "../../../../kustomize/base/autoscaler-controller/"
	shardsRole   = "../../../../kustomize/components/sharding/role.yaml"
	webhookRole  = "../../../../kustomize/components/webhook/role.yaml"
	noticesRole  = "../../../../kustomize/components/notifications/role.yaml"
)

// byName are the resources of which a role gives single objects alone: their rights are "group/resource/name verb",
// so that the two authorities' Secrets, and the two ConfigMaps, are told apart.
var byName = []string{"secrets", "configmaps", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"}

// asked is an API server that writes down "group/resource verb" of what is asked of it.
type asked struct {
	mu     sync.Mutex
	rights map[string]bool
	leases map[string][]byte // as the client wrote them
	scales int               // answered with a conflict so far
	secret []byte            // the webhook's, as it was applied
}

var apiPath = regexp.MustCompile(`^/apis?/(?:([^/]+\.[^/]+|apps|autoscaling)/)?v[^/]+/(?:namespaces/[^/]+/)?([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$`)

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := apiPath.FindStringSubmatch(r.URL.Path)
	if path == nil {
		http.Error(w, `{"kind":"Status","apiVersion":"v1","code":404,"reason":"NotFound"}`, http.StatusNotFound)
		return
	}
	group, resource, name := path[1], path[2], path[3]
	if path[4] != "" {
		resource += "/" + path[4]
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodGet: "get"}[r.Method]
	watches := r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1"
	switch {
	case watches:
		verb = "watch"
	case verb == "get" && name == "":
		verb = "list"
	}
	if r.Header.Get("Authorization") == "Bearer controller" {
		of := group + "/" + resource
		if slices.Contains(byName, resource) {
			of += "/" + cmp.Or(name, strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name="))
		}
		a.took(of, verb)
		if verb == "patch" && (resource == "configmaps" || resource == "secrets") { // server-side apply makes what is not there
			a.took(of, "create")
		}
	}
	body, _ := io.ReadAll(r.Body)
	status, answer := a.answer(r, group, resource, name, verb, body)
	if status == 0 { // a watch in which nothing happens
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush() //nolint:forcetypeassert // of net/http
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if bytes.HasPrefix(answer, []byte("k8s\x00")) { // what the client sent, given back
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

func (a *asked) took(resource, verb string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rights[resource+" "+verb] = true
}

func (a *asked) answer(r *http.Request, group, resource, name, verb string, body []byte) (int, []byte) {
	refusal := func(code int, reason string) (int, []byte) {
		return code, fmt.Appendf(nil, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q}`, code, reason)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case verb == "watch" && r.URL.Query().Get("sendInitialEvents") != "":
		return refusal(http.StatusUnprocessableEntity, "Invalid") // as a server that does not stream lists: they are asked for
	case verb == "watch":
		return 0, nil
	case verb == "list" && resource == "configmaps" && strings.HasSuffix(r.URL.Query().Get("fieldSelector"), "=nemesis-ca"):
		// Published where no application is any more.
		return http.StatusOK, []byte(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":[` +
			`{"metadata":{"name":"nemesis-ca","namespace":"default","resourceVersion":"2","labels":{"app.kubernetes.io/part-of":"nemesis"}}},` +
			`{"metadata":{"name":"nemesis-ca","namespace":"gone","resourceVersion":"2","labels":{"app.kubernetes.io/part-of":"nemesis"}}}]}`)
	case resource == "secrets" && name != webhook.Secret && verb == "patch": // somebody made an empty one at the same moment
		return http.StatusOK, []byte(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"nemesis-ca-key","namespace":"default","resourceVersion":"3"}}`)
	case verb == "list":
		return http.StatusOK, a.list(group, resource)
	case resource == "leases":
		if verb != "get" {
			made, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
			lease, ok := made.(*coordinationv1.Lease)
			if err != nil || !ok {
				return refusal(http.StatusBadRequest, "BadRequest")
			}
			a.leases[lease.Name] = body
			return http.StatusOK, body
		}
		if found := a.leases[name]; found != nil {
			return http.StatusOK, found
		}
		return refusal(http.StatusNotFound, "NotFound")
	case resource == "deployments/scale" && verb == "patch" && a.scales == 0:
		a.scales++
		return refusal(http.StatusConflict, "Conflict")
	case resource == "deployments/scale":
		return http.StatusOK, []byte(`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"app","namespace":"ns","resourceVersion":"7"},"spec":{"replicas":1}}`)
	case resource == "customautoscalers" || resource == "customautoscalers/status":
		return http.StatusOK, []byte(theAutoscaler)
	case resource == "selfsubjectreviews":
		return http.StatusCreated, []byte(`{"status":{"userInfo":{"username":"somebody"}}}`)
	case resource == "selfsubjectaccessreviews":
		return http.StatusCreated, []byte(`{"status":{"allowed":true}}`)
	case resource == "tokenreviews":
		return http.StatusCreated, []byte(`{"status":{"authenticated":true,"audiences":["nemesis"],"user":{"username":"system:serviceaccount:default:load-balancer"}}}`)
	case verb == "create" || verb == "update":
		return http.StatusCreated, body
	case name == webhook.Secret:
		if verb == "patch" {
			a.secret = body
		}
		if a.secret == nil {
			return refusal(http.StatusNotFound, "NotFound")
		}
		return http.StatusOK, a.secret
	case group == "admissionregistration.k8s.io":
		kinds := map[string]string{"mutatingwebhookconfigurations": "MutatingWebhookConfiguration", "validatingwebhookconfigurations": "ValidatingWebhookConfiguration"}
		return http.StatusOK, fmt.Appendf(nil, `{"kind":%q,"apiVersion":"admissionregistration.k8s.io/v1","metadata":{"name":%q},`+
			`"webhooks":[{"name":"a.b.c","clientConfig":{"service":{"name":"autoscaler-controller","namespace":"default"}}}]}`, kinds[resource], name)
	case resource == "configmaps":
		return http.StatusOK, []byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"load-balancer-settings","namespace":"default","resourceVersion":"3"}}`)
	}
	return http.StatusOK, []byte(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"ns","resourceVersion":"3"}}`)
}

const theAutoscaler = `{"kind":"CustomAutoscaler","apiVersion":"autoscaler-group.autoscaler/v1alpha1","metadata":{"name":"ca","namespace":"ns","uid":"u","resourceVersion":"5","generation":1},` +
	`"spec":{"targetDeployments":[{"name":"app","apiPrefix":"/app","port":"80"}],"sidecar":{}}}`

// list has one CustomAutoscaler, and nothing else.
func (a *asked) list(group, resource string) []byte {
	kinds := map[string]string{
		"pods": "PodList", "deployments": "DeploymentList", "services": "ServiceList", "endpointslices": "EndpointSliceList", "configmaps": "ConfigMapList",
		"horizontalpodautoscalers": "HorizontalPodAutoscalerList", "scaledobjects": "ScaledObjectList", "customautoscalers": "CustomAutoscalerList", "leases": "LeaseList",
		"claimpolicies": "ClaimPolicyList", "secrets": "SecretList", "namespaces": "NamespaceList",
	}
	versions := map[string]string{
		"": "v1", "apps": "apps/v1", "autoscaling": "autoscaling/v2", "discovery.k8s.io": "discovery.k8s.io/v1", "coordination.k8s.io": "coordination.k8s.io/v1",
		"keda.sh": "keda.sh/v1alpha1", "autoscaler-group.autoscaler": "autoscaler-group.autoscaler/v1alpha1", "metrics.k8s.io": "metrics.k8s.io/v1beta1",
	}
	kind, items := kinds[resource], "[]"
	if group == "metrics.k8s.io" {
		kind = "PodMetricsList"
	}
	if resource == "customautoscalers" {
		items = "[" + theAutoscaler + "]"
	}
	return fmt.Appendf(nil, `{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"10"},"items":%s}`, kind, versions[group], items)
}

func (a *asked) has(rights ...string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, right := range rights {
		if !a.rights[right] {
			return false
		}
	}
	return true
}

// everything runs the controller against the server until nothing new is asked, and then those of its
// adapters' ways that need an application with traffic. It returns what was asked.
func everything(t *testing.T, change func(*Settings), until ...string) map[string]bool {
	t.Helper()
	a := &asked{rights: map[string]bool{}, leases: map[string][]byte{}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL, BearerToken: "controller"}
	address, stop := boot(t, config, change)
	for _, right := range until {
		testwait.Until(t, "the program asks for "+right, func() bool { return a.has(right) })
	}
	// This server publishes no keys: the tokens of services are left to TokenReview.
	service := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":["nemesis"]}`)) + ".c2ln"
	for _, call := range []struct{ method, path, body, token string }{
		{http.MethodGet, "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/ns/customautoscalers", "", "somebody"}, // by the caller's token
		{http.MethodPut, "/v1/loadbalancer/settings", `{"policy":"round_robin","max_connections":100,"timeout_seconds":30}`, "somebody"},
		{http.MethodGet, "/v1/loadbalancer/settings", "", service},
	} {
		r, err := http.NewRequestWithContext(t.Context(), call.method, address+call.path, strings.NewReader(call.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+call.token)
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s %s: %d %s", call.method, call.path, answer.StatusCode, said)
		}
	}
	adapters(t, a, config)
	repeats(t, a)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.rights)
}

type namespaces []string

func (n namespaces) Unmeasured(time.Time) []string { return n }
func (n namespaces) Measure([]fleet.Measurement)   {}

// adapters are called for what an application with traffic brings about.
func adapters(t *testing.T, a *asked, config *rest.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clients, err := kube.Connect(config, "test")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	instruments := newInstruments(prometheus.NewRegistry(), noop.NewTracerProvider().Tracer(""))
	app := fleet.Key{Namespace: "ns", Deployment: "app"}
	if _, err := cluster.NewScaler(clients).Scale(ctx, app, fleet.Scale{Replicas: 1, Version: 5}, 2); !errors.Is(err, fleet.ErrMoved) {
		t.Errorf("scale: %v, want the conflict", err)
	}
	if err := cluster.NewMarker(clients).Mark(ctx, app, []fleet.Marking{{Pod: "p", Cost: 1, Mark: fleet.Mark{Since: time.Now()}}}); err != nil {
		t.Errorf("mark: %v", err)
	}
	histories := archive.New(clients, log, "default")
	for place := range histories.Places() {
		if err := histories.Save(ctx, place, map[fleet.Key][]byte{app: {1}}); err != nil {
			t.Errorf("keep a history: %v", err)
		}
	}
	reader, err := cluster.NewMetricsReader(clients, log, namespaces{"ns"}, namespaces{}, instruments)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { reader.Run(ctx) })
	testwait.Until(t, "metrics are read", func() bool { return a.has("metrics.k8s.io/pods list") })
	cancel()
	running.Wait()
}

// RoundTrip answers without a network, for virtual time.
func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

// repeats are told of an event that happens again, which is counted some seconds later.
func repeats(t *testing.T, a *asked) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		clients, err := kube.Connect(&rest.Config{Host: "http://api", BearerToken: "controller", Transport: a}, "test")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		events := kube.NewEvents(ctx, clients, slog.New(slog.DiscardHandler), newInstruments(prometheus.NewRegistry(), noop.NewTracerProvider().Tracer("")))
		for range 2 {
			events.Add(kube.Event{
				About:  corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "ns", Name: "app", UID: "u"},
				Reason: "Scaled", Message: "again",
			})
			time.Sleep(time.Minute)
		}
		cancel()
		synctest.Wait()
	})
}

// granted are the rights in these manifests, by role.
func granted(t *testing.T, paths ...string) map[string]bool {
	t.Helper()
	rights := map[string]bool{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
			var role rbacv1.ClusterRole // a Role has the same rules
			if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, rule := range role.Rules {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						of := []string{group + "/" + resource}
						if slices.Contains(byName, resource) && len(rule.ResourceNames) > 0 {
							of = nil
							for _, name := range rule.ResourceNames {
								of = append(of, group+"/"+resource+"/"+name)
							}
						}
						for _, verb := range rule.Verbs {
							for _, one := range of {
								rights[one+" "+verb] = true
							}
						}
					}
				}
			}
		}
	}
	return rights
}

// watched is asked for as soon as the program runs.
var watched = []string{
	"autoscaler-group.autoscaler/customautoscalers watch", "apps/deployments watch", "/pods watch", "/services watch", "discovery.k8s.io/endpointslices watch",
	"autoscaling/horizontalpodautoscalers watch", "keda.sh/scaledobjects watch", "/pods list",
	"/configmaps/load-balancer-settings watch", "/configmaps/nemesis-ca watch", "/configmaps/nemesis-ca patch", "/configmaps/nemesis-ca delete",
	"/secrets/nemesis-ca-key watch", "/secrets/nemesis-ca-key patch", "/secrets/nemesis-ca-key update",
	"autoscaler-group.autoscaler/customautoscalers get", "autoscaler-group.autoscaler/customautoscalers/status patch",
	"/configmaps/history-15 get",
}

func TestRights_AreThoseThatTheControllerUses(t *testing.T) {
	used := everything(t, func(s *Settings) { s.Shards = 1 }, append(watched, "coordination.k8s.io/leases update")...)
	given := granted(t, rightsFolder+"clusterrole.yaml", rightsFolder+"role.yaml")
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(given))); diff != "" {
		t.Errorf("rights (-used +given):\n%s", diff)
	}
}

func TestRights_OfShardsAreThoseThatTheirLeasesNeed(t *testing.T) {
	used := everything(t, func(s *Settings) { s.Shards = 2 }, append(watched, "coordination.k8s.io/leases update", "coordination.k8s.io/leases list")...)
	given := granted(t, shardsRole)
	for right := range used {
		if !strings.HasPrefix(right, "coordination.k8s.io/leases ") {
			delete(used, right)
		}
	}
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(given))); diff != "" {
		t.Errorf("rights to Leases (-used +given):\n%s", diff)
	}
}

func TestRights_OfTheWebhookAreThoseThatItUses(t *testing.T) {
	given, always := granted(t, webhookRole), granted(t, rightsFolder+"clusterrole.yaml", rightsFolder+"role.yaml")
	used := everything(t, func(s *Settings) { s.Shards, s.WebhookListen = 1, "127.0.0.1:0" }, slices.Sorted(maps.Keys(given))...)
	maps.DeleteFunc(used, func(right string, _ bool) bool { return always[right] })
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(given))); diff != "" {
		t.Errorf("rights of the webhook (-used +given):\n%s", diff)
	}
}

func TestRights_OfNotificationsAreThoseThatTheyUse(t *testing.T) {
	given, always := granted(t, noticesRole), granted(t, rightsFolder+"clusterrole.yaml", rightsFolder+"role.yaml")
	used := everything(t, func(s *Settings) { s.Shards, s.NotificationNetworks = 1, "public" }, slices.Sorted(maps.Keys(given))...)
	maps.DeleteFunc(used, func(right string, _ bool) bool { return always[right] })
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(given))); diff != "" {
		t.Errorf("rights of notifications (-used +given):\n%s", diff)
	}
}

// numbered are objects of which there are several.
var numbered = regexp.MustCompile(`-[0-9]+$`)

var row = regexp.MustCompile("(?m)^\\| `([^`]*)` \\| `([a-z/]+)` \\| ([a-z, ]+) \\| .+ \\| `([a-z/.]+)` \\|$")

func TestRights_EachStandsInTheTable(t *testing.T) {
	content, err := os.ReadFile(rightsFolder + "RBAC.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for _, match := range row.FindAllStringSubmatch(string(content), -1) {
		for verb := range strings.SplitSeq(match[3], ", ") {
			written[strings.TrimPrefix(match[1], "core")+"/"+match[2]+" "+verb] = true
		}
		if _, err := os.Stat("../../" + match[4]); err != nil {
			t.Errorf("the table names code that is not there: %v", err)
		}
	}
	given := map[string]bool{}
	for right := range granted(t, rightsFolder+"clusterrole.yaml", rightsFolder+"role.yaml", shardsRole, webhookRole, noticesRole) {
		of, verb, _ := strings.Cut(right, " ")
		if parts := strings.Split(of, "/"); len(parts) == 3 && slices.Contains(byName, parts[1]) {
			of = parts[0] + "/" + parts[1]
			if !strings.Contains(string(content), "of `"+numbered.ReplaceAllString(parts[2], "-N")+"` alone") {
				t.Errorf("the table does not say that %s are given of %s alone", parts[1], parts[2])
			}
		}
		given[of+" "+verb] = true
	}
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(written))); diff != "" {
		t.Errorf("rights (-given +in the table):\n%s", diff)
	}
}
