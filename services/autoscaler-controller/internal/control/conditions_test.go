package control

import (
	"testing"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestActivity_SaysWhatKeepsThePodsFromServingInKubernetesWords(t *testing.T) {
	pulls := fleet.PodView{Pod: fleet.Pod{Name: "a", Message: "app: ImagePullBackOff: no such image"}}
	goes := fleet.PodView{Pod: fleet.Pod{Name: "b", Message: "ended", Terminating: true}}
	serves := fleet.PodView{Pod: fleet.Pod{Name: "c", Ready: true}}
	for _, c := range []struct {
		state   fleet.State
		ready   int32
		refusal string
		pods    []fleet.PodView
		want    string
	}{
		{fleet.Waking, 0, "", nil, "2 asked for, none ready yet"},
		{fleet.Waking, 0, "exceeded quota: gpus", []fleet.PodView{pulls}, "2 asked for, none ready yet: no pod can be made: exceeded quota: gpus"},
		{fleet.Waking, 0, "", []fleet.PodView{goes, pulls}, "2 asked for, none ready yet: a: app: ImagePullBackOff: no such image"},
		{fleet.Awake, 1, "", []fleet.PodView{serves, pulls}, "1 of 2 ready: a: app: ImagePullBackOff: no such image"},
		{fleet.Awake, 2, "a refusal of long ago", []fleet.PodView{serves, pulls}, "2 of 2 ready"},
	} {
		v := fleet.View{State: c.state, Ready: c.ready, Pods: c.pods}
		v.Deployment = fleet.Deployment{Found: true, Replicas: 2, Refusal: c.refusal}
		if got := activity(v); got != c.want {
			t.Errorf("%v, %d ready: %q, want %q", c.state, c.ready, got, c.want)
		}
	}
}
