package cluster

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Recorder writes status and events of CustomAutoscalers. The queue of events is bounded; what matters
// least is dropped where it does not fit, and what repeats is counted instead of written again.
type Recorder struct {
	watcher *Watcher
	dynamic dynamic.Interface
	events  *kube.Events
}

// NewRecorder makes a recorder. events are those of the whole process.
func NewRecorder(c *kube.Clients, w *Watcher, events *kube.Events) *Recorder {
	return &Recorder{watcher: w, dynamic: c.Dynamic, events: events}
}

// Event tells of something that happened once; without a CustomAutoscaler to tell it of, nothing.
func (r *Recorder) Event(a fleet.Autoscaler, e fleet.Event) {
	u, ok := r.watcher.object(a)
	if !ok {
		return
	}
	r.tell(e, corev1.ObjectReference{
		APIVersion: Resource.GroupVersion().String(), Kind: Kind, Namespace: a.Namespace, Name: a.Name,
		UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(),
	})
}

func (r *Recorder) tell(e fleet.Event, about corev1.ObjectReference) {
	r.events.Add(kube.Event{About: about, Warning: e.Warning, Minor: e.Minor, Reason: e.Reason, Message: contract.Cut(e.Message)})
}

// Status compares how the targets stand with what is written, and tells what there is to write.
func (r *Recorder) Status(a fleet.Autoscaler, targets []fleet.Target) (fleet.StatusChange, error) {
	u, ok := r.watcher.object(a)
	if !ok {
		return fleet.StatusChange{}, fleet.ErrGone
	}
	standing, stored := r.watcher.standing(a), contract.ReadStatus(u.Object)
	next := contract.NewStatus(standing, targets, stored, time.Now())
	if stored.Covers(next) {
		return fleet.StatusChange{}, nil
	}
	return fleet.StatusChange{Urgent: !stored.SameStanding(next), Write: func(ctx context.Context) error {
		err := r.write(ctx, a, next, stored)
		if apierrors.IsInvalid(err) { // services may go out before the resource
			err = r.write(ctx, a, next.ForOlderResource(a.Namespace), stored)
		}
		switch {
		case apierrors.IsNotFound(err):
			return fleet.ErrGone
		case err == nil:
			for _, e := range contract.News(standing, targets, stored) {
				r.Event(a, e)
			}
		}
		return kube.Refusal(err, "write the status of the CustomAutoscaler "+a.Namespace+"/"+a.Name)
	}}, nil
}

func (r *Recorder) write(ctx context.Context, a fleet.Autoscaler, s, stored contract.Status) error {
	body, err := s.Patch(stored)
	if err != nil {
		return err
	}
	_, err = r.dynamic.Resource(Resource).Namespace(a.Namespace).Patch(ctx, a.Name, types.MergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

// standing is how a CustomAutoscaler itself stands.
func (w *Watcher) standing(a fleet.Autoscaler) contract.Standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.known[a]
	return contract.Standing{Generation: known.generation, Malformed: known.malformed, Refused: w.refused[a]}
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

// remembered is what the status of a CustomAutoscaler keeps of an application.
func (w *Watcher) remembered(k fleet.Key, autoscaler string) contract.Remembered {
	u, ok := w.object(fleet.Autoscaler{Namespace: k.Namespace, Name: autoscaler})
	if !ok {
		return contract.Remembered{}
	}
	return contract.ReadStatus(u.Object).Remembered(k.Deployment)
}

// Restored tells, on the Deployment, what became of it when its CustomAutoscaler had gone.
func (r *Recorder) Restored(k fleet.Key, e fleet.Event) {
	object, ok, _ := r.watcher.informers.deployments.GetStore().GetByKey(k.String())
	d, is := object.(*appsv1.Deployment)
	if !ok || !is {
		return
	}
	r.tell(e, corev1.ObjectReference{
		APIVersion: "apps/v1", Kind: "Deployment", Namespace: k.Namespace, Name: k.Deployment, UID: d.UID, ResourceVersion: d.ResourceVersion,
	})
}
