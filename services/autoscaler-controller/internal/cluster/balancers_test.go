package cluster

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// balancerNews keeps what was said of the load balancers' pods.
type balancerNews []string

func (n *balancerNews) Alive(names []string) { *n = append(*n, fmt.Sprint("alive ", names)) }
func (n *balancerNews) BalancerEnded(name string, at time.Time) {
	*n = append(*n, fmt.Sprint(name, " ended at ", at.Unix()))
}
func (n *balancerNews) BalancerDeleted(name string) { *n = append(*n, name+" was deleted") }

// takes returns what was said since it was called last.
func (n *balancerNews) takes() []string {
	said := *n
	*n = nil
	return said
}

func balancersOf(t *testing.T) (*Balancers, *balancerNews) {
	t.Helper()
	clients, err := kube.Connect(&rest.Config{Host: "http://127.0.0.1:1"}, "test") // to which nobody speaks
	if err != nil {
		t.Fatal(err)
	}
	news := new(balancerNews)
	return NewBalancers(clients, slog.New(slog.DiscardHandler), "home", news), news
}

var (
	balancerRuns = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	neverBefore  = corev1.ContainerState{}
)

func balancerEnds(at time.Time) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at)}}
}

func balancerPod(container string, now, before corev1.ContainerState) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: "lb-1"},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: container, State: now, LastTerminationState: before},
		}},
	}
}

func readyBalancer(name string) *corev1.Pod {
	pod := balancerPod(balancerContainer, balancerRuns, neverBefore)
	pod.Name, pod.Status.Phase = name, corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return pod
}

func TestBalancers_SayWhenAProcessHasEnded(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want []string
	}{
		"it runs":              {balancerPod(balancerContainer, balancerRuns, neverBefore), nil},
		"it has ended":         {balancerPod(balancerContainer, balancerEnds(at), neverBefore), []string{"lb-1 ended at 1000"}},
		"it ended twice":       {balancerPod(balancerContainer, balancerEnds(at.Add(time.Minute)), balancerEnds(at)), []string{"lb-1 ended at 1060"}},
		"it was started again": {balancerPod(balancerContainer, balancerRuns, balancerEnds(at)), []string{"lb-1 ended at 1000"}},
		"another container":    {balancerPod("proxy", balancerEnds(at), neverBefore), nil},
	} {
		b, news := balancersOf(t)
		b.Put(keepBalancer(c.pod))
		if diff := cmp.Diff(c.want, news.takes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBalancers_SayWhenAPodWasDeleted(t *testing.T) {
	runs := balancerPod(balancerContainer, balancerRuns, neverBefore)
	ended := balancerPod(balancerContainer, balancerEnds(time.Unix(1000, 0)), neverBefore)
	for name, c := range map[string]struct {
		before *corev1.Pod
		gone   func(b *Balancers)
		want   []string
	}{
		"it was seen":                  {runs, func(b *Balancers) { b.Remove(keepBalancer(runs)) }, []string{"lb-1 was deleted"}},
		"its process had ended before": {runs, func(b *Balancers) { b.Remove(keepBalancer(ended)) }, []string{"lb-1 was deleted", "lb-1 ended at 1000"}},
		"it is found out later":        {ended, func(b *Balancers) { b.Replace(nil, 0) }, []string{"lb-1 was deleted", "lb-1 ended at 1000"}},
		"nothing is known of it":       {nil, func(b *Balancers) { b.Replace(nil, 0) }, nil},
	} {
		b, news := balancersOf(t)
		if c.before != nil {
			b.Put(keepBalancer(c.before))
			news.takes()
		}
		c.gone(b)
		if diff := cmp.Diff(c.want, news.takes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBalancers_SayWhoIsAliveWheneverThatChanges(t *testing.T) {
	b, news := balancersOf(t)
	one, two, starting := keepBalancer(readyBalancer("lb-1")), keepBalancer(readyBalancer("lb-2")), balancer{name: "lb-0"}
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"one starts", func() { b.Put(starting) }, nil},
		{"one is ready", func() { b.Put(two) }, []string{"alive [lb-2]"}},
		{"another one too", func() { b.Put(one) }, []string{"alive [lb-1 lb-2]"}},
		{"the same again", func() { b.Put(one) }, nil},
		{"all are listed again", func() { b.Replace([]balancer{starting, one, two}, 9) }, nil},
		{"one is deleted", func() { b.Remove(two) }, []string{"lb-2 was deleted", "alive [lb-1]"}},
		{"the last one, too", func() { b.Remove(one) }, []string{"lb-1 was deleted", "alive []"}},
	} {
		step.do()
		if diff := cmp.Diff(step.want, news.takes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}
