package admission

import (
	"encoding/json"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
)

// system are namespaces whose pods nothing is put into, whatever a configuration says.
var system = []string{"kube-system", "kube-public", "kube-node-lease"}

// inject answers what is to become of a pod.
func (h *handler) inject(q *admissionv1.AdmissionRequest, to *admissionv1.AdmissionResponse) Result {
	if q.Operation != admissionv1.Create || q.Resource.Group != "" || q.Resource.Resource != "pods" || q.SubResource != "" ||
		q.Namespace == "" || q.Namespace == h.Namespace || slices.Contains(system, q.Namespace) {
		return Result(injection.NotAsked)
	}
	pod, err := injection.Read(q.Object.Raw)
	if err != nil {
		h.Log.Warn("the sidecar is not put into a pod", "namespace", q.Namespace, "error", err)
		return Unreadable
	}
	deployment, ok := pod.Deployment()
	if !ok {
		return Result(injection.NotAsked)
	}
	if missing := h.Picture.Missing(); missing != "" {
		to.Warnings = []string{"the sidecar is not put in: the autoscaler-controller waits for " + missing}
		return Blind
	}
	wanted, asked := h.Picture.Sidecar(q.Namespace, deployment)
	if !asked {
		return Result(injection.NotAsked)
	}
	patch, outcome, why := injection.Inject(pod, wanted, h.Sidecar)
	if why != "" {
		to.Warnings = []string{why}
	}
	if outcome == injection.Injected {
		raw, err := json.Marshal(patch)
		if err != nil {
			h.Log.Error("a patch cannot be written", "error", err) // never: it is text and numbers
			return Unreadable
		}
		kind := admissionv1.PatchTypeJSONPatch
		to.Patch, to.PatchType = raw, &kind
	}
	// Pods are made by a controller of Kubernetes, which shows its warnings to nobody.
	h.Log.Debug("a pod is made", "namespace", q.Namespace, "deployment", deployment, "sidecar", string(outcome), "why", why)
	return Result(outcome)
}
