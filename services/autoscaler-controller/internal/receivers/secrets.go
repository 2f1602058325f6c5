package receivers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

// watch follows the Secrets until ctx ends.
func (p *Post) watch(ctx context.Context, running *sync.WaitGroup) error {
	for _, namespace := range kube.Watched(p.Namespace, p.Within) {
		informer := kube.Informer(&corev1.Secret{}, Name, p.Clients.Typed.CoreV1().Secrets(namespace), shrink)
		if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			if ctx.Err() == nil {
				p.Log.Warn("watch interrupted", "resource", "the Secrets "+Name, "error", err)
			}
		}); err != nil {
			return fmt.Errorf("watch the Secrets %s: %w", Name, err)
		}
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { p.seen(object, false) },
			UpdateFunc: func(_, object any) { p.seen(object, false) },
			DeleteFunc: func(object any) { p.seen(object, true) },
		}); err != nil {
			return fmt.Errorf("watch the Secrets %s: %w", Name, err)
		}
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	return nil
}

// shrink keeps of a Secret what is read, and no more of it than says that it is too much.
func shrink(object any) (any, error) {
	s, ok := object.(*corev1.Secret)
	if !ok {
		return object, nil
	}
	kept := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion}}
	if text, there := s.Data[key]; there {
		kept.Data = map[string][]byte{key: text[:min(len(text), maxText+1)]}
	}
	return kept, nil
}

// seen takes a Secret as it is now. One that cannot be read changes nothing: who was told before still is.
func (p *Post) seen(object any, gone bool) {
	if unseen, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unseen.Obj
	}
	s, ok := object.(*corev1.Secret)
	if !ok || s.Name != Name {
		return
	}
	var list []notices.Receiver
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion}
	text, there := s.Data[key]
	err := error(nil)
	switch {
	case gone:
	case !there:
		err = fmt.Errorf("there is no key %s", key)
	default:
		list, err = p.codec.read(string(text))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.stir()
	switch {
	case err != nil:
		p.secrets[s.Namespace] = secret{about: about, fault: err.Error()}
		p.Log.Warn("malformed notifications; who was told before still is", "namespace", s.Namespace, "secret", Name, "error", err)
		p.Events.Add(kube.Event{About: about, Warning: true, Reason: "Malformed", Message: contract.Cut(err.Error() + "; who was told before still is")})
		return
	case gone:
		delete(p.secrets, s.Namespace)
	default:
		p.secrets[s.Namespace] = secret{about: about}
	}
	p.outbox.Follow(s.Namespace, list)
	p.Log.Info("notifications", "namespace", s.Namespace, "webhooks", len(list))
}
