//go:build integration

package settings

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

type published chan string

func (s published) Configure(b fleet.BalancerSettings) { s <- b.Policy }

// next waits until the settings are told as `want`; what was told before must be in `meanwhile`.
func (s published) next(t *testing.T, want string, meanwhile ...string) {
	t.Helper()
	deadline := time.After(testwait.Limit())
	for {
		select {
		case got := <-s:
			if got == want {
				return
			}
			if !strings.Contains(strings.Join(meanwhile, " "), got) {
				t.Fatalf("told %q, want %q", got, want)
			}
		case <-deadline:
			t.Fatalf("%q is not told", want)
		}
	}
}

func run(t *testing.T, c *kube.Clients, ns string) (*Store, published) {
	t.Helper()
	seen := make(published, 100)
	s := New(Options{Clients: c, Log: slog.New(slog.DiscardHandler), Namespace: ns, Codec: policyOnly{}, Sink: seen, Events: kube.NewEvents(t.Context(), c, slog.New(slog.DiscardHandler), unmetered{})})
	go func() { _ = s.Run(t.Context()) }()
	return s, seen
}

type unmetered struct{}

func (unmetered) EventWritten(bool)         {}
func (unmetered) EventDropped(string, bool) {}

func TestIntegration_SettingsAreKeptAndEveryReplicaTellsThem(t *testing.T) {
	c, ns := kubetest.Connect(t)
	one, seenByOne := run(t, c, ns)
	_, seenByTwo := run(t, c, ns)
	seenByOne.next(t, "default")
	seenByTwo.next(t, "default")

	kept, err := one.Keep(t.Context(), fleet.BalancerSettings{Policy: "random"})
	if err != nil || kept.Policy != "random" {
		t.Fatalf("kept %+v, %v", kept, err)
	}
	if now, err := one.Now(); err != nil || now.Policy != "random" {
		t.Errorf("the replica that kept them shows %+v, %v", now, err)
	}
	seenByOne.next(t, "random")
	seenByTwo.next(t, "random")

	maps := c.Typed.CoreV1().ConfigMaps(ns)
	edit := func(data string) {
		t.Helper()
		if _, err := maps.Patch(t.Context(), settingsName, types.MergePatchType, []byte(`{"data":`+data+`}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	edit(`{"settings.yaml":"by-hand"}`)
	seenByOne.next(t, "by-hand", "random")
	seenByTwo.next(t, "by-hand", "random")

	// Malformed: the last good ones stay, and a person can see why.
	watch, err := c.Typed.CoreV1().Events(ns).Watch(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + settingsName, TimeoutSeconds: new(int64(20))})
	if err != nil {
		t.Fatal(err)
	}
	edit(`{"settings.yaml":"two words"}`)
	warned := false
	for e := range watch.ResultChan() {
		if event, ok := e.Object.(*corev1.Event); ok && event.Reason == "Malformed" && strings.Contains(event.Message, "two words") {
			warned = true
			watch.Stop()
		}
	}
	if now, err := one.Now(); !warned || err != nil || now.Policy != "by-hand" || !strings.Contains(one.Trouble(), "policy") {
		t.Errorf("an event: %v; they are %+v, %v; trouble %q", warned, now, err, one.Trouble())
	}
	late, _ := run(t, c, ns) // begins while they are malformed: it knows no good ones, and tells none
	testwait.Until(t, "the late one has read them", func() bool { return strings.Contains(late.Trouble(), "policy") })
	if _, err := late.Now(); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.From(err).Detail, "policy") {
		t.Errorf("without good ones: %v", err)
	}
	if len(seenByTwo) > 0 {
		t.Errorf("told %q because of malformed ones", <-seenByTwo)
	}

	// What a person put beside our key stays; our key is replaced, whoever wrote it.
	edit(`{"note":"hands off"}`)
	if kept, err := one.Keep(t.Context(), fleet.BalancerSettings{Policy: "again"}); err != nil || kept.Policy != "again" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	seenByTwo.next(t, "again")
	if m, err := maps.Get(t.Context(), settingsName, metav1.GetOptions{}); err != nil || m.Data["note"] != "hands off" || one.Trouble() != "" {
		t.Errorf("%v %v, trouble %q", m.Data, err, one.Trouble())
	}

	if err := maps.Delete(t.Context(), settingsName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	seenByOne.next(t, "default", "again")
	seenByTwo.next(t, "default", "again")
}

// The rights of kustomize/base/autoscaler-controller/role.yaml are enough, from the first write on.
func TestIntegration_SettingsNeedRightsOnOneNameAlone(t *testing.T) {
	c, ns := kubetest.Connect(t)
	bound := kubetest.Nobody(t, c, ns)
	without, seen := run(t, bound, ns)
	_, err := without.Keep(t.Context(), fleet.BalancerSettings{Policy: "random"})
	if e := fault.From(err); e.Code != fault.Unavailable || e.RetryAfter == 0 || !strings.Contains(e.Detail, "may not keep the settings") {
		t.Errorf("without the right: %v", err)
	}
	if _, err := c.Typed.CoreV1().ConfigMaps(ns).Get(t.Context(), settingsName, metav1.GetOptions{}); err == nil {
		t.Error("it was written nevertheless")
	}
	grant(t, c, ns, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{settingsName},
		Verbs: []string{"list", "watch", "patch", "create"},
	})
	testwait.Until(t, "they are kept with the right, of which the authorizer learns a moment later", func() bool {
		_, err := without.Keep(t.Context(), fleet.BalancerSettings{Policy: "random"})
		return err == nil
	})
	seen.next(t, "random")
	if _, err := bound.Typed.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "another"}}, metav1.CreateOptions{}); err == nil {
		t.Error("the right to create is not bound to the name")
	}
	unreachable, _ := run(t, kubetest.Away(t, c), ns)
	if _, err := unreachable.Keep(t.Context(), fleet.BalancerSettings{}); !fault.Is(err, fault.Unavailable) || fault.From(err).RetryAfter == 0 {
		t.Errorf("without the API server: %v", err)
	}
}

// grant gives kubetest.Account a right in its namespace.
func grant(t *testing.T, c *kube.Clients, ns string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	meta := metav1.ObjectMeta{Name: "granted"}
	if _, err := c.Typed.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Typed.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "granted"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: kubetest.Account, Namespace: ns}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
