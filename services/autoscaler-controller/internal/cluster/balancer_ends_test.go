package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func TestWatchBalancer_PassesOnTheEndOfItsProcessAlone(t *testing.T) {
	at := time.Unix(1000, 0)
	ended := func(at time.Time) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at)}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	for _, c := range []struct {
		name string
		pod  corev1.Pod
		want time.Time
	}{
		{"it runs", balancerPod("home", balancerContainer, running, corev1.ContainerState{}), time.Time{}},
		{"it has ended", balancerPod("home", balancerContainer, ended(at), corev1.ContainerState{}), at},
		{"it ended twice", balancerPod("home", balancerContainer, ended(at.Add(time.Minute)), ended(at)), at.Add(time.Minute)},
		{"it was started again", balancerPod("home", balancerContainer, running, ended(at)), at},
		{"another container", balancerPod("home", "proxy", ended(at), corev1.ContainerState{}), time.Time{}},
		{"another namespace", balancerPod("away", balancerContainer, ended(at), corev1.ContainerState{}), time.Time{}},
	} {
		var told time.Time
		w := &Watcher{home: "home", ended: func(pod string, at time.Time) {
			if pod != "lb-1" {
				t.Errorf("%s: %q is named", c.name, pod)
			}
			told = at
		}}
		w.watchBalancer(&c.pod)
		if !told.Equal(c.want) {
			t.Errorf("%s: told of %v, want %v", c.name, told, c.want)
		}
	}
	(&Watcher{home: "home"}).watchBalancer(&corev1.Pod{}) // nobody wants to know
}

func TestDeletedBalancer_PassesOnPodsOfItsOwnNamespaceAlone(t *testing.T) {
	var told []string
	w := &Watcher{home: "home", deleted: func(pod string) { told = append(told, pod) }}
	home, away := balancerPod("home", balancerContainer, corev1.ContainerState{}, corev1.ContainerState{}), balancerPod("away", balancerContainer, corev1.ContainerState{}, corev1.ContainerState{})
	w.deletedBalancer(&home)
	w.deletedBalancer(&away)
	w.deletedBalancer(cache.DeletedFinalStateUnknown{Key: "home/lb-1", Obj: &home})
	w.deletedBalancer(&corev1.Service{})
	if len(told) != 2 {
		t.Errorf("told of %v", told)
	}
	(&Watcher{home: "home"}).deletedBalancer(&home) // nobody wants to know
}

func balancerPod(namespace, container string, now, before corev1.ContainerState) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lb-1"},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: container, State: now, LastTerminationState: before},
		}},
	}
}
