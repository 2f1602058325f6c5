package cluster

import (
	"context"
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Scaler scales Deployments through their /scale subresource.
type Scaler struct{ client rest.Interface }

// NewScaler makes a Scaler.
func NewScaler(c *kube.Clients) *Scaler { return &Scaler{c.Scale} }

// Scale asks for `to` pods. The patch carries the version of the Deployment that the decision was
// made on, so that one round trip is enough and nothing is overwritten that the decision did not see.
// When the Deployment is another one by now, how it stands is returned with fleet.ErrMoved: it is for
// the caller to decide again. Who decided on the count alone gives no version.
func (s *Scaler) Scale(ctx context.Context, k fleet.Key, from fleet.Scale, to int32) (fleet.Scale, error) {
	if from.Version == 0 {
		return s.scaleFrom(ctx, k, from.Replicas, to)
	}
	after, err := s.patch(ctx, k, from.Version, to)
	if err == nil || !apierrors.IsConflict(err) {
		return after, kube.Refusal(err, "scale the Deployment "+k.String())
	}
	now, err := s.get(ctx, k)
	if err != nil {
		return fleet.Scale{}, kube.Refusal(err, "read the scale of the Deployment "+k.String())
	}
	return now, fleet.ErrMoved
}

// scaleFrom scales if the Deployment asks for so many pods, whatever else changes meanwhile.
func (s *Scaler) scaleFrom(ctx context.Context, k fleet.Key, replicas, to int32) (fleet.Scale, error) {
	for range 5 {
		now, err := s.get(ctx, k)
		if err != nil {
			return fleet.Scale{}, kube.Refusal(err, "read the scale of the Deployment "+k.String())
		}
		if now.Replicas != replicas {
			return now, fleet.ErrMoved
		}
		after, err := s.patch(ctx, k, now.Version, to)
		if err == nil || !apierrors.IsConflict(err) {
			return after, kube.Refusal(err, "scale the Deployment "+k.String())
		}
	}
	return fleet.Scale{}, fault.New(fault.Unavailable, "the Deployment %s changes faster than it can be scaled", k).After(time.Second)
}

// patch applies the count (server-side apply). A PUT, or any other PATCH, of /scale to 0 would erase every
// owner of spec.replicas from the Deployment's managedFields, for good: the Scale object leaves the field
// out at zero. Then a GitOps tool that applies its own count would meet no conflict. What is applied has
// this product as its owner, at zero too, and needs no other right than patch on deployments/scale.
func (s *Scaler) patch(ctx context.Context, k fleet.Key, version uint64, to int32) (fleet.Scale, error) {
	body := fmt.Appendf(nil, `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":%q,"namespace":%q,"resourceVersion":"%d"},"spec":{"replicas":%d}}`,
		k.Deployment, k.Namespace, version, to)
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	return into(s.client.Patch(types.ApplyPatchType).Namespace(k.Namespace).Resource("deployments").
		Name(k.Deployment).SubResource("scale").Param("fieldManager", fleet.FieldManager).Param("force", "true").Body(body).Do(ctx))
}

func (s *Scaler) get(ctx context.Context, k fleet.Key) (fleet.Scale, error) {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	return into(s.client.Get().Namespace(k.Namespace).Resource("deployments").
		Name(k.Deployment).SubResource("scale").Do(ctx))
}

// into decodes by hand: the client of apps/v1 does not know the kind of the answer.
func into(r rest.Result) (fleet.Scale, error) {
	raw, err := r.Raw()
	if err != nil {
		return fleet.Scale{}, r.Error() // which says what the API server said
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		return fleet.Scale{}, fmt.Errorf("the answer to a scale: %w", err)
	}
	scale, ok := object.(*autoscalingv1.Scale)
	if !ok {
		return fleet.Scale{}, fmt.Errorf("the answer to a scale is a %T", object)
	}
	return fleet.Scale{Replicas: scale.Spec.Replicas, Version: kube.Version(scale.ResourceVersion)}, nil
}
