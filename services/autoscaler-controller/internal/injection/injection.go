// Package injection decides what becomes of a pod that is about to be made: which Deployment it is of, whether
// the sidecar is put into it, and by what change. It is pure: a pod as JSON in, a JSON Patch (RFC 6902) and the
// reason out.
//
// The sidecar comes as the last container: the kubelet starts containers one after the other, and so the
// application waits for nothing of the sidecar's. A native sidecar (an init container that is always started
// again) would begin before it, and each wake-up would wait for that.
package injection

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What pods and the sidecar go by.
const (
	Container  = "nemesis-sidecar"
	Volume     = "nemesis-identity"
	Label      = "nemesis/sidecar"     // "true": NetworkPolicies let it reach the controller
	Annotation = "nemesis/inject"      // of a pod template: "false" keeps the sidecar out
	MetricsURL = "nemesis/metrics-url" // of a pod template: the application's Prometheus page
)

// Pod is what counts of a pod.
type Pod struct {
	Metadata struct {
		Labels          map[string]string `json:"labels"`
		Annotations     map[string]string `json:"annotations"`
		OwnerReferences []struct {
			Kind       string `json:"kind"`
			Name       string `json:"name"`
			Controller bool   `json:"controller"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		Containers            []container `json:"containers"`
		InitContainers        []named     `json:"initContainers"`
		Volumes               []named     `json:"volumes"`
		ShareProcessNamespace *bool       `json:"shareProcessNamespace"`
		HostPID               bool        `json:"hostPID"`
		OS                    named       `json:"os"`

		NodeSelector map[string]string `json:"nodeSelector"`
		// Resources are those of all containers together, where the pod says them.
		Resources struct {
			Requests map[string]any `json:"requests"`
			Limits   map[string]any `json:"limits"`
		} `json:"resources"`
	} `json:"spec"`
}

// windows tells whether the pod is for Windows: by its word, or by the nodes that it wants.
func (p Pod) windows() bool {
	const is = "windows"
	return p.Spec.OS.Name == is || p.Spec.NodeSelector["kubernetes.io/os"] == is
}

// budgeted tells whether the pod says what all its containers have together: then they share it, and Kubernetes refuses
// the pod when what they ask for by themselves is more.
func (p Pod) budgeted() bool { return len(p.Spec.Resources.Requests)+len(p.Spec.Resources.Limits) > 0 }

type named struct {
	Name string `json:"name"`
}

type container struct {
	Name      string `json:"name"`
	Resources struct {
		Limits map[string]json.RawMessage `json:"limits"` // quantities: texts or numbers
	} `json:"resources"`
}

// GPUs are those of NVIDIA, or slices of such, that the pod's containers ask the device plugin for.
func (p Pod) GPUs() (n int) {
	for _, c := range p.Spec.Containers {
		for resource, quantity := range c.Resources.Limits {
			if !strings.HasPrefix(resource, "nvidia.com/gpu") && !strings.HasPrefix(resource, "nvidia.com/mig-") {
				continue
			}
			if whole, err := strconv.Atoi(strings.Trim(string(quantity), `"`)); err == nil && whole > 0 {
				n += whole
			}
		}
	}
	return n
}

// Read reads a pod.
func Read(raw []byte) (Pod, error) {
	var p Pod
	if err := json.Unmarshal(raw, &p); err != nil {
		return Pod{}, fmt.Errorf("the pod cannot be read: %w", err)
	}
	if len(p.Spec.Containers) == 0 {
		return Pod{}, errors.New("the pod has no containers")
	}
	return p, nil
}

// hashLabel is what a Deployment's ReplicaSets and their pods are told apart by.
const hashLabel = "pod-template-hash"

// Deployment is the one that a pod is of: its ReplicaSet is named after it and the hash of the template.
func (p Pod) Deployment() (string, bool) {
	for _, o := range p.Metadata.OwnerReferences {
		if !o.Controller || o.Kind != "ReplicaSet" {
			continue
		}
		hash := p.Metadata.Labels[hashLabel]
		name, ok := strings.CutSuffix(o.Name, "-"+hash)
		return name, ok && hash != "" && name != ""
	}
	return "", false
}

// Sidecar is what a CustomAutoscaler says of it.
type Sidecar struct {
	MetricsPort    int32 // 0: no page is read
	MetricsPath    string
	ShareProcesses bool
}

// Settings are what whoever runs the controller says.
type Settings struct {
	Image      string // "": nothing can be put in
	GPUImage   string // for pods that ask for NVIDIA's GPUs; "": the same
	Controller string // its URL; "": where the sidecar looks by itself
}

// Outcome is what became of a pod.
type Outcome string

// All outcomes.
const (
	Injected Outcome = "injected"
	NotAsked Outcome = "not-asked" // it is of no target, or its CustomAutoscaler does not ask for the sidecar
	OptedOut Outcome = "opted-out"
	Present  Outcome = "present" // it has the sidecar
	Unfit    Outcome = "unfit"   // it cannot have it
)

// Outcomes are those that Inject tells.
var Outcomes = []Outcome{Injected, NotAsked, OptedOut, Present, Unfit}

// Inject is the change that puts the sidecar into a pod. Without one, why says what whoever made the pod should
// know; "" where there is nothing to say.
func Inject(p Pod, s Sidecar, set Settings) (patch []Operation, o Outcome, why string) {
	is := func(name string) func(named) bool { return func(c named) bool { return c.Name == name } }
	ours := func(c container) bool { return c.Name == Container }
	switch {
	case p.Metadata.Annotations[Annotation] == "false":
		return nil, OptedOut, ""
	case slices.ContainsFunc(p.Spec.Containers, ours), slices.ContainsFunc(p.Spec.InitContainers, is(Container)):
		return nil, Present, ""
	case p.windows():
		return nil, Unfit, "the sidecar is not put in: it is for Linux, and the pod is for Windows (os.name, or nodeSelector)"
	case slices.ContainsFunc(p.Spec.Volumes, is(Volume)):
		return nil, Unfit, "the sidecar is not put in: the pod has a volume of the name " + Volume + ", which is the sidecar's"
	case set.Image == "":
		return nil, Unfit, "the sidecar is not put in: the autoscaler-controller has no setting sidecar-image"
	}
	patch = append(patch, label(p.Metadata.Labels), volume(p.Spec.Volumes))
	if s.ShareProcesses && p.Spec.ShareProcessNamespace == nil && !p.Spec.HostPID {
		patch = append(patch, Operation{"add", "/spec/shareProcessNamespace", true})
	}
	return append(patch, Operation{"add", "/spec/containers/-", sidecar(p, s, set)}), Injected, ""
}

// Operation is one of a JSON Patch.
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func label(labels map[string]string) Operation {
	if len(labels) == 0 {
		return Operation{"add", "/metadata/labels", map[string]string{Label: "true"}}
	}
	return Operation{"add", "/metadata/labels/" + strings.ReplaceAll(Label, "/", "~1"), "true"}
}

func volume(volumes []named) Operation {
	if len(volumes) == 0 {
		return Operation{"add", "/spec/volumes", []any{identity}}
	}
	return Operation{"add", "/spec/volumes/-", identity}
}
