package cluster

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/record"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Recorder writes status and events of CustomAutoscalers. The queue of events is bounded; what
// does not fit is dropped, and what repeats is counted instead of written again.
type Recorder struct {
	watcher *Watcher
	dynamic dynamic.Interface
	events  record.EventRecorder
}

// NewRecorder makes a recorder. Its events stop with ctx.
func NewRecorder(ctx context.Context, c *kube.Clients, w *Watcher) *Recorder {
	return &Recorder{watcher: w, dynamic: c.Dynamic, events: kube.NewEvents(ctx, c)}
}

// Event tells of something that happened once; without a CustomAutoscaler to tell it of, nothing.
func (r *Recorder) Event(a fleet.Autoscaler, e fleet.Event) {
	known, ok := r.watcher.autoscalers.get(a)
	if !ok {
		return
	}
	r.event(&corev1.ObjectReference{
		APIVersion: Resource.GroupVersion().String(), Kind: Kind, Namespace: a.Namespace, Name: a.Name,
		UID: types.UID(known.said.uid), ResourceVersion: known.version,
	}, e)
}

func (r *Recorder) event(of *corev1.ObjectReference, e fleet.Event) {
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	r.events.Event(of, kind, e.Reason, contract.Cut(e.Message))
}

// Status writes how the targets stand, if that is not what is written already.
func (r *Recorder) Status(ctx context.Context, a fleet.Autoscaler, targets []fleet.Target) error {
	known, ok := r.watcher.autoscalers.get(a)
	if !ok {
		return fleet.ErrGone
	}
	stored, err := r.stored(ctx, a, known)
	if err != nil {
		return err
	}
	standing := known.standing()
	next := contract.NewStatus(standing, targets, stored, time.Now())
	if stored.Covers(next) {
		return nil
	}
	for _, e := range contract.News(standing, targets, stored) {
		r.Event(a, e)
	}
	err = r.write(ctx, a, next, stored)
	if apierrors.IsInvalid(err) { // services may go out before the resource
		err = r.write(ctx, a, next.ForOlderResource(a.Namespace), stored)
	}
	return refusal(err, "write", a)
}

// stored is the status as the API server has it. It is kept from the last write; who leads newly, or finds
// that somebody else has written, reads it once.
func (r *Recorder) stored(ctx context.Context, a fleet.Autoscaler, known entry) (contract.Status, error) {
	if known.written != nil {
		return known.written.status, nil
	}
	u, err := r.dynamic.Resource(Resource).Namespace(a.Namespace).Get(ctx, a.Name, metav1.GetOptions{})
	if err != nil {
		return contract.Status{}, refusal(err, "read", a)
	}
	return r.watcher.autoscalers.wrote(u), nil
}

func (r *Recorder) write(ctx context.Context, a fleet.Autoscaler, s, stored contract.Status) error {
	body, err := s.Patch(stored)
	if err != nil {
		return err
	}
	u, err := r.dynamic.Resource(Resource).Namespace(a.Namespace).Patch(ctx, a.Name, types.MergePatchType, body, metav1.PatchOptions{}, "status")
	if err == nil {
		r.watcher.autoscalers.wrote(u)
	}
	return err
}

func refusal(err error, do string, a fleet.Autoscaler) error {
	if apierrors.IsNotFound(err) {
		return fleet.ErrGone
	}
	return kube.Refusal(err, do+" the status of the CustomAutoscaler "+a.Namespace+"/"+a.Name)
}

// standing is how a CustomAutoscaler itself stands.
func (r entry) standing() contract.Standing {
	return contract.Standing{Generation: r.said.generation, Malformed: r.said.malformed, Refused: r.refused}
}

// Restored tells, on the Deployment, what became of it when its CustomAutoscaler had gone.
func (r *Recorder) Restored(k fleet.Key, e fleet.Event) {
	d := r.watcher.deployments.get(objectName{k.Namespace, k.Deployment})
	if d == nil {
		return
	}
	r.event(&corev1.ObjectReference{
		APIVersion: "apps/v1", Kind: "Deployment", Namespace: k.Namespace, Name: k.Deployment,
		UID: types.UID(d.UID), ResourceVersion: strconv.FormatUint(d.Version, 10),
	}, e)
}
