package cluster

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestGone_IsAPodThatWasDeletedOrWhoseNameAnotherOneHas(t *testing.T) {
	s, asked, _ := storeOf(theApp)
	s.merge((*asked)[0], []*pod{podOf(theApp, "a", "1", 5), podOf(theApp, "b", "2", 5), podOf(theApp, "c", "3", 5), podOf(theApp, "d", "4", 5)}, 10)
	s.Remove(podOf(theApp, "a", "1", 11))                                           // the watch saw it go
	s.Put(podOf(theApp, "b", "20", 12))                                             // another one has its name
	s.Replace([]*pod{podOf(theApp, "b", "20", 12), podOf(theApp, "c", "3", 5)}, 20) // d went while nobody watched
	for uid, c := range map[string]struct {
		name string
		want bool
	}{"1": {"a", true}, "2": {"b", true}, "20": {"b", false}, "3": {"c", false}, "4": {"d", true}, "x": {"unknown", false}, "y": {"c", true}} {
		if got := s.isGone("ns", c.name, uid); got != c.want {
			t.Errorf("%s of uid %s is gone: %v", c.name, uid, got)
		}
	}
	s.drop(theApp)
	if s.isGone("ns", "c", "3") {
		t.Error("a pod of an application that is not asked for any more is gone")
	}
	for i := range 2 * rememberedGone {
		s.gone.add(fmt.Sprint(i))
	}
	if n := s.gone.uids.Len(); n != rememberedGone {
		t.Errorf("%d are remembered", n)
	}
}

func TestBalancers_KnowWhosePodsAreGone(t *testing.T) {
	b, news := balancersOf(t)
	named := func(name, uid, of string) *corev1.Pod {
		p := readyBalancer(name)
		p.UID, p.Labels = types.UID(uid), map[string]string{nameLabel: of}
		return p
	}
	b.Put(keepBalancer(named("lb-1", "1", balancerName)))
	b.Put(keepBalancer(named("c-1", "2", "metrics-collector")))
	b.Put(keepBalancer(named("c-1", "3", "metrics-collector"))) // anew
	b.Remove(keepBalancer(named("c-1", "3", "metrics-collector")))
	b.Put(keepBalancer(named("a-1", "6", "autoscaler-controller")))
	b.Remove(keepBalancer(named("a-1", "6", "autoscaler-controller")))
	if said := fmt.Sprint(news.takes()); said != "[alive [lb-1]]" {
		t.Errorf("of others something is told: %s", said)
	}
	b.Replace(nil, 0)
	for uid, want := range map[string]bool{"1": true, "2": true, "3": true, "4": false, "6": true} {
		if got := b.Gone("home", "lb-1", uid); got != want {
			t.Errorf("uid %s is gone: %v", uid, got)
		}
	}
	b.Put(keepBalancer(named("lb-1", "5", balancerName)))
	if !b.Gone("home", "lb-1", "4") || b.Gone("home", "lb-1", "5") || b.Gone("elsewhere", "lb-1", "4") {
		t.Error("another one of the name is taken for it, or one of another namespace")
	}
}
