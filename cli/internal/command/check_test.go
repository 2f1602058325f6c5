package command

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/nemesis-scaling/nemesis/cli/internal/check"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

// cluster is an API server with these answers, by path; all else is forbidden. It returns a kubeconfig.
func cluster(t *testing.T, answers map[string]string) string {
	t.Helper()
	return clusterThatAllows(t, answers, func(authorizationv1.SubjectAccessReviewSpec) bool { return true })
}

// reviews is where the API server is asked what somebody else may.
const reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

func clusterThatAllows(t *testing.T, answers map[string]string, allows func(authorizationv1.SubjectAccessReviewSpec) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/json")
		text, ok := answers[r.URL.Path]
		if ok && r.URL.Path == reviews {
			var asked authorizationv1.SubjectAccessReview
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Method != http.MethodPost {
				t.Errorf("%s %v", r.Method, err)
			}
			text = fmt.Sprintf(`{"status":{"allowed":%t}}`, allows(asked.Spec))
		}
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			text = `{"kind":"Status","apiVersion":"v1","message":"you may not"}`
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	config := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"k","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"users":[{"name":"u","user":{"token":"t"}}]}`, server.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

const systemPath = "/api/v1/namespaces/nemesis-system"

// wellCluster is one in which nothing is wrong, as far as it is asked.
func wellCluster(t *testing.T) map[string]string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	ca, _ := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	var pods []string
	for _, name := range []string{"autoscaler-controller-1", "autoscaler-controller-2", "load-balancer-1", "load-balancer-2"} {
		pods = append(pods, fmt.Sprintf(`{"metadata":{"name":%q,"labels":{"app.kubernetes.io/name":%q}},"spec":{"containers":[{"image":"registry.example.com:5000/x/y:0.2.0@sha256:ab","env":[{"name":"DB_PASSWORD","value":"hunter22"}]}]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`,
			name, name[:len(name)-2]))
	}
	return map[string]string{
		"/apis/autoscaler-group.autoscaler/v1alpha1":                           "{}",
		systemPath + "/pods":                                                   `{"items":[` + strings.Join(pods, ",") + `]}`,
		"/apis/coordination.k8s.io/v1/namespaces/nemesis-system/leases":        `{"items":[{"metadata":{"name":"autoscaler-controller"},"spec":{"holderIdentity":"autoscaler-controller-1","renewTime":"2026-01-02T03:04:03.000000Z","leaseDurationSeconds":15}},{"metadata":{"name":"other"}}]}`,
		systemPath + "/configmaps/nemesis-ca":                                  `{"data":{"ca.crt":` + string(ca) + `}}`,
		"/apis/networking.k8s.io/v1/namespaces/nemesis-system/networkpolicies": `{"items":[{}]}`,
		reviews:                                  "",
		systemPath + "/pods/load-balancer-1/log": "started, Bearer abcdefghi\n",
		"/apis/autoscaler-group.autoscaler/v1alpha1/customautoscalers": `{"items":[{"metadata":{"name":"cart"}}]}`,
	}
}

func wellWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.health = `{"status":"ok"}`
	cart := asleep()
	cart.Traffic.Balancers = append(cart.Traffic.Balancers, struct {
		AgeSeconds float64 `json:"ageSeconds"`
		Name       string  `json:"name"`
	}{1, "lb-1"})
	w.apps = []autoscaler.Application{cart}
	for _, name := range []string{"lb-1", "lb-2"} {
		b := w.balancer(t)
		b.state = loadbalancer.State{
			Balancer: name, Controller: loadbalancer.ControllerLink{Connected: true, AgeSeconds: new(0.5)}, Applications: []loadbalancer.ApplicationState{},
			Settings: common.BalancerSettings{Policy: new(common.Random)}, Log: &loadbalancer.LogState{Trouble: []loadbalancer.LogTrouble{}},
		}
		b.waiting = &loadbalancer.WaitingList{Balancer: name, At: now, Items: []loadbalancer.WaitingRoom{}}
	}
	return w
}

func TestCheck_AllIsWell(t *testing.T) {
	w := wellWorld(t)
	got := w.run(t, "check", "--kubeconfig", cluster(t, wellCluster(t)))
	if got.code != done {
		t.Errorf("exit code %d %s", got.code, got.err)
	}
	text := got.out
	for _, b := range w.balancers { // their addresses are others each time
		text = strings.ReplaceAll(text, b.server.URL, b.state.Balancer)
	}
	golden(t, "check-well.txt", text)
}

// What /readyz says of certificates is judged, the data port's, too.
func TestCheck_ACertificateThatEndedIsAFault(t *testing.T) {
	w := wellWorld(t)
	w.health = `{"status":"ok","certificates":[{"use":"port","begins":"2026-01-01T15:04:05Z","ends":"2026-01-02T15:04:05Z"},{"use":"data","begins":"2025-10-01T00:00:00Z","ends":"2026-01-01T03:04:05Z"}]}`
	got := w.run(t, "check", "--kubeconfig", cluster(t, wellCluster(t)))
	if got.code != unwell || !strings.Contains(got.out, "the certificate for clients of the data port ended on 2026-01-01T03:04:05Z") || strings.Contains(got.out, "for the other services") {
		t.Errorf("exit code %d: %s", got.code, got.out)
	}
	w.health = strings.ReplaceAll(w.health, `"ends":"2026-01-01T`, `"ends":"2026-03-01T`)
	got = w.run(t, "check", "--kubeconfig", cluster(t, wellCluster(t)))
	if got.code != done || !strings.Contains(got.out, "the services show 6 that are good; the first to end does on 2026-01-02T15:04:05Z") {
		t.Errorf("exit code %d: %s", got.code, got.out)
	}
}

func TestCheck_TheControllersRightsAreThoseOfItsAccount(t *testing.T) {
	const system = "nemesis-system"
	scale := func(s authorizationv1.SubjectAccessReviewSpec) bool {
		return s.ResourceAttributes.Subresource == "scale" && s.ResourceAttributes.Verb == "patch"
	}
	for name, c := range map[string]struct {
		allows func(authorizationv1.SubjectAccessReviewSpec) bool
		code   int
		want   string
	}{
		"all of them": {func(s authorizationv1.SubjectAccessReviewSpec) bool {
			return s.User == "system:serviceaccount:nemesis-system:scaler" && slices.Contains(s.Groups, "system:serviceaccounts:nemesis-system")
		}, done, "that it needs, in all namespaces"},
		"one is missing": {func(s authorizationv1.SubjectAccessReviewSpec) bool { return !scale(s) }, unwell, "the controller may not patch deployments/scale.apps"},
		"in its namespace": {func(s authorizationv1.SubjectAccessReviewSpec) bool {
			return s.ResourceAttributes.Namespace == system && s.ResourceAttributes.Resource != "namespaces"
		}, done, "that it needs, in its namespace alone"},
		"in its namespace, and one is missing": {func(s authorizationv1.SubjectAccessReviewSpec) bool {
			return s.ResourceAttributes.Namespace == system && s.ResourceAttributes.Resource != "events"
		}, unwell, "the controller may not create, patch events"},
		"its own": {func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.ResourceAttributes.Namespace != system }, unwell, "the controller may not create leases.coordination.k8s.io in nemesis-system"},
	} {
		w, answers := wellWorld(t), wellCluster(t)
		answers[systemPath+"/pods"] = strings.ReplaceAll(answers[systemPath+"/pods"], `"spec":{`, `"spec":{"serviceAccountName":"scaler",`)
		got := w.run(t, "check", "--kubeconfig", clusterThatAllows(t, answers, c.allows))
		if got.code != c.code || !strings.Contains(got.out, c.want) {
			t.Errorf("%s: exit code %d: %s", name, got.code, got.out)
		}
	}
	answers := wellCluster(t)
	delete(answers, reviews)
	w := wellWorld(t)
	if got := w.run(t, "check", "--kubeconfig", cluster(t, answers)); got.code != done || !strings.Contains(got.out, "unseen   rights: not seen: ") {
		t.Errorf("who may not ask: exit code %d: %s", got.code, got.out)
	}
}

func TestCheck_AFaultIsTheExitCode(t *testing.T) {
	w, answers := wellWorld(t), wellCluster(t)
	w.balancers[1].state.Controller = loadbalancer.ControllerLink{LastError: new("connection refused")}
	w.balancers[0].state.Log.Trouble = []loadbalancer.LogTrouble{{Kind: "shipping", Message: "403"}}
	w.apps = append(w.apps, broken())
	delete(answers, systemPath+"/pods")
	answers["/apis/coordination.k8s.io/v1/namespaces/nemesis-system/leases"] = `{"items":[{"metadata":{"name":"autoscaler-controller"}},{"metadata":{"name":"autoscaler-controller-0"},"spec":{"holderIdentity":"c","renewTime":"2026-01-02T03:00:03.000000Z","leaseDurationSeconds":15}}]}`
	got := w.run(t, "check", "-o", "json", "--kubeconfig", cluster(t, answers))
	var found []check.Finding
	if err := json.Unmarshal([]byte(got.out), &found); err != nil || got.code != unwell || got.err != "" {
		t.Fatalf("%+v %v", got, err)
	}
	for _, want := range []string{"connection refused", "shipping: 403", "c holds the Lease autoscaler-controller-0", "not seen: the Kubernetes API server says: you may not", "shop/broken: broken-1"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not said: %s", want, got.out)
		}
	}
	if strings.Contains(got.out, "NAMESPACE") || check.Worst(found) != check.Fault {
		t.Errorf("%+v", found)
	}
}

func TestCheck_WhoStopsItIsToldOfNoFaults(t *testing.T) {
	w := wellWorld(t)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	var out, errs strings.Builder
	code := Main(stopped, []string{"nemesis", "check", "--controller", w.controller.URL, "--token", "t", "--kubeconfig", cluster(t, wellCluster(t))},
		Streams{Out: &out, Err: &errs, Env: func(string) string { return "" }, Now: func() time.Time { return now }})
	if code != failed || out.Len() > 0 || errs.Len() > 0 {
		t.Errorf("exit code %d, %s%s", code, out.String(), errs.String())
	}
}

func TestTag(t *testing.T) {
	for image, want := range map[string]string{"nemesis/lb:dev": "dev", "r:5000/lb": "", "r:5000/lb:1@sha256:ab": "1", "lb@sha256:ab": "", "": ""} {
		if got := tag(image); got != want {
			t.Errorf("%s is of %q", image, got)
		}
	}
}

func TestSupport_WithoutSecrets(t *testing.T) {
	w := wellWorld(t)
	answers := wellCluster(t)
	answers[systemPath+"/pods"] = strings.ReplaceAll(answers[systemPath+"/pods"], `"autoscaler-controller"`, `"other"`)
	file, config := filepath.Join(t.TempDir(), "s.tar.gz"), cluster(t, answers)
	w.run(t, "support", "--file", file, "--kubeconfig", config).ok(t)
	w.run(t, "support", "--file", file, "--kubeconfig", config).fails(t, misused, "file exists")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	parts := unpack(t, file)
	if text := parts["nemesis-support/check.json"]; !strings.Contains(text, "nemesis-system get deployment") || strings.Contains(text, "NAMESPACE") {
		t.Errorf("what to do is said of another namespace: %s", text)
	}
	for name, has := range map[string]string{
		"check.json": `"level": "ok"`, "applications.json": "search", "customautoscalers.json": "cart", "balancers.json": "lb-2", "logs/load-balancer-1.txt": "started, Bearer [removed]",
		"pods.json": "DB_PASSWORD", "version.txt": "nemesis dev", "errors.txt": "events.json: the Kubernetes API server says: you may not", "settings.json": "{}",
	} {
		if !strings.Contains(parts["nemesis-support/"+name], has) {
			t.Errorf("%s has not %q: %s", name, has, parts["nemesis-support/"+name])
		}
	}
	for name, text := range parts {
		for _, secret := range []string{"hunter22", "abcdefghi", "jane's"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", name, secret)
			}
		}
	}
}

func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		parts[head.Name] = string(text)
	}
}

func TestProgress_IsForTerminalsAndGoesAway(t *testing.T) {
	var out strings.Builder
	s := &tool{Streams: Streams{Err: &out, Env: func(string) string { return "" }}}
	p := s.progress("asking")
	p.end()
	if out.Len() != 0 {
		t.Errorf("%q", out.String())
	}
	s.ErrTerminal = true
	p = s.progress("asking")
	p.end()
	if out.Len() != 0 {
		t.Errorf("before a second is over: %q", out.String())
	}
}
