// Package archive keeps the histories of the applications in ConfigMaps of the controller's namespace: 16 of them, each with
// the applications whose names have that hash, a key for each.
//
// Why so. The custom resource's status would be read by everybody who watches it, at every write; a volume would
// tie the controller to a node; a database would be one more thing to run. ConfigMaps are there, and 16 of
// 1 MiB are a bound that holds whatever there is: 10,000 applications have 1.3 KB each, in which one that sleeps
// most of the time has its whole month and day (some 200 bytes), and one that is always busy its last days by the
// hour. The leader writes one ConfigMap every 19 s, each once in five minutes.
//
// Beside them stands which reports were sent (marks.go).
//
// It is a merge patch of the keys that are the writer's, so that the leaders of several shards, each with
// applications of its own, write to the same ConfigMaps and take nothing from each other; and whatever the number of
// shards is changed to, everything stays where it is. A ConfigMap that is not there is made by an apply, for
// which the right to create may be bound to its name.
package archive

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/chronicle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	places  = 16
	room    = 850 << 10 // of a ConfigMap, which may have 1 MiB; the rest is keys and what Kubernetes notes of them
	manager = "autoscaler-controller"
)

// Store is the ConfigMaps.
type Store struct {
	maps corev1client.ConfigMapInterface
	log  *slog.Logger
}

var _ chronicle.Store = (*Store)(nil)

// New makes it, for ConfigMaps of a namespace.
func New(c *kube.Clients, log *slog.Logger, namespace string) *Store {
	return &Store{c.Typed.CoreV1().ConfigMaps(namespace), log}
}

// Places are how many ConfigMaps there are.
func (s *Store) Places() int { return places }

// Room is how many bytes of histories one has.
func (s *Store) Room() int { return room }

// Name is that of a place.
func Name(place int) string { return fmt.Sprintf("history-%d", place) }

func sum(k fleet.Key) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(k.Namespace + "/" + k.Deployment)) // never fails
	return h.Sum64()
}

// Place is where an application is kept.
func (s *Store) Place(k fleet.Key) int { return int(sum(k) % places) }

func key(k fleet.Key) string { return fmt.Sprintf("%016x", sum(k)) }

// Load reads all that is kept.
func (s *Store) Load(ctx context.Context, yield func(k fleet.Key, kept []byte)) error {
	for place := range places {
		m, err := s.maps.Get(ctx, Name(place), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the ConfigMap %s: %s", Name(place), kube.Message(err))
		}
		for name, value := range m.BinaryData {
			k, kept, err := unwrap(value)
			if err == nil && key(k) != name {
				err = fmt.Errorf("it is of %s", k)
			}
			if err != nil {
				s.log.WarnContext(ctx, "a key of a history's ConfigMap cannot be read", "configmap", Name(place), "key", name, "error", err)
				continue
			}
			yield(k, kept)
		}
	}
	return nil
}

// Save keeps histories in a place, beside what else is there.
func (s *Store) Save(ctx context.Context, place int, of map[fleet.Key][]byte) error {
	return s.write(ctx, place, Patch(of))
}

// Patch is what of a ConfigMap says these histories.
func Patch(of map[fleet.Key][]byte) map[string]any {
	keys := make(map[string]*string, len(of))
	for k, kept := range of {
		keys[key(k)] = nil
		if kept != nil {
			text := base64.StdEncoding.EncodeToString(wrap(k, kept))
			keys[key(k)] = &text
		}
	}
	return map[string]any{"binaryData": keys}
}

// write writes some keys of a place, and leaves the others as they are.
func (s *Store) write(ctx context.Context, place int, keys map[string]any) error {
	patch, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("the patch of a ConfigMap: %w", err)
	}
	_, err = s.maps.Patch(ctx, Name(place), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	if !apierrors.IsNotFound(err) {
		return said(place, err)
	}
	object := applycorev1.ConfigMap(Name(place), "").WithLabels(map[string]string{"app.kubernetes.io/part-of": "nemesis"})
	object.Namespace = nil // the client says it
	if _, err = s.maps.Apply(ctx, object, metav1.ApplyOptions{FieldManager: manager + "-history", Force: true}); err != nil {
		return said(place, err)
	}
	_, err = s.maps.Patch(ctx, Name(place), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	return said(place, err)
}

func said(place int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the ConfigMap %s: %s", Name(place), kube.Message(err))
}

var errNoName = errors.New("it does not say of what it is")

// wrap puts the name of an application before its history: a key is but its hash.
func wrap(k fleet.Key, kept []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(k.Namespace)))
	out = append(out, k.Namespace...)
	out = binary.AppendUvarint(out, uint64(len(k.Deployment)))
	out = append(out, k.Deployment...)
	return append(out, kept...)
}

func unwrap(value []byte) (k fleet.Key, kept []byte, err error) {
	for _, part := range []*string{&k.Namespace, &k.Deployment} {
		n, size := binary.Uvarint(value)
		if size <= 0 || n == 0 || n > 253 || len(value)-size < int(n) {
			return fleet.Key{}, nil, errNoName
		}
		*part, value = string(value[size:size+int(n)]), value[size+int(n):]
	}
	return k, value, nil
}
