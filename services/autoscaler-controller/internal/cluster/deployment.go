package cluster

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// deployment is what is kept of a Deployment.
type deployment struct {
	objectName
	fleet.Deployment
	selector string // of its pods, as a list takes it; "" where there is none
	template template
}

func nameOfDeployment(d *deployment) objectName { return d.objectName }

func keepDeployment(d *appsv1.Deployment) *deployment {
	replicas := int32(1) // Kubernetes' default
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	out := &deployment{objectName: objectName{share(d.Namespace), d.Name}, Deployment: fleet.Deployment{
		Found: true, UID: string(d.UID), Version: kube.Version(d.ResourceVersion), Created: d.CreationTimestamp.Time,
		Paused: d.Spec.Paused, Replicas: replicas, Behind: d.Status.ObservedGeneration < d.Generation, Manager: share(countManager(d.ManagedFields)), Refusal: contract.Cut(podRefusal(d)), Grace: grace(d.Spec.Template.Spec), Labels: share(labelText(d.Labels)),
	}, template: templateOf(&d.Spec.Template)}
	if selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil && !selector.Empty() {
		out.selector = selector.String()
	}
	return out
}

// maxLabels bounds what is kept of a Deployment's labels, in bytes, as the contract says. Kubernetes has no bound for them.
const maxLabels = 4 << 10

// labelText are labels as one text.
func labelText(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		if b.Len()+len(name)+len(value)+2 > maxLabels {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name + "=" + value)
	}
	return b.String()
}

// grace is how long pods have to end when they are deleted.
func grace(spec corev1.PodSpec) time.Duration {
	if spec.TerminationGracePeriodSeconds == nil {
		return corev1.DefaultTerminationGracePeriodSeconds * time.Second
	}
	return time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
}

// countManager is who owns the count of pods: of the managers that own spec.replicas, the one that wrote
// last; "" is nobody.
func countManager(entries []metav1.ManagedFieldsEntry) string {
	var owners []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if e.FieldsV1 != nil && bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(`"f:replicas":{}`)) && e.Subresource != "status" {
			owners = append(owners, e)
		}
	}
	if len(owners) == 0 {
		return ""
	}
	slices.SortStableFunc(owners, func(a, b metav1.ManagedFieldsEntry) int {
		switch {
		case a.Time == nil || b.Time == nil:
			return 0
		default:
			return a.Time.Time.Compare(b.Time.Time)
		}
	})
	return owners[len(owners)-1].Manager
}

// podRefusal is what the API server said to the ReplicaSet that could not make a pod.
func podRefusal(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}
