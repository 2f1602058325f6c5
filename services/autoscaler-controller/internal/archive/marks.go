package archive

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/reporter"
)

var _ reporter.Store = (*Store)(nil)

// marked begins the keys of the marks. They are text, for people who look, and none of the histories, which are binary.
const marked = "report-"

// Marks are until when the reports were sent that are known by these keys. What cannot be read is none.
func (s *Store) Marks(ctx context.Context) (map[string]time.Time, error) {
	all := map[string]time.Time{}
	for place := range places {
		m, err := s.maps.Get(ctx, Name(place), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the ConfigMap %s: %s", Name(place), kube.Message(err))
		}
		for name, text := range m.Data {
			key, ok := strings.CutPrefix(name, marked)
			if at, err := time.Parse(time.RFC3339, text); ok && err == nil {
				all[key] = at
			}
		}
	}
	return all, nil
}

// Mark notes until when a report was sent; the zero value: it is forgotten.
func (s *Store) Mark(ctx context.Context, key string, until time.Time) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // never fails
	var text *string
	if !until.IsZero() {
		said := until.UTC().Format(time.RFC3339)
		text = &said
	}
	return s.write(ctx, int(h.Sum64()%places), map[string]any{"data": map[string]*string{marked + key: text}})
}
