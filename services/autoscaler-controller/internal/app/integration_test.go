//go:build integration

package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// The whole service against a real cluster (KUBECONFIG), spoken to with the generated client.
// Another controller that leads in the same cluster sees the same objects and does the same; so
// what was done is always checked, and who did it only when this one is alone.

type onCluster struct {
	config    *rest.Config
	kube      kubernetes.Interface
	namespace string
	address   string
	client    *autoscaler.ClientWithResponses
}

func setUp(t *testing.T) *onCluster {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Skip("KUBECONFIG names no cluster")
	}
	config, err := kube.Config(path)
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	created, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "ac-app-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns := created.Name
	t.Cleanup(func() { _ = kube.CoreV1().Namespaces().Delete(context.Background(), ns, metav1.DeleteOptions{}) })
	// The watch is of this namespace alone, so that what others do in the cluster is not seen.
	address, _ := boot(t, config, func(s *Settings) {
		s.WatchNamespace, s.Namespace, s.AnonymousAccess, s.Identity = ns, ns, true, "test"
	})
	client, err := autoscaler.NewClientWithResponses(address)
	if err != nil {
		t.Fatal(err)
	}
	s := &onCluster{config: config, kube: kube, namespace: ns, address: address, client: client}
	testwait.Until(t, "ready", func() bool { status, _ := get(t, address+"/readyz"); return status == http.StatusOK })
	return s
}

func (s *onCluster) deploy(t *testing.T, name string) {
	t.Helper()
	labels := map[string]string{"app": name}
	zero, grace, no := int32(0), int64(0), false
	if _, err := s.kube.AppsV1().Deployments(s.namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &zero, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &grace,
					Containers: []corev1.Container{{Name: "app", Image: "nemesis/fibonacci:dev", ImagePullPolicy: corev1.PullNever}},
				},
			},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// as speaks with the rights of the test's own account: it may do everything.
func (s *onCluster) direct(t *testing.T) *autoscaler.ClientWithResponses {
	t.Helper()
	transport, err := rest.HTTPClientFor(s.config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := autoscaler.NewClientWithResponses(s.config.Host, autoscaler.WithHTTPClient(transport))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (s *onCluster) name(t *testing.T, app string, idle int32) {
	t.Helper()
	answer, err := s.direct(t).CreateCustomAutoscalerWithResponse(t.Context(), s.namespace, autoscaler.CustomAutoscaler{
		ApiVersion: new(autoscaler.CustomAutoscalerApiVersion("autoscaler-group.autoscaler/v1alpha1")), Kind: new(autoscaler.CustomAutoscalerKind("CustomAutoscaler")),
		Metadata: &autoscaler.ObjectMeta{Name: &app},
		Spec: autoscaler.CustomAutoscalerSpec{IdleTime: &idle, TargetDeployments: []autoscaler.TargetDeployment{
			{Name: app, ApiPrefix: "/" + s.namespace, Port: "5001"},
		}},
	})
	if err != nil || answer.StatusCode() != http.StatusCreated {
		t.Fatalf("create: %v %v", err, answer)
	}
}

// alone tells whether no other controller leads in the cluster.
func (s *onCluster) alone(t *testing.T) bool {
	t.Helper()
	leases, err := s.kube.CoordinationV1().Leases("").List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=autoscaler-controller"})
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(leases.Items, func(l coordinationv1.Lease) bool {
		return l.Namespace != s.namespace && l.Spec.RenewTime != nil && time.Since(l.Spec.RenewTime.Time) < 15*time.Second
	})
}

func (s *onCluster) application(t *testing.T, name string) *autoscaler.Application {
	t.Helper()
	answer, err := s.client.GetApplicationWithResponse(t.Context(), s.namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return answer.JSON200
}

func TestIntegration_WakesAndSleeps(t *testing.T) {
	s := setUp(t)
	s.deploy(t, "app")
	s.name(t, "app", 10) // longer than a busy machine needs for the start, or nobody sees it awake
	testwait.Until(t, "known and asleep", func() bool {
		a := s.application(t, "app")
		return a != nil && a.State == autoscaler.ApplicationStateAsleep
	})
	routes := s.follow(t)
	began := time.Now()
	started, err := s.client.StartApplicationWithResponse(t.Context(), s.namespace, "app", autoscaler.StartRequest{Balancer: "lb", Waiting: 1})
	if err != nil || started.JSON200 == nil || !started.JSON200.Scaled || started.JSON200.Replicas != 1 {
		t.Fatalf("start: %v %+v", err, started)
	}
	t.Logf("the start call took %v", time.Since(began))
	testwait.Until(t, "awake", func() bool { return s.application(t, "app").State == autoscaler.ApplicationStateAwake })
	testwait.Until(t, "asleep again", func() bool { return s.application(t, "app").State == autoscaler.ApplicationStateAsleep })
	a := s.application(t, "app")
	if a.LastWakeUp == nil || a.LastDecision == nil {
		t.Fatalf("got %+v", a)
	}
	var phases []string
	for _, p := range a.LastWakeUp.Phases {
		phases = append(phases, string(p.Phase))
	}
	for _, want := range []string{"StartCall", "Scaled", "PodCreated", "Scheduled", "ContainerStarted", "Ready"} {
		if !slices.Contains(phases, want) {
			t.Errorf("the wake-up lacks %s: %v", want, phases)
		}
	}
	if a.ExpectedStartSeconds == nil {
		t.Error("the start time was not learned")
	}
	decisions, err := s.client.ListDecisionsWithResponse(t.Context(), &autoscaler.ListDecisionsParams{Namespace: &s.namespace})
	if err != nil || decisions.JSON200 == nil {
		t.Fatalf("decisions: %v", err)
	}
	var decided []string
	for _, d := range decisions.JSON200.Items {
		if d.Applied {
			decided = append(decided, fmt.Sprintf("%s %d→%d", d.Trigger, d.From, d.To))
		}
	}
	if s.alone(t) && !slices.Equal(decided, []string{"Idle 1→0", "StartCall 0→1"}) {
		t.Errorf("decisions, newest first: %v", decided)
	}
	if got := routes(); !slices.Contains(got, "Waking") || !slices.Contains(got, "Awake") || s.alone(t) && !slices.Contains(got, "FallingAsleep") {
		t.Errorf("the routes told %v", got)
	}
}

// follow is a load balancer without any traffic: it follows the routes and answers them. The
// function it returns tells the states it saw.
func (s *onCluster) follow(t *testing.T) func() []string {
	t.Helper()
	states := make(chan string, 1000)
	go func() {
		version, sequence, begun := "", int64(0), time.Now()
		for t.Context().Err() == nil {
			params := &autoscaler.WatchRoutesParams{Wait: new("1s")}
			if version != "" {
				params.After = &version
			}
			answer, err := s.client.WatchRoutesWithResponse(t.Context(), params)
			if err != nil || answer.JSON200 == nil {
				return
			}
			version = answer.JSON200.Version
			for _, r := range answer.JSON200.Applications {
				states <- string(r.State)
			}
			sequence++
			if _, err := s.client.ReportTrafficWithResponse(t.Context(), autoscaler.TrafficReport{
				Balancer: "lb", StartedAt: begun, Sequence: sequence, RoutesVersion: &version, Applications: []autoscaler.ApplicationTraffic{},
			}); err != nil {
				return
			}
		}
	}()
	return func() []string {
		var list []string
		for {
			select {
			case state := <-states:
				list = append(list, state)
			default:
				return list
			}
		}
	}
}

func TestIntegration_TheDeploymentIsDeletedMeanwhile(t *testing.T) {
	s := setUp(t)
	s.deploy(t, "app")
	s.name(t, "app", 100)
	testwait.Until(t, "asleep", func() bool {
		a := s.application(t, "app")
		return a != nil && a.State == autoscaler.ApplicationStateAsleep
	})
	if err := s.kube.AppsV1().Deployments(s.namespace).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "unknown", func() bool { return s.application(t, "app").State == autoscaler.ApplicationStateUnknown })
	started, err := s.client.StartApplicationWithResponse(t.Context(), s.namespace, "app", autoscaler.StartRequest{Balancer: "lb", Waiting: 1})
	if err != nil || started.StatusCode() != http.StatusConflict || !strings.Contains(string(started.Body), "does not exist") {
		t.Errorf("start: %v %s", err, started.Body)
	}
	testwait.Until(t, "told in a condition", func() bool {
		object, err := s.direct(t).GetCustomAutoscalerWithResponse(t.Context(), s.namespace, "app")
		if err != nil || object.JSON200 == nil || object.JSON200.Status == nil || object.JSON200.Status.Conditions == nil {
			return false
		}
		return slices.ContainsFunc(*object.JSON200.Status.Conditions, func(c autoscaler.Condition) bool {
			return c.Type == "TargetFound" && c.Status == "False" && c.Reason == "DeploymentMissing"
		})
	})
	s.deploy(t, "app")
	testwait.Until(t, "asleep again", func() bool { return s.application(t, "app").State == autoscaler.ApplicationStateAsleep })
}

func TestIntegration_ScaledByHandBelowMinAndBeyondMax(t *testing.T) {
	s := setUp(t)
	s.deploy(t, "app")
	s.name(t, "app", 100)
	_ = s.follow(t)
	scale := func(to int) {
		if _, err := s.kube.AppsV1().Deployments(s.namespace).Patch(t.Context(), "app", "application/merge-patch+json",
			fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, to), metav1.PatchOptions{}, "scale"); err != nil {
			t.Fatal(err)
		}
	}
	bound := func(spec string) {
		answer, err := s.direct(t).PatchCustomAutoscalerWithBodyWithResponse(t.Context(), s.namespace, "app", "application/merge-patch+json", strings.NewReader(spec))
		if err != nil || answer.StatusCode() != http.StatusOK {
			t.Fatalf("patch: %v %s", err, answer.Body)
		}
	}
	bound(`{"spec":{"minReplicas":1,"maxReplicas":2}}`)
	testwait.Until(t, "up to minReplicas", func() bool { a := s.application(t, "app"); return a != nil && a.Replicas == 1 })
	testwait.Until(t, "awake", func() bool { return s.application(t, "app").State == autoscaler.ApplicationStateAwake })
	scale(4)
	testwait.Until(t, "down to maxReplicas", func() bool { return s.application(t, "app").Replicas == 2 })
	if d := s.application(t, "app").LastDecision; s.alone(t) && (d == nil || d.Trigger != "Bounds" || d.From != 4 || d.To != 2) {
		t.Errorf("the last decision is %+v", d)
	}
}
