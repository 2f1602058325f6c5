package admission

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// The bounds of what is said of an object that cannot be read as a whole.
const (
	maxFaults = 4
	maxText   = 250
)

// written is an object as the API server brings it.
type written struct {
	meta struct {
		Created time.Time  `json:"creationTimestamp"`
		Deleted *time.Time `json:"deletionTimestamp"`
	}
	object map[string]any
}

func readWritten(raw []byte) (w written, err error) {
	if err := json.Unmarshal(raw, &w.object); err != nil {
		return w, err
	}
	meta, err := json.Marshal(w.object["metadata"])
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal(meta, &w.meta)
}

// review answers whether a CustomAutoscaler may be written, and what its writer should know.
func (h *handler) review(q *admissionv1.AdmissionRequest, to *admissionv1.AdmissionResponse) Result {
	if q.Resource.Resource != "customautoscalers" || q.SubResource != "" || q.Operation != admissionv1.Create && q.Operation != admissionv1.Update {
		return Allowed
	}
	now, err := readWritten(q.Object.Raw)
	if err != nil || now.object == nil {
		h.Log.Warn("a CustomAutoscaler is not looked at", "namespace", q.Namespace, "name", q.Name, "error", err)
		return Unreadable
	}
	var before written
	if q.Operation == admissionv1.Update {
		if before, err = readWritten(q.OldObject.Raw); err != nil {
			before = written{}
		}
	}
	// What is deleted, or labelled, must not wait for what was wrong before.
	if now.meta.Deleted != nil || before.object != nil && reflect.DeepEqual(now.object["spec"], before.object["spec"]) {
		return Allowed
	}
	if never := contract.Impossible(now.object); never != nil && !same(never, contract.Impossible(before.object)) {
		to.Allowed = false
		to.Result = &metav1.Status{Message: never.Error(), Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity}
		return Refused
	}
	spec, err := contract.ReadSpec(now.object)
	if err != nil {
		to.Warnings = faults(err)
	}
	if missing := h.Picture.Missing(); missing != "" {
		to.Warnings = append(to.Warnings, "whether it fits what is in the cluster is not known yet: the autoscaler-controller waits for "+missing)
		return Blind
	}
	created := now.meta.Created
	if created.IsZero() {
		created = time.Now()
	}
	to.Warnings = append(to.Warnings, h.Picture.Advise(fleet.Autoscaler{Namespace: q.Namespace, Name: q.Name}, created, spec)...)
	if len(to.Warnings) > 0 {
		return Warned
	}
	return Allowed
}

func same(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() }

// faults are what is wrong with an object, a line each.
func faults(err error) []string {
	lines := strings.Split(errors.Join(err).Error(), "\n")
	if len(lines) > maxFaults {
		lines = lines[:maxFaults]
	}
	for i, line := range lines {
		if len(line) > maxText {
			lines[i] = strings.ToValidUTF8(line[:maxText], "")
		}
	}
	return lines
}
