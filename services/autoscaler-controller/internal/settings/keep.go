package settings

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/retry"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Keep writes the settings, and returns what is kept. Errors are those of pkg/fault; nothing has
// changed then.
func (s *Store) Keep(ctx context.Context, wanted fleet.BalancerSettings) (fleet.BalancerSettings, error) {
	text, err := s.Codec.Write(wanted)
	if err != nil {
		return fleet.BalancerSettings{}, err
	}
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	object := applycorev1.ConfigMap(settingsName, s.Namespace).
		WithLabels(map[string]string{"app.kubernetes.io/part-of": "nemesis"}).WithData(map[string]string{settingsKey: text})
	var kept *corev1.ConfigMap
	err = retry.OnError(retry.DefaultRetry, overtaken, func() (err error) {
		kept, err = s.kube.CoreV1().ConfigMaps(s.Namespace).Apply(ctx, object, metav1.ApplyOptions{FieldManager: settingsOwner, Force: true})
		return err
	})
	if err != nil {
		return fleet.BalancerSettings{}, kube.Refusal(err, "keep the settings in the ConfigMap "+s.name())
	}
	s.take(kept) // the watch will say the same a moment later
	return s.read(kept)
}

// overtaken: somebody else wrote at the same moment.
func overtaken(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}
