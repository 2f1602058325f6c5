package cluster

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// notes is a Sink that writes down what it is told.
type notes struct {
	mu   sync.Mutex
	said []string
	last map[fleet.Key]fleet.Observation
}

func (n *notes) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, text)
}

func (n *notes) Observe(o fleet.Observation) {
	n.add("observe " + o.Key.String())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last[o.Key] = o
}
func (n *notes) Forget(k fleet.Key)         { n.add("forget " + k.String()) }
func (n *notes) Refresh(a fleet.Autoscaler) { n.add("refresh " + a.Namespace + "/" + a.Name) }

// takes returns what was said since it was called last.
func (n *notes) takes() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	said := n.said
	n.said = nil
	return said
}

// world is a Watcher and the cluster that it is shown.
type world struct {
	*Watcher
	sink    *notes
	version int
	listed  []*corev1.Pod // what a list of pods says
}

// newWorld shows objects, and starts.
func newWorld(t *testing.T, autoscalers ...*unstructured.Unstructured) *world {
	t.Helper()
	w := &world{Watcher: newWatcher(slog.New(slog.DiscardHandler)), sink: &notes{last: map[fleet.Key]fleet.Observation{}}}
	w.Watcher.sink = w.sink
	w.pods.list = func(sets []*podSet) {
		for _, set := range sets {
			var found []*pod
			for _, p := range w.listed {
				if k, _ := ownerOf(p); k == set.key {
					found = append(found, keepPod(p))
				}
			}
			w.pods.merge(set, found, uint64(w.version))
		}
	}
	var seen []*sighting
	for _, u := range autoscalers {
		seen = append(seen, w.autoscalers.keep(raw(u)))
	}
	sightings{w.Watcher}.Replace(seen, 1)
	w.pods.begin()
	w.pods.Replace(nil, 1)
	w.version = 1
	w.start()
	return w
}

func (w *world) next() string { w.version++; return fmt.Sprint(w.version) }

func (w *world) see(u *unstructured.Unstructured) {
	u.SetResourceVersion(w.next())
	sightings{w.Watcher}.Put(w.autoscalers.keep(raw(u)))
}

func (w *world) remove(u *unstructured.Unstructured) {
	sightings{w.Watcher}.Remove(w.autoscalers.keep(raw(u)))
}

func (w *world) seePod(p *corev1.Pod) {
	p.ResourceVersion = w.next()
	w.pods.Put(w.pods.keep(p))
}

// raw is an object as the API server sends it.
func raw(u *unstructured.Unstructured) *kube.Raw {
	text, err := json.Marshal(u.Object)
	if err != nil {
		panic(err) // never: it is JSON
	}
	o := &kube.Raw{}
	if err := json.Unmarshal(text, o); err != nil {
		panic(err)
	}
	return o
}

// object is a CustomAutoscaler of a generation.
func object(name string, generation int64, targets ...any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": "ns", "name": name, "uid": "uid-" + name},
		"spec":     map[string]any{"targetDeployments": targets},
	}}
	u.SetGeneration(generation)
	u.SetCreationTimestamp(metav1.NewTime(day))
	return u
}

func target(deployment, prefix string) map[string]any {
	return map[string]any{"name": deployment, "apiPrefix": prefix, "port": "80", "service": deployment}
}

// podNamed is a pod of a Deployment.
func podNamed(name, deployment string) *corev1.Pod {
	p := container(nil)
	p.Namespace, p.Name, p.UID = "ns", name, types.UID("uid-"+name)
	p.Labels = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: "hash"}
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: deployment + "-hash", Controller: new(true)}}
	return p
}

func says(t *testing.T, w *world, what string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.sink.takes()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestWatcher_TellsNothingBeforeEveryCacheIsWhole(t *testing.T) {
	w := newWatcher(slog.New(slog.DiscardHandler))
	sink := &notes{last: map[fleet.Key]fleet.Observation{}}
	w.sink = sink
	sightings{w}.Put(w.autoscalers.keep(raw(object("ca", 1, target("app", "/app")))))
	w.deployments.Put(keepDeployment(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}))
	w.pods.begin()
	w.pods.Replace([]*pod{w.pods.keep(podNamed("p", "app"))}, 5)
	if said := sink.takes(); len(said) > 0 {
		t.Errorf("it says %v", said)
	}
	w.start()
	if diff := cmp.Diff([]string{"observe ns/app", "refresh ns/ca"}, sink.takes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o := sink.last[theApp]; !o.Deployment.Found || len(o.Pods) != 1 {
		t.Errorf("half a picture: %+v", o)
	}
}

func TestWatcher_AStatusThatIsWrittenWakesNobody(t *testing.T) {
	ca := object("ca", 1, target("app", "/app"))
	w := newWorld(t, ca)
	says(t, w, "the start", "observe ns/app", "refresh ns/ca")
	ca.Object["status"] = map[string]any{"targets": []any{map[string]any{"name": "app", "state": "Asleep", "replicas": int64(0), "readyReplicas": int64(0), "replicasBeforeSleep": int64(3)}}}
	ca.SetLabels(map[string]string{"a": "b"})
	w.see(ca)
	says(t, w, "a status and a label")
	w.services.Put(keepService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}))
	says(t, w, "its Service", "observe ns/app")
	if got := w.sink.last[theApp].Slept; got != 3 {
		t.Errorf("what the status remembers is known as %d", got)
	}
	ca.SetGeneration(2)
	ca.Object["spec"].(map[string]any)["idleTime"] = int64(7)
	w.see(ca)
	says(t, w, "a spec", "observe ns/app", "refresh ns/ca")
	if o := w.sink.last[theApp]; o.Spec.IdleTime != 7*time.Second || o.Slept != 3 {
		t.Errorf("it says %v, %d", o.Spec.IdleTime, o.Slept)
	}
	ca.SetUID("another")
	w.see(ca)
	says(t, w, "another object of that name", "observe ns/app", "refresh ns/ca")
}

func TestWatcher_ClaimsGoFromHandToHand(t *testing.T) {
	older, younger := object("a", 1, target("app", "/app")), object("b", 1, target("app", "/app"), target("other", "/other"))
	w := newWorld(t, older, younger)
	w.sink.takes()
	if all, none := w.Autoscalers(func(ns string) bool { return ns == "ns" }), w.Autoscalers(func(ns string) bool { return ns != "ns" }); len(all) != 2 || len(none) != 0 {
		t.Errorf("of its namespace there are %v, of others %v", all, none)
	}
	if r, _ := w.autoscalers.get(fleet.Autoscaler{Namespace: "ns", Name: "b"}); len(r.refused) != 1 {
		t.Errorf("b is refused %v", r.refused)
	}
	w.remove(older)
	says(t, w, "the older one goes", "observe ns/app", "refresh ns/b")
	if o := w.sink.last[theApp]; o.Autoscaler != "b" {
		t.Errorf("the application is %s's", o.Autoscaler)
	}
	w.remove(younger)
	says(t, w, "the other one, too", "forget ns/app", "forget ns/other")
	if len(w.pods.sets)+len(w.apps.keys())+len(w.byService.keys)+len(w.autoscalers.entries) > 0 {
		t.Error("of nothing, something is kept")
	}
}

func TestWatcher_AMalformedObjectKeepsWhatItLastHad(t *testing.T) {
	ca := object("ca", 1, target("app", "/app"))
	w := newWorld(t, ca)
	w.sink.takes()
	bad := ca.DeepCopy()
	bad.SetGeneration(2)
	bad.Object["spec"] = map[string]any{"targetDeployments": "not a list"}
	w.see(bad)
	says(t, w, "it is malformed", "observe ns/app", "refresh ns/ca")
	known, _ := w.autoscalers.get(fleet.Autoscaler{Namespace: "ns", Name: "ca"})
	if s := known.standing(); s.Malformed == nil || s.Generation != 2 || w.sink.last[theApp].Address.Prefix != "/app" {
		t.Errorf("it stands %+v, and is at %q", s, w.sink.last[theApp].Address.Prefix)
	}
	w.see(bad)
	says(t, w, "it is seen again")
	w.see(object("unknown", 0))
	says(t, w, "one that claims nothing", "refresh ns/unknown")
}

func TestWatcher_PodsOfADeploymentThatBeginsToBeNamedAreListed(t *testing.T) {
	w := newWorld(t)
	before := podNamed("p", "app")
	before.ResourceVersion = "1"
	w.seePod(podNamed("p", "app"))
	if len(w.pods.pods) > 0 {
		t.Error("a pod of nobody is kept")
	}
	w.listed = []*corev1.Pod{before}
	ca := object("ca", 1, target("app", "/app"))
	w.see(ca)
	says(t, w, "it is named", "observe ns/app", "observe ns/app", "refresh ns/ca")
	if o := w.sink.last[theApp]; len(o.Pods) != 1 {
		t.Errorf("its pods: %+v", o.Pods)
	}
	w.pods.list = func([]*podSet) {} // on its way
	ca = ca.DeepCopy()
	ca.SetGeneration(2)
	ca.Object["spec"].(map[string]any)["targetDeployments"] = []any{target("other", "/other")}
	w.see(ca)
	says(t, w, "another is named", "forget ns/app", "refresh ns/ca")
	w.deployments.Put(keepDeployment(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "other"}}))
	says(t, w, "while its pods are listed it is half a picture")
	w.pods.merge(w.pods.sets[otherApp], nil, 99)
	says(t, w, "they are listed", "observe ns/other")
}

func TestWatcher_APodWhoseLabelsChangeHandsLeaves(t *testing.T) {
	w := newWorld(t, object("ca", 1, target("app", "/app"), target("other", "/other")))
	w.sink.takes()
	p := podNamed("p", "app")
	w.seePod(p)
	says(t, w, "it comes", "observe ns/app")
	w.seePod(p)
	says(t, w, "nothing of it changes")
	moved := podNamed("p", "other")
	w.seePod(moved)
	says(t, w, "it moves", "observe ns/app", "observe ns/other")
	delete(moved.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	w.seePod(moved)
	says(t, w, "nobody's", "observe ns/other")
}

func TestWatcher_SlicesAndServicesConcernWhoNamesThem(t *testing.T) {
	w := newWorld(t, object("ca", 1, target("app", "/app")))
	w.seePod(podNamed("p", "app"))
	w.sink.takes()
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: "app"}}}
	slice.Endpoints = []discoveryv1.Endpoint{{TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "p"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}}
	w.slices.Put(keepSlice(slice))
	says(t, w, "a slice", "observe ns/app")
	if w.sink.last[theApp].Pods[0].EndpointReady {
		t.Error("a slice of a Service that is not there counts")
	}
	if got := w.sink.last[theApp].Problem; !strings.Contains(got, "does not exist") {
		t.Errorf("without its Service the problem is %q", got)
	}
	w.services.Put(keepService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}))
	says(t, w, "the Service", "observe ns/app")
	if !w.sink.last[theApp].Pods[0].EndpointReady {
		t.Error("the slice does not count")
	}
	w.slices.Put(keepSlice(slice))
	w.services.Put(keepService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "elsewhere"}}))
	says(t, w, "nothing that concerns it")
	w.slices.Replace(nil, 9)
	says(t, w, "the slice is found to have gone", "observe ns/app")
}

// Who has what is decided under a lock of its own, for which pods do not wait; nor do they for another
// application.
func TestWatcher_PodsWaitForNoCustomAutoscaler(t *testing.T) {
	w := newWorld(t, object("ca", 1, target("app", "/app"), target("other", "/other")))
	w.sink.takes()
	w.turn.Lock()
	defer w.turn.Unlock()
	elsewhere := w.apps.shard(otherApp)
	if elsewhere != w.apps.shard(theApp) { // by chance they may share one
		elsewhere.mu.Lock()
		defer elsewhere.mu.Unlock()
	}
	w.seePod(podNamed("p", "app"))
	says(t, w, "while claims are resolved", "observe ns/app")
}

// ordered is a Sink that looks whether news of an application goes back.
type ordered struct {
	t    *testing.T
	mu   sync.Mutex
	seen map[fleet.Key]uint64
}

func (o *ordered) Observe(n fleet.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n.Deployment.Version < o.seen[n.Key] {
		o.t.Errorf("%v goes back from %d to %d", n.Key, o.seen[n.Key], n.Deployment.Version)
	}
	o.seen[n.Key] = n.Deployment.Version
}
func (*ordered) Forget(fleet.Key)         {}
func (*ordered) Refresh(fleet.Autoscaler) {}

func TestWatcher_TheSinkNeverGetsOlderNewsAfterNewer(t *testing.T) {
	w := newWorld(t, object("ca", 1, target("app", "/app")))
	sink := &ordered{t: t, seen: map[fleet.Key]uint64{}}
	w.Watcher.sink = sink
	const rounds = 500
	var running sync.WaitGroup
	running.Go(func() {
		for i := range rounds {
			w.deployments.Put(keepDeployment(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", ResourceVersion: fmt.Sprint(i + 1)}}))
		}
	})
	running.Go(func() {
		for i := range rounds {
			p := podNamed("p", "app")
			p.ResourceVersion, p.Status.PodIP = fmt.Sprint(i+10), fmt.Sprint(i)
			w.pods.Put(w.pods.keep(p))
		}
	})
	running.Go(func() {
		for i := range rounds {
			u := object("ca", int64(i+2), target("app", "/app"), target("other", "/other"))
			sightings{w.Watcher}.Put(w.autoscalers.keep(raw(u)))
		}
	})
	running.Wait()
	if sink.seen[theApp] != rounds {
		t.Errorf("the last that it got is %d", sink.seen[theApp])
	}
}
