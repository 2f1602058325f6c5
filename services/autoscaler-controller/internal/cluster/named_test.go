package cluster

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// K7: a Deployment that is added to a CustomAutoscaler has its own time from then on.
func TestAssign_OfADeploymentThatIsAddedIsNow(t *testing.T) {
	old, now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	one, two := fleet.Key{Namespace: "ns", Deployment: "one"}, fleet.Key{Namespace: "ns", Deployment: "two"}
	by := func(uid string, written time.Time) claim { return claim{by: &autoscaler{uid: uid, written: written}} }
	apps := newApplications()
	since := func(k fleet.Key, c claim, found bool, at time.Time) time.Time {
		apps.assign(k, c, contract.Remembered{}, found, at)
		return apps.shard(k).apps[k].since
	}
	later := now.Add(time.Hour)
	for _, step := range []struct {
		what  string
		key   fleet.Key
		by    claim
		found bool
		at    time.Time
		want  time.Time
	}{
		{"what was there before", one, by("u", old), true, now, old},
		{"the same, written anew", one, by("u", later), false, later, old},
		{"one more", two, by("u", later), false, later, later},
		{"another CustomAutoscaler", one, by("v", later), false, later.Add(time.Hour), later.Add(time.Hour)},
	} {
		if got := since(step.key, step.by, step.found, step.at); !got.Equal(step.want) {
			t.Errorf("%s is named since %v, want %v", step.what, got, step.want)
		}
	}
}

func TestLastWritten_IsOfTheSpec(t *testing.T) {
	at := func(hour int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC)}
	}
	u := &unstructured.Unstructured{Object: map[string]any{"kind": Kind}}
	u.SetCreationTimestamp(*at(1))
	if got := lastWritten(raw(u)); !got.Equal(at(1).Time) {
		t.Errorf("without a word of writers: %v", got)
	}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, Time: at(3), FieldsV1: &metav1.FieldsV1{}},
		{Manager: "helm", Time: at(2)}, {Manager: "nobody"}, {Manager: "controller", Time: at(9), Subresource: "status"},
	})
	if got := lastWritten(raw(u)); !got.Equal(at(3).Time) {
		t.Errorf("got %v", got)
	}
}

func TestRunsReady_IsToRunAndToBeReady(t *testing.T) {
	for want, statuses := range map[bool][]corev1.PodStatus{
		true: {{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue}}}},
		false: {
			{}, {Phase: corev1.PodRunning}, {Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}},
			{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionUnknown}}},
			{Phase: corev1.PodFailed, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		},
	} {
		for _, s := range statuses {
			if got := runsReady(&corev1.Pod{Status: s}); got != want {
				t.Errorf("%+v serves: %v", s, got)
			}
		}
	}
}
