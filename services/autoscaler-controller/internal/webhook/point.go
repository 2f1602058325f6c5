package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// hook is what is looked at of a webhook.
type hook struct {
	name   string
	client admissionregistrationv1.WebhookClientConfig
}

// point has both configurations name the authority and the path.
func (k *Keeper) point(ctx context.Context, bundle []byte, path string) error {
	api := k.Clients.Typed.AdmissionregistrationV1()
	var mutating, validating []hook
	m, err := api.MutatingWebhookConfigurations().Get(ctx, Configuration, metav1.GetOptions{})
	faults := []error{absent(err, "MutatingWebhookConfiguration")}
	if err == nil {
		for _, w := range m.Webhooks {
			mutating = append(mutating, hook{w.Name, w.ClientConfig})
		}
	}
	v, err := api.ValidatingWebhookConfigurations().Get(ctx, Configuration, metav1.GetOptions{})
	faults = append(faults, absent(err, "ValidatingWebhookConfiguration"))
	if err == nil {
		for _, w := range v.Webhooks {
			validating = append(validating, hook{w.Name, w.ClientConfig})
		}
	}
	if patch := k.patch(mutating, bundle, "/"+path+"/inject"); patch != nil {
		_, err := api.MutatingWebhookConfigurations().Patch(ctx, Configuration, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: owner})
		faults = append(faults, k.patched(err, "MutatingWebhookConfiguration"))
	}
	if patch := k.patch(validating, bundle, "/"+path+"/review"); patch != nil {
		_, err := api.ValidatingWebhookConfigurations().Patch(ctx, Configuration, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: owner})
		faults = append(faults, k.patched(err, "ValidatingWebhookConfiguration"))
	}
	return errors.Join(faults...)
}

// absent is the fault of a read; that there is no configuration is none.
func absent(err error, kind string) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return kube.Refusal(err, "read the "+kind+" "+Configuration)
}

func (k *Keeper) patched(err error, kind string) error {
	if err != nil {
		return kube.Refusal(err, "write the "+kind+" "+Configuration)
	}
	k.Log.Info("a webhook's configuration names the authority now", "kind", kind, "name", Configuration)
	return nil
}

// patch is what there is to change of the webhooks that lead to this Service; nil: nothing.
func (k *Keeper) patch(hooks []hook, bundle []byte, path string) []byte {
	var list []any
	for _, h := range hooks {
		s := h.client.Service
		if s == nil || s.Name != k.Service || s.Namespace != k.Namespace || bytes.Equal(h.client.CABundle, bundle) && s.Path != nil && *s.Path == path {
			continue
		}
		list = append(list, map[string]any{"name": h.name, "clientConfig": map[string]any{
			"caBundle": bundle, "service": map[string]any{"name": s.Name, "namespace": s.Namespace, "path": path},
		}})
	}
	if list == nil {
		return nil
	}
	raw, err := json.Marshal(map[string]any{"webhooks": list})
	if err != nil {
		return nil // never: it is text
	}
	return raw
}
