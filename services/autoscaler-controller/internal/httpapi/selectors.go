package httpapi

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// The fields that a selector may name, of each list; as in the contract.
var (
	podFields         = []string{nameField, namespaceField, "deployment", "autoscaler", "state", "alive", "node"}
	applicationFields = []string{nameField, namespaceField, "autoscaler", "state", "mode"}
	objectFields      = []string{nameField, namespaceField, "spec.mode", "status.state"} // of CustomAutoscalers: the API server's matter
	changeFields      = []string{nameField, namespaceField, "who", "operation", "resource", "result"}
	decisionFields    = []string{nameField, namespaceField, "deployment", "autoscaler", "trigger", "result", "applied"}
)

const (
	nameField      = "metadata.name"
	namespaceField = "metadata.namespace"
)

// selectors are what is chosen by labels and by fields; nil: all is.
type selectors struct {
	byLabels labels.Selector
	byFields fields.Selector
}

// newSelectors reads both. known are the fields that there are.
func newSelectors(labelText, fieldText string, known []string) (s selectors, err error) {
	refusal := &fault.Error{Code: fault.Invalid}
	if labelText != "" {
		if s.byLabels, err = labels.Parse(labelText); err != nil {
			refusal.With("labelSelector", labelText, "a selector as Kubernetes has it, as team=vision,tier!=test; this is none: "+err.Error())
		}
	}
	if fieldText != "" {
		if s.byFields, err = fields.ParseSelector(fieldText); err != nil {
			refusal.With("fieldSelector", fieldText, "FIELD=VALUE or FIELD!=VALUE, with a comma between several; this is none: "+err.Error())
		} else {
			for _, r := range s.byFields.Requirements() {
				if !slices.Contains(known, r.Field) {
					refusal.With("fieldSelector", r.Field, "one of the fields "+strings.Join(known, ", "))
				}
			}
		}
	}
	if len(refusal.Fields) > 0 {
		return selectors{}, refusal
	}
	return s, nil
}

// some tells whether anything is chosen.
func (s selectors) some() bool { return s.byLabels != nil || s.byFields != nil }

// matchLabels tells whether what has these labels is chosen by them.
func (s selectors) matchLabels(text string) bool {
	return s.byLabels == nil || s.byLabels.Matches(labelSet(text))
}

// matchFields tells whether what has these fields is chosen by them.
func (s selectors) matchFields(of func() fields.Set) bool {
	return s.byFields == nil || s.byFields.Matches(of())
}

// labelSet reads labels as a Deployment's are kept.
func labelSet(text string) labels.Set {
	set := labels.Set{}
	for one := range strings.SplitSeq(text, ",") {
		if name, value, ok := strings.Cut(one, "="); ok {
			set[name] = value
		}
	}
	return set
}
