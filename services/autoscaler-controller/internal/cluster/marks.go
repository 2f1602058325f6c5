package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// What stands on a pod that was chosen to go. The cost is Kubernetes' own word: of pods that are
// ready it takes those with the least first. The others are ours: since when, for the next leader,
// and what the cost was before, so that it can be given back.
const (
	costAnnotation   = corev1.PodDeletionCost
	sinceAnnotation  = "autoscaler-group.autoscaler/draining-since"
	beforeAnnotation = "autoscaler-group.autoscaler/deletion-cost-before"
)

// mark reads what stands on a pod. A cost that Kubernetes does not understand counts as none, as there.
func mark(annotations map[string]string) (cost int32, m fleet.Mark) {
	if n, err := strconv.ParseInt(annotations[costAnnotation], 10, 32); err == nil {
		cost = int32(n)
	}
	if since, err := time.Parse(time.RFC3339Nano, annotations[sinceAnnotation]); err == nil {
		m = fleet.Mark{Since: since, Before: annotations[beforeAnnotation]}
	}
	return cost, m
}

// markPatch is the merge patch that writes a mark, or takes it off.
func markPatch(w fleet.Marking) ([]byte, error) {
	set := map[string]*string{costAnnotation: nil, sinceAnnotation: nil, beforeAnnotation: nil}
	cost, since := strconv.Itoa(int(w.Cost)), w.Mark.Since.UTC().Format(time.RFC3339Nano)
	switch {
	case !w.Mark.Since.IsZero():
		set[costAnnotation], set[sinceAnnotation] = &cost, &since
		if w.Mark.Before != "" {
			set[beforeAnnotation] = &w.Mark.Before
		}
	case w.Mark.Before != "":
		set[costAnnotation] = &w.Mark.Before
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"annotations": set}})
}

// Marker writes the marks of pods that were chosen to go.
type Marker struct{ kube kubernetes.Interface }

// NewMarker makes a Marker.
func NewMarker(c *kube.Clients) *Marker { return &Marker{c.Typed} }

// marking is how many pods are written to at a time.
const marking = 8

// Mark writes the marks, and returns the first error after all were tried. A pod that has gone needs
// none.
func (m *Marker) Mark(ctx context.Context, k fleet.Key, list []fleet.Marking) error {
	failed := make(chan error, len(list))
	slots := make(chan struct{}, marking)
	for _, w := range list {
		slots <- struct{}{}
		go func() {
			failed <- m.write(ctx, k.Namespace, w)
			<-slots
		}()
	}
	var first error
	for range list {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (m *Marker) write(ctx context.Context, namespace string, w fleet.Marking) error {
	body, err := markPatch(w)
	if err != nil {
		return fmt.Errorf("mark of pod %s: %w", w.Pod, err) // never: they are strings
	}
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	_, err = m.kube.CoreV1().Pods(namespace).Patch(ctx, w.Pod, types.MergePatchType, body, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return kube.Refusal(err, "mark the pod "+namespace+"/"+w.Pod+" as one to go")
}
