package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const home = "nemesis-system"

// newAPI is an API server that does not stream lists: they are asked for.
func newAPI(objects ...runtime.Object) *fake.Clientset {
	api := fake.NewClientset(objects...)
	api.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		if a, ok := action.(clienttesting.WatchActionImpl); ok && a.ListOptions.SendInitialEvents != nil {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil)
		}
		return false, nil, nil
	})
	return api
}

// clock is the time that a store sees.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// replica runs a store until the test ends.
func replica(t *testing.T, api *fake.Clientset, name string, c *clock) *Store {
	t.Helper()
	s := New(Options{Clients: &kube.Clients{Typed: api}, Log: slog.New(slog.DiscardHandler), Namespace: home, Identity: name, Now: c.now})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return s
}

func bundle(s *Store) string {
	text, _ := s.Bundle()
	return string(text)
}

func roots(s *Store) int { return strings.Count(bundle(s), "BEGIN CERTIFICATE") }

func TestStore_ReplicasThatBeginTogetherHaveOneAuthority(t *testing.T) {
	api, c := newAPI(), &clock{}
	var replicas []*Store
	for i := range 3 {
		replicas = append(replicas, replica(t, api, fmt.Sprint("replica-", i), c))
	}
	testwait.Until(t, "all have the same", func() bool {
		return bundle(replicas[0]) != "" && bundle(replicas[0]) == bundle(replicas[1]) && bundle(replicas[0]) == bundle(replicas[2])
	})
	for _, s := range replicas {
		pair, err := Own{s, ServiceNames(home, "autoscaler-controller", "pod-1", "10.0.0.7", "controller.example.com", "")}.Issue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range replicas {
			if !(Own{Store: other}).Trusted(pair.Leaf) {
				t.Error("one replica does not trust what another has issued")
			}
		}
		verifies(t, pair, bundle(s), "autoscaler-controller.nemesis-system.svc", "10.0.0.7", "controller.example.com", "localhost", "127.0.0.1")
	}
}

func verifies(t *testing.T, pair *tls.Certificate, bundle string, names ...string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(bundle))
	for _, name := range names {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "load-balancer.nemesis-system.svc"}); err == nil {
		t.Error("it is of another service too")
	}
}

// Of replicas that write at once one does: the API server refuses the others, as it would here.
func TestStore_WhoComesTooLateReadsWhatTheFasterOneWrote(t *testing.T) {
	api, c := newAPI(), &clock{}
	state, _, err := authority.State{}.Renew(c.now(), authority.Times{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	api.PrependReactor("patch", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		_ = api.Tracker().Add(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: SecretName, ResourceVersion: "5"}, Data: data})
		return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), SecretName, errors.New("somebody else's"))
	})
	s := replica(t, api, "slow", c)
	testwait.Until(t, "it has the other's", func() bool { return bundle(s) == string(state.Bundle()) })
	if got := s.Trouble(); got != nil {
		t.Error(got)
	}
}

func TestStore_RenewsInTimeAndPublishesTheNextRootFirst(t *testing.T) {
	api, c := newAPI(), &clock{}
	s, other := replica(t, api, "one", c), replica(t, api, "two", c)
	testwait.Until(t, "there is an authority", func() bool { return roots(s) == 1 && roots(other) == 1 })
	first := bundle(s)
	leaf, err := Own{s, ServiceNames(home, "x", "y")}.Issue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.advance(authority.RootLifetime * 2 / 3)
	s.ring()
	testwait.Until(t, "two roots are published", func() bool { return roots(s) == 2 && roots(other) == 2 })
	if !strings.HasPrefix(bundle(s), first) {
		t.Error("the root of before is published no longer")
	}
	c.advance(49 * time.Hour)
	s.ring()
	signs := func(r *Store) bool {
		return !strings.HasPrefix(bundle(r), first) && strings.HasSuffix(bundle(r), first)
	}
	testwait.Until(t, "the next one signs", func() bool { return signs(s) && signs(other) }) // who looks with an old picture writes nothing
	c.advance(25 * time.Hour)
	other.ring() // whoever looks first
	testwait.Until(t, "the one before is published no longer", func() bool { return roots(s) == 1 && roots(other) == 1 && bundle(s) != first })
	if s.Signed(leaf.Leaf) {
		t.Error("what it has signed is trusted still")
	}
}

func TestStore_ASecretThatIsDeletedIsWrittenAnewWithAnotherRootToCome(t *testing.T) {
	api, c := newAPI(), &clock{}
	s := replica(t, api, "one", c)
	testwait.Until(t, "there is an authority", func() bool { return roots(s) == 1 })
	first := bundle(s)
	leaf, err := Own{s, ServiceNames(home, "x", "y")}.Issue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := api.CoreV1().Secrets(home).Delete(t.Context(), SecretName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "it is there again", func() bool { return roots(s) == 2 })
	if !strings.HasPrefix(bundle(s), first) || !s.Signed(leaf.Leaf) {
		t.Error("who was issued a certificate before is cut off")
	}
	found, err := api.CoreV1().Secrets(home).Get(t.Context(), SecretName, metav1.GetOptions{})
	if err != nil || len(found.Data["next.key"]) == 0 {
		t.Error(err)
	}
}

func TestStore_ASecretThatCannotBeReadIsLeftAndSaid(t *testing.T) {
	api, c := newAPI(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: SecretName}, Data: map[string][]byte{"ca.crt": []byte("no PEM")}}), &clock{}
	s := replica(t, api, "one", c)
	testwait.Until(t, "it is said", func() bool { return len(s.Trouble()) == 1 && strings.Contains(s.Trouble()[0], "ca.crt: holds no PEM") })
	if _, err := s.Sign(nil, authority.Names{}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "holds no PEM") {
		t.Error(err)
	}
	found, err := api.CoreV1().Secrets(home).Get(t.Context(), SecretName, metav1.GetOptions{})
	if err != nil || string(found.Data["ca.crt"]) != "no PEM" {
		t.Error(found, err)
	}
}

func TestStore_WithoutTheRightItSaysSo(t *testing.T) {
	api, c := newAPI(), &clock{}
	api.PrependReactor("patch", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("secrets"), SecretName, errors.New("no right"))
	})
	s := replica(t, api, "one", c)
	testwait.Until(t, "it is said", func() bool { return len(s.Trouble()) == 1 && strings.Contains(s.Trouble()[0], "it cannot be written") })
	if text, _ := s.Bundle(); text != nil {
		t.Error("there is an authority that nobody else has")
	}
}

func configMap(namespace, text string, labels map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: MapName, Labels: labels}, Data: map[string]string{"ca.crt": text}}
}

func TestPlan(t *testing.T) {
	ours := map[string]string{partOf: product}
	there := map[string]*corev1.ConfigMap{
		"good": configMap("good", "bundle", ours), "old": configMap("old", "old", ours), "empty": {},
		"left": configMap("left", "bundle", ours), "theirs": configMap("theirs", "bundle", nil),
	}
	wanted := map[string]bool{"good": true, "old": true, "empty": true, "new": true}
	for known, want := range map[bool][]Work{
		true:  {{"empty", false}, {"left", true}, {"new", false}, {"old", false}},
		false: {{"empty", false}, {"new", false}, {"old", false}},
	} {
		got := Plan(there, wanted, known, "bundle")
		slices.SortFunc(got, func(a, b Work) int { return strings.Compare(a.Namespace, b.Namespace) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("known %v (-want +got):\n%s", known, diff)
		}
	}
}

// The first pod of a namespace mounts the bundle moments after its application is known.
func TestPublisher_ANamespaceThatComesHasTheBundleAtOnce(t *testing.T) {
	api, came := newAPI(), make(chan struct{}, 1)
	var mu sync.Mutex
	wanted := map[string]bool{}
	p := NewPublisher(PublisherOptions{
		Clients: &kube.Clients{Typed: api}, Log: slog.New(slog.DiscardHandler), Namespace: home, Came: came,
		Bundle:     func() ([]byte, <-chan struct{}) { return []byte("one"), nil },
		Namespaces: func() (map[string]bool, bool) { mu.Lock(); defer mu.Unlock(); return maps.Clone(wanted), true },
		Ours:       func(string) bool { return true },
	})
	p.every = time.Hour
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	has := func(namespace string) func() bool {
		return func() bool {
			_, err := api.CoreV1().ConfigMaps(namespace).Get(t.Context(), MapName, metav1.GetOptions{})
			return err == nil
		}
	}
	testwait.Until(t, "it publishes", has(home))
	for i := range 50 {
		namespace := fmt.Sprintf("ns-%d", i)
		mu.Lock()
		wanted[namespace] = true
		mu.Unlock()
		select {
		case came <- struct{}{}:
		default:
		}
		testwait.Until(t, namespace+" has it", has(namespace))
	}
	stop()
	if err := testwait.Receive(t, "it ends", ended); err != nil {
		t.Error(err)
	}
}

func TestPublisher_TheBundleIsWhereApplicationsAreAndNowhereElse(t *testing.T) {
	api := newAPI(configMap("left", "old", map[string]string{partOf: product}))
	var mu sync.Mutex
	text, changed, wanted, known := []byte(nil), make(chan struct{}), map[string]bool{"shop": true, "theirs": true}, false
	change := func(what func()) {
		mu.Lock()
		defer mu.Unlock()
		what()
		close(changed)
		changed = make(chan struct{})
	}
	p := NewPublisher(PublisherOptions{
		Clients: &kube.Clients{Typed: api}, Log: slog.New(slog.DiscardHandler), Namespace: home,
		Bundle:     func() ([]byte, <-chan struct{}) { mu.Lock(); defer mu.Unlock(); return text, changed },
		Namespaces: func() (map[string]bool, bool) { mu.Lock(); defer mu.Unlock(); return maps.Clone(wanted), known },
		Ours:       func(namespace string) bool { return namespace != "theirs" },
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	found := func() map[string]string {
		list, err := api.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, m := range list.Items {
			got[m.Namespace] = m.Data["ca.crt"]
		}
		return got
	}
	for _, c := range []struct {
		name   string
		change func()
		want   map[string]string
	}{
		{"there is an authority", func() { text = []byte("one") }, map[string]string{home: "one", "shop": "one", "left": "old"}},
		{"the picture is whole", func() { known = true }, map[string]string{home: "one", "shop": "one"}},
		{"another root, and another namespace", func() { text = []byte("two"); wanted["lab"] = true }, map[string]string{home: "two", "shop": "two", "lab": "two"}},
		{"the last application goes", func() { clear(wanted) }, map[string]string{home: "two"}},
	} {
		change(c.change)
		testwait.Until(t, c.name, func() bool { return maps.Equal(found(), c.want) })
	}
	// What somebody else wrote there is replaced.
	if _, err := api.CoreV1().ConfigMaps(home).Update(t.Context(), configMap(home, "mine", nil), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "it is as it was", func() bool { return found()[home] == "two" })
	if got := p.Trouble(); got != nil {
		t.Error(got)
	}
	// What is in trouble is told to everybody (GET /readyz): of a team's namespace, that there is something.
	api.PrependReactor("patch", "configmaps", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return a.GetNamespace() == "team-a", nil, apierrors.NewForbidden(corev1.Resource("configmaps"), MapName, errors.New("no right in team-a"))
	})
	change(func() { wanted["team-a"] = true })
	testwait.Until(t, "it is said", func() bool { return len(p.Trouble()) == 1 && strings.Contains(p.Trouble()[0], "the log says in which") })
	if got := p.Trouble(); strings.Contains(got[0], "team-a") {
		t.Error(got)
	}
	change(func() { clear(wanted) })
	api.PrependReactor("patch", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("configmaps"), MapName, errors.New("no right"))
	})
	change(func() { text = []byte("three") })
	testwait.Until(t, "it is said", func() bool { return len(p.Trouble()) == 1 && strings.Contains(p.Trouble()[0], "no right") })
	stop()
	if err := testwait.Receive(t, "it ends", ended); err != nil {
		t.Error(err)
	}
}

func balancerPod(name string, ips ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name}, Spec: corev1.PodSpec{ServiceAccountName: "load-balancer"}}
	for _, ip := range ips {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	return p
}

func TestDesk_ACertificateNamesWhatTheClusterSaysOfThePod(t *testing.T) {
	ended, first := balancerPod("lb-3", "10.0.0.9"), balancerPod("lb-1", "10.0.0.7", "fd00::7")
	ended.Status.Phase, first.UID = corev1.PodFailed, "new"
	api, c := newAPI(first, balancerPod("lb-2"), ended, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "load-balancer"}, Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.8", "None"}},
	}, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "other"}, Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.9"}}}), &clock{}
	s := replica(t, api, "one", c)
	testwait.Until(t, "there is an authority", func() bool { return roots(s) == 1 })
	d := NewDesk(s, s.Bundle)
	key, request, err := authority.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	chain, by, err := d.Issue(t.Context(), Bearer{home, "load-balancer", "lb-1", "new"}, request)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Join(chain, key)
	if err != nil || !bytes.Equal(by, []byte(bundle(s))) {
		t.Fatal(err)
	}
	if got := pair.Leaf.URIs[0].String(); got != "spiffe://nemesis/nemesis-system/load-balancer/lb-1" {
		t.Error(got)
	}
	for name, good := range map[string]bool{
		"10.0.0.7": true, "fd00::7": true, "10.96.0.8": true, "10.96.0.9": false, "load-balancer.nemesis-system.svc": true, "load-balancer": true,
		"10.0.0.8": false, "autoscaler-controller.nemesis-system.svc": false, "load-balancer.other.svc": false,
	} {
		if err := pair.Leaf.VerifyHostname(name); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []struct {
		name, account, pod, uid string
		request                 []byte
		code                    fault.Code
		says                    string
	}{
		{"no request", "load-balancer", "lb-1", "", []byte("x"), fault.Invalid, "no PEM"},
		{"another account's pod", "metrics-collector", "lb-1", "", request, fault.Forbidden, "of the service account metrics-collector"},
		{"a pod that is not there", "load-balancer", "lb-9", "", request, fault.Forbidden, "there is no pod lb-9"},
		{"a pod without an address", "load-balancer", "lb-2", "", request, fault.Unavailable, "no address yet"},
		{"a pod that is gone, whose name another one has", "load-balancer", "lb-1", "old", request, fault.Forbidden, "is gone: another one has its name"},
		{"a pod that has ended", "load-balancer", "lb-3", "", request, fault.Forbidden, "has ended"},
	} {
		if _, _, err := d.Issue(t.Context(), Bearer{home, c.account, c.pod, c.uid}, c.request); !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for range atOnce {
		d.places <- struct{}{}
	}
	if _, _, err := d.Issue(t.Context(), Bearer{home, "load-balancer", "lb-1", ""}, request); !fault.Is(err, fault.TooMany) {
		t.Error(err)
	}
}

// Who may write the ConfigMaps of a namespace can have its own pods trust somebody else: that is mended, and said once.
func TestPublisher_SaysWhoElseHasWrittenTheBundle(t *testing.T) {
	altered := configMap("shop", "of somebody else", map[string]string{partOf: product})
	altered.ResourceVersion = "7"
	altered.ManagedFields = []metav1.ManagedFieldsEntry{
		{Manager: owner, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{}}`)},
		{Manager: "kubectl-edit", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:ca.crt":{}}}`)},
	}
	before := configMap("bank", "the authority of before", map[string]string{partOf: product})
	before.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: owner, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:ca.crt":{}}}`)}}
	api := newAPI(altered, before)
	told := make(chan string, 100)
	p := NewPublisher(PublisherOptions{
		Clients: &kube.Clients{Typed: api}, Log: slog.New(slog.DiscardHandler), Namespace: home,
		Bundle:     func() ([]byte, <-chan struct{}) { return []byte("ours"), make(chan struct{}) },
		Namespaces: func() (map[string]bool, bool) { return map[string]bool{"shop": true, "bank": true}, true },
		Ours:       func(string) bool { return true },
		Altered:    func(m *corev1.ConfigMap, by string) { told <- m.Namespace + " by " + by },
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	testwait.Until(t, "all are written anew", func() bool {
		list, err := api.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
		return err == nil && !slices.ContainsFunc(list.Items, func(m corev1.ConfigMap) bool { return m.Data[authority.KeyCertificate] != "ours" })
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := <-told; got != "shop by kubectl-edit" || len(told) > 0 {
		t.Errorf("told of %s, and %d more", got, len(told))
	}
	p.say(altered)
	if len(told) > 0 {
		t.Error("it is said twice of one version")
	}
}

func TestPublisher_ForgetsWhatItSaidOfNamespacesThatAreGone(t *testing.T) {
	altered := configMap("shop", "of somebody else", nil)
	altered.ResourceVersion = "7"
	altered.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl-edit", FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:ca.crt":{}}}`)}}
	p := NewPublisher(PublisherOptions{
		Clients: &kube.Clients{Typed: newAPI(altered)}, Log: slog.New(slog.DiscardHandler), Namespace: home,
		Bundle:     func() ([]byte, <-chan struct{}) { return []byte("ours"), nil },
		Namespaces: func() (map[string]bool, bool) { return map[string]bool{"shop": true}, true },
		Ours:       func(string) bool { return true },
	})
	there := p.informers[0].GetStore() // as a watch would have filled it
	if err := there.Add(altered); err != nil {
		t.Fatal(err)
	}
	p.once(t.Context())
	if p.said["shop"] != "7" {
		t.Fatalf("said of %v", p.said)
	}
	p.once(t.Context())
	if p.said["shop"] != "7" {
		t.Errorf("it would say it again: %v", p.said)
	}
	if err := there.Delete(altered); err != nil {
		t.Fatal(err)
	}
	p.once(t.Context())
	if len(p.said) > 0 {
		t.Errorf("it still knows of %v", p.said)
	}
}
