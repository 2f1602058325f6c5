package cluster

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/advice"
)

// template is what is kept of a Deployment's template of pods, for advice.
type template struct {
	labels string // as labelText has them
	ports  []namedPort
	gpu    string // the resource by which a container has one
}

func templateOf(t *corev1.PodTemplateSpec) template {
	out := template{labels: share(labelText(t.Labels))}
	for _, list := range [][]corev1.Container{t.Spec.InitContainers, t.Spec.Containers} {
		for _, c := range list {
			for _, p := range c.Ports {
				if len(out.ports) < maxPorts {
					out.ports = append(out.ports, namedPort{share(p.Name), p.ContainerPort})
				}
			}
			if out.gpu == "" {
				out.gpu = share(gpuOf(c.Resources.Limits))
			}
		}
	}
	out.ports = slices.Clip(out.ports)
	return out
}

// accelerators are parts of the names of resources that are GPUs, slices of them, or are used like them.
var accelerators = []string{"gpu", "nvidia.com/mig-", "google.com/tpu", "aws.amazon.com/neuron", "habana.ai/gaudi"}

// gpuOf is the resource by which a container has a GPU; the first in order, "" where it has none.
func gpuOf(limits corev1.ResourceList) (found string) {
	for name, amount := range limits {
		n := string(name)
		if amount.Sign() > 0 && (found == "" || n < found) && slices.ContainsFunc(accelerators, func(part string) bool { return strings.Contains(n, part) }) {
			found = n
		}
	}
	return found
}

// advised is the same as advice has it.
func (t template) advised() *advice.Pods {
	out := &advice.Pods{Labels: labelsOf(t.labels), GPU: t.gpu}
	for _, p := range t.ports {
		out.Ports = append(out.Ports, advice.Named{Number: p.port, Name: p.name})
	}
	return out
}

// labelsOf are labels that are one text; nil where some may have been left out of it, or there are none.
func labelsOf(text string) map[string]string {
	if text == "" || len(text) > maxLabels-300 { // a label more may not have fitted: its name and value have 317 bytes at most
		return nil
	}
	labels := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		labels[name] = value
	}
	return labels
}
