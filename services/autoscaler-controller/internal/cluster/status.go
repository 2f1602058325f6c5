package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// activityRepeat is how old the written time of the last traffic may get before it alone is a
// reason to write.
const activityRepeat = time.Minute

// maxReplicas is the most that the contract allows.
const maxReplicas = 10_000

// Recorder writes status and events of CustomAutoscalers. The queue of events is bounded; what
// does not fit is dropped, and what repeats is counted instead of written again.
type Recorder struct {
	watcher *Watcher
	dynamic dynamic.Interface
	events  record.EventRecorder
}

// NewRecorder makes a recorder. Its events stop with ctx.
func NewRecorder(ctx context.Context, c *Clients, w *Watcher) *Recorder {
	return &Recorder{watcher: w, dynamic: c.dynamic, events: newEvents(ctx, c)}
}

// newEvents sends events until ctx ends.
func newEvents(ctx context.Context, c *Clients) record.EventRecorder {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.kube.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "autoscaler-controller"})
}

// Event tells of something that happened once; without a CustomAutoscaler to tell it of, nothing.
func (r *Recorder) Event(a fleet.Autoscaler, e fleet.Event) {
	u, ok := r.watcher.object(a)
	if !ok {
		return
	}
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	r.events.Event(&corev1.ObjectReference{
		APIVersion: Resource.GroupVersion().String(), Kind: Kind, Namespace: a.Namespace, Name: a.Name,
		UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(),
	}, kind, e.Reason, cut(e.Message))
}

// Status writes how the targets stand, if that is not what is written already.
func (r *Recorder) Status(ctx context.Context, a fleet.Autoscaler, targets []fleet.Target) error {
	u, ok := r.watcher.object(a)
	if !ok {
		return fleet.ErrGone
	}
	standing := r.watcher.standing(a)
	before, _, _ := unstructured.NestedMap(u.Object, "status")
	after, err := plain(status(standing, targets, before, time.Now()))
	if err != nil {
		return err
	}
	if written(before, after) {
		return nil
	}
	for _, e := range append(standing.news(before), conflicts(targets, before)...) {
		r.Event(a, e)
	}
	body, err := json.Marshal(map[string]any{"status": cleared(before, after)})
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	_, err = r.dynamic.Resource(Resource).Namespace(a.Namespace).Patch(ctx, a.Name, types.MergePatchType, body, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return fleet.ErrGone
	}
	return refusal(err, "write the status of the CustomAutoscaler "+a.Namespace+"/"+a.Name)
}

// cleared is the new status with a null for everything that is no longer said, as a merge patch
// wants it. Only the first level can lose a field: the lists are replaced as a whole.
func cleared(before, after map[string]any) map[string]any {
	patch := map[string]any{}
	for k := range before {
		patch[k] = nil
	}
	maps.Copy(patch, after)
	return patch
}

// written tells whether the status says all that `after` says. The time of the last traffic alone
// changes with every request, so it may be a little old.
func written(before, after map[string]any) bool {
	was, is := targetTimes(before), targetTimes(after)
	for name, at := range is {
		if at.Sub(was[name]) >= activityRepeat {
			return false
		}
	}
	b, errB := plain(before)
	a, errA := plain(after)
	if errA != nil || errB != nil {
		return false
	}
	withoutTimes(b)
	withoutTimes(a)
	return reflect.DeepEqual(a, b)
}

func targetTimes(status map[string]any) map[string]time.Time {
	times := map[string]time.Time{}
	for _, t := range objectsIn(status["targets"]) {
		name, _ := t["name"].(string)
		text, _ := t["lastActivityTime"].(string)
		times[name], _ = time.Parse(time.RFC3339Nano, text)
	}
	return times
}

func withoutTimes(status map[string]any) {
	for _, t := range objectsIn(status["targets"]) {
		delete(t, "lastActivityTime")
	}
}

// conditionTimes are the conditions as written, by type, so that an unchanged one keeps its time.
func conditionTimes(status map[string]any) map[string]map[string]any {
	byType := map[string]map[string]any{}
	for _, c := range objectsIn(status["conditions"]) {
		if name, ok := c["type"].(string); ok {
			byType[name] = c
		}
	}
	return byType
}

func objectsIn(list any) []map[string]any {
	items, _ := list.([]any)
	found := make([]map[string]any, 0, len(items))
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
}

// plain is v as JSON would bring it back, a copy.
func plain(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if m == nil {
		m = map[string]any{}
	}
	return m, nil
}

// object is a CustomAutoscaler as it is cached.
func (w *Watcher) object(a fleet.Autoscaler) (*unstructured.Unstructured, bool) {
	object, ok, _ := w.informers.autoscalers.GetStore().GetByKey(a.Namespace + "/" + a.Name)
	if !ok {
		return nil, false
	}
	u, ok := object.(*unstructured.Unstructured)
	return u, ok
}

// slept is how many pods an application had before it went to sleep, as the status of its CustomAutoscaler
// keeps it; 0 is not known.
func (w *Watcher) slept(k fleet.Key, autoscaler string) int32 {
	u, ok := w.object(fleet.Autoscaler{Namespace: k.Namespace, Name: autoscaler})
	if !ok {
		return 0
	}
	targets, _, _ := unstructured.NestedSlice(u.Object, "status", "targets") // malformed is none
	for _, t := range objectsIn(targets) {
		if n, ok := t["replicasBeforeSleep"].(int64); ok && t["name"] == k.Deployment && n > 0 && n <= maxReplicas {
			return int32(n)
		}
	}
	return 0
}

// Restored tells, on the Deployment, what became of it when its CustomAutoscaler had gone.
func (r *Recorder) Restored(k fleet.Key, e fleet.Event) {
	object, ok, _ := r.watcher.informers.deployments.GetStore().GetByKey(k.String())
	d, is := object.(*appsv1.Deployment)
	if !ok || !is {
		return
	}
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	r.events.Event(&corev1.ObjectReference{
		APIVersion: "apps/v1", Kind: "Deployment", Namespace: k.Namespace, Name: k.Deployment, UID: d.UID, ResourceVersion: d.ResourceVersion,
	}, kind, e.Reason, cut(e.Message))
}
