//go:build integration

package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// chosen is the label of what a test's replicas see of the cluster, on objects of several namespaces. What
// they list and watch of all namespaces is selected by it on the way, so that they act on nothing else.
const chosen = "nemesis-test-shards"

type seesChosen struct {
	next  http.RoundTripper
	value string
}

func (s seesChosen) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet && !strings.Contains(r.URL.Path, "/namespaces/") && r.URL.RawQuery != "" {
		r = r.Clone(r.Context())
		query := r.URL.Query()
		query.Set("labelSelector", chosen+"="+s.value)
		r.URL.RawQuery = query.Encode()
	}
	return s.next.RoundTrip(r)
}

// company is several replicas with shards, on a real cluster, with load balancers that report to any of them.
type company struct {
	t         *testing.T
	config    *rest.Config
	kube      kubernetes.Interface
	namespace string   // of the Leases
	homes     []string // namespaces with applications, in all shards of two and of three

	mu       sync.Mutex
	replicas map[string]*employee
	voices   []*voice
	calls    int
	lost     []string
}

type employee struct {
	http.Handler
	address string
	stop    func() error
}

func newCompany(t *testing.T) *company {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Skip("KUBECONFIG names no cluster")
	}
	config, err := kube.Config(path)
	if err != nil {
		t.Fatal(err)
	}
	c := &company{t: t, config: config, replicas: map[string]*employee{}}
	if c.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	run := strconv.FormatInt(time.Now().UnixMilli(), 36)
	c.namespace = c.home("ac-shards-" + run)
	for i := range 6 { // one for each pair of a shard of two and a shard of three
		for n := 0; ; n++ {
			if name := fmt.Sprintf("ac-shards-%s-%d-%d", run, i, n); shard.Of(name, 2) == i%2 && shard.Of(name, 3) == i%3 {
				c.homes = append(c.homes, c.home(name))
				break
			}
		}
	}
	c.config = rest.CopyConfig(config)
	c.config.Wrap(func(next http.RoundTripper) http.RoundTripper { return seesChosen{next, run} })
	direct, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := autoscaler.NewClientWithResponses(config.Host, autoscaler.WithHTTPClient(direct))
	if err != nil {
		t.Fatal(err)
	}
	for _, home := range c.homes {
		c.deploy(home, "busy", run, 1)
		c.deploy(home, "asleep", run, 0)
		idle := int32(5)
		targets := []autoscaler.TargetDeployment{}
		for _, name := range []string{"busy", "asleep"} {
			targets = append(targets, autoscaler.TargetDeployment{Name: name, ApiPrefix: "/" + home + "/" + name, Port: "5001"})
		}
		answer, err := objects.CreateCustomAutoscalerWithResponse(t.Context(), home, autoscaler.CustomAutoscaler{
			ApiVersion: new(autoscaler.CustomAutoscalerApiVersion("autoscaler-group.autoscaler/v1alpha1")), Kind: new(autoscaler.CustomAutoscalerKind("CustomAutoscaler")),
			Metadata: &autoscaler.ObjectMeta{Name: new("apps"), Labels: &map[string]string{chosen: run}},
			Spec:     autoscaler.CustomAutoscalerSpec{IdleTime: &idle, TargetDeployments: targets},
		})
		if err != nil || answer.StatusCode() != http.StatusCreated {
			t.Fatalf("create: %v %v", err, answer)
		}
	}
	return c
}

// home makes a namespace.
func (c *company) home(name string) string {
	if _, err := c.kube.CoreV1().Namespaces().Create(c.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = c.kube.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	return name
}

func (c *company) deploy(home, name, run string, replicas int32) {
	labels, grace, no := map[string]string{"app": name, chosen: run}, int64(0), false
	_, err := c.kube.AppsV1().Deployments(home).Create(c.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &grace,
					Containers: []corev1.Container{{Name: "app", Image: "nemesis/fibonacci:dev", ImagePullPolicy: corev1.PullNever}},
				},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
}

// begin begins a replica, which is asked once it is ready.
func (c *company) begin(name string, shards int) {
	c.t.Helper()
	// The address must be known before the replica is made, for the others to find it.
	listen := "127.0.0.1:" + freePort(c.t)
	address, stop := boot(c.t, c.config, func(s *Settings) {
		s.Namespace, s.Identity, s.Shards, s.Listen, s.Advertise = c.namespace, name, shards, listen, listen
	})
	testwait.Until(c.t, name+" is ready", func() bool { status, _ := get(c.t, address+"/readyz"); return status == http.StatusOK })
	target, err := url.Parse(address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replicas[name] = &employee{httputil.NewSingleHostReverseProxy(target), address, stop}
}

// end ends a replica as Kubernetes does: it is asked by nobody new, and told to.
func (c *company) end(name string) {
	c.mu.Lock()
	one := c.replicas[name]
	delete(c.replicas, name)
	c.mu.Unlock()
	if err := one.stop(); err != nil {
		c.t.Errorf("%s ended with %v", name, err)
	}
}

// any is some replica.
func (c *company) any(random *rand.Rand) *employee {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, 0, len(c.replicas))
	for name := range c.replicas {
		names = append(names, name)
	}
	slices.Sort(names)
	return c.replicas[names[random.IntN(len(names))]]
}

// work has start calls come ten times a second, and the load balancers follow and report every second, each
// to whoever they meet, until ctx ends.
func (c *company) work(ctx context.Context) {
	random := rand.New(rand.NewPCG(1, 2))
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for tick := 0; ; tick++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		home := c.homes[random.IntN(len(c.homes))]
		code, body := send(c.any(random), "/v1/namespaces/"+home+"/deployments/asleep/start", map[string]any{"balancer": "lb-1", "waiting": 1})
		c.mu.Lock()
		if c.calls++; code != http.StatusOK {
			c.lost = append(c.lost, fmt.Sprintf("%d %s", code, body))
		}
		voices := c.voices
		c.mu.Unlock()
		for i, v := range voices {
			if tick%10 == 3*i {
				v.follow(c.any(random))
				v.report(c.any(random))
			}
		}
	}
}

// lead waits until the replicas lead so many shards each.
func (c *company) lead(want map[string]int) {
	c.t.Helper()
	testwait.Until(c.t, fmt.Sprintf("%v lead", want), func() bool {
		c.mu.Lock()
		replicas := c.replicas
		c.mu.Unlock()
		for name, shards := range want {
			_, metrics := get(c.t, replicas[name].address+"/metrics")
			if !strings.Contains(metrics, fmt.Sprintf("\nnemesis_shards_led %d\n", shards)) {
				return false
			}
		}
		return true
	})
}

// calm checks that no start call was lost, and that no replica decided that something in use goes down.
func (c *company) calm(when string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lost) > 0 || c.calls == 0 {
		c.t.Errorf("%s: %d of %d start calls were lost: %.3q", when, len(c.lost), c.calls, c.lost)
	}
	for _, home := range c.homes {
		for _, name := range []string{"x", "y", "z", "w"} {
			one := c.replicas[name]
			if one == nil {
				continue
			}
			client, err := autoscaler.NewClientWithResponses(one.address)
			if err != nil {
				c.t.Fatal(err)
			}
			answer, err := client.ListDecisionsWithResponse(c.t.Context(), &autoscaler.ListDecisionsParams{Namespace: &home, Deployment: new("busy")})
			if err != nil || answer.JSON200 == nil {
				c.t.Fatalf("%s: decisions: %v", when, err)
			}
			for _, d := range answer.JSON200.Items {
				if d.To < d.From {
					c.t.Errorf("%s: %s/busy goes down: %s", when, home, d.Summary)
				}
			}
		}
	}
}

// Replicas come and go, and another number of shards is rolled out, on a real cluster: every start call is
// answered with success by whatever replica it meets, and nothing that is in use goes down. What is used no
// more does.
func TestIntegration_ShardsReplicasAndTheirNumberChange(t *testing.T) {
	c := newCompany(t)
	c.voices = []*voice{{name: "lb-1", started: time.Now(), homes: c.homes}, {name: "lb-2", started: time.Now(), homes: c.homes, old: true}}
	c.begin("x", 2)
	c.begin("y", 2)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { c.work(ctx) })
	defer working.Wait()
	defer cancel()

	c.lead(map[string]int{"x": 1, "y": 1})
	c.calm("with two replicas")
	c.end("x")
	c.lead(map[string]int{"y": 2})
	c.calm("when one has gone")
	c.begin("z", 3)
	c.lead(map[string]int{"y": 2, "z": 0})
	c.calm("while one of another number of shards is there")
	c.end("y")
	c.lead(map[string]int{"z": 3})
	c.calm("when the last of the old number has gone")
	c.begin("w", 3)
	c.lead(map[string]int{"z": 2, "w": 1})
	c.calm("when the new number has two replicas")
	t.Logf("%d start calls", c.calls)

	// Of one namespace nothing is in use any more.
	c.mu.Lock()
	c.voices = []*voice{{name: "lb-1", started: time.Now(), homes: c.homes[1:]}, {name: "lb-2", started: time.Now(), homes: c.homes[1:], old: true}}
	c.mu.Unlock()
	testwait.Until(t, "what is idle sleeps", func() bool {
		d, err := c.kube.AppsV1().Deployments(c.homes[0]).Get(t.Context(), "busy", metav1.GetOptions{})
		return err == nil && *d.Spec.Replicas == 0
	})
}

// freePort is a port that nobody has now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
