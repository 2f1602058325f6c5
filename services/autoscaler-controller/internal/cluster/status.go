package cluster

import (
	"context"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Recorder writes status and events of CustomAutoscalers. The queue of events is bounded; what matters
// least is dropped where it does not fit, and what repeats is counted instead of written again.
type Recorder struct {
	watcher *Watcher
	objects objects
	events  Events
	news    Teller
}

// objects are the CustomAutoscalers as the API server has them.
type objects interface {
	read(ctx context.Context, a fleet.Autoscaler) (*kube.Raw, error)
	patchStatus(ctx context.Context, a fleet.Autoscaler, patch []byte) (*kube.Raw, error)
}

// remote are those that the API server has itself.
type remote struct{ *kube.RawClient }

func (r remote) read(ctx context.Context, a fleet.Autoscaler) (*kube.Raw, error) {
	return r.Namespace(a.Namespace).Get(ctx, a.Name) //nolint:wrapcheck // see refusal
}

func (r remote) patchStatus(ctx context.Context, a fleet.Autoscaler, patch []byte) (*kube.Raw, error) {
	return r.Namespace(a.Namespace).PatchStatus(ctx, a.Name, patch) //nolint:wrapcheck // see refusal
}

// Events takes what is told once, and does not wait.
type Events interface{ Add(e kube.Event) }

// Teller takes what is told to people who are not looking, and does not wait.
type Teller interface {
	Tell(a fleet.Autoscaler, e fleet.Event)
}

// NewRecorder makes a recorder. events are those of the whole process; news takes those that have some.
func NewRecorder(c *kube.Clients, w *Watcher, events *kube.Events, news Teller) *Recorder {
	return &Recorder{watcher: w, objects: remote{c.Autoscalers}, events: events, news: news}
}

// Event tells of something that happened once; without a CustomAutoscaler to tell it of, nothing.
func (r *Recorder) Event(a fleet.Autoscaler, e fleet.Event) {
	if e.News.Kind != "" && r.news != nil {
		r.news.Tell(a, e)
	}
	if e.Reason == "" {
		return // it is news alone
	}
	known, ok := r.watcher.autoscalers.get(a)
	if !ok {
		return
	}
	r.tell(e, corev1.ObjectReference{
		APIVersion: Resource.GroupVersion().String(), Kind: Kind, Namespace: a.Namespace, Name: a.Name,
		UID: types.UID(known.said.uid), ResourceVersion: known.version,
	})
}

func (r *Recorder) tell(e fleet.Event, about corev1.ObjectReference) {
	r.events.Add(kube.Event{About: about, Warning: e.Warning, Minor: e.Minor, Reason: e.Reason, Message: contract.Cut(e.Message)})
}

// Status compares how the targets stand with what is written, and tells what there is to write. What is
// written is kept from the last write; of an object that this process has not written yet, or that somebody
// else has written since, it is read first, when its turn to be written has come.
func (r *Recorder) Status(a fleet.Autoscaler, targets []fleet.Target) (fleet.StatusChange, error) {
	known, ok := r.watcher.autoscalers.get(a)
	if !ok {
		return fleet.StatusChange{}, fleet.ErrGone
	}
	standing := known.standing()
	if known.written == nil {
		awake := func(t fleet.Target) bool { return t.State != fleet.Asleep }
		return fleet.StatusChange{Urgent: slices.ContainsFunc(targets, awake), Write: func(ctx context.Context) error {
			stored, err := r.read(ctx, a)
			if err != nil {
				return err
			}
			return r.bring(ctx, a, change{standing, targets, stored})
		}}, nil
	}
	c := change{standing, targets, known.written.status}
	next := c.next()
	if c.stored.Covers(next) {
		return fleet.StatusChange{}, nil
	}
	return fleet.StatusChange{Urgent: !c.stored.SameStanding(next), Write: func(ctx context.Context) error {
		return r.bring(ctx, a, c)
	}}, nil
}

// change is what a status says and what it is to say.
type change struct {
	standing contract.Standing
	targets  []fleet.Target
	stored   contract.Status
}

func (c change) next() contract.Status {
	return contract.NewStatus(c.standing, c.targets, c.stored, time.Now())
}

// bring writes a change, if it says anything new.
func (r *Recorder) bring(ctx context.Context, a fleet.Autoscaler, c change) error {
	next := c.next()
	if c.stored.Covers(next) {
		return nil
	}
	err := r.write(ctx, a, next, c.stored)
	if apierrors.IsInvalid(err) { // services may go out before the resource
		err = r.write(ctx, a, next.ForOlderResource(a.Namespace), c.stored)
	}
	if err != nil {
		return refusal(err, "write", a)
	}
	for _, e := range contract.News(c.standing, c.targets, c.stored) {
		r.Event(a, e)
	}
	return nil
}

// read is the status as the API server has it.
func (r *Recorder) read(ctx context.Context, a fleet.Autoscaler) (contract.Status, error) {
	o, err := r.objects.read(ctx, a)
	if err != nil {
		return contract.Status{}, refusal(err, "read", a)
	}
	return r.watcher.autoscalers.wrote(o, contract.Status{}), nil
}

func (r *Recorder) write(ctx context.Context, a fleet.Autoscaler, s, stored contract.Status) error {
	body, err := s.Patch(stored)
	if err != nil {
		return err
	}
	o, err := r.objects.patchStatus(ctx, a, body)
	if err == nil {
		r.watcher.autoscalers.wrote(o, s)
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
	s := contract.Standing{Generation: r.said.generation, Malformed: r.said.malformed, Claims: r.said.asks()}
	for _, why := range r.refused {
		s.Refused = append(s.Refused, why.Text)
		s.Foreign = s.Foreign || why.Foreign
	}
	return s
}

// Restored tells, on the Deployment, what became of it when its CustomAutoscaler had gone.
func (r *Recorder) Restored(k fleet.Key, e fleet.Event) {
	d := r.watcher.deployments.get(objectName{k.Namespace, k.Deployment})
	if d == nil {
		return
	}
	r.tell(e, corev1.ObjectReference{
		APIVersion: "apps/v1", Kind: "Deployment", Namespace: k.Namespace, Name: k.Deployment,
		UID: types.UID(d.UID), ResourceVersion: strconv.FormatUint(d.Version, 10),
	})
}
