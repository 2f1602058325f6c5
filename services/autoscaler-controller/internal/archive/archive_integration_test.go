//go:build integration

package archive

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

func load(t *testing.T, s *Store) map[fleet.Key][]byte {
	t.Helper()
	all := map[fleet.Key][]byte{}
	if err := s.Load(t.Context(), func(k fleet.Key, kept []byte) { all[k] = kept }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestIntegration_HistoriesOfSeveralWritersStandSideBySide(t *testing.T) {
	clients, namespace := kubetest.Connect(t)
	one, other := New(clients, slog.New(slog.DiscardHandler), namespace), New(clients, slog.New(slog.DiscardHandler), namespace)
	if all := load(t, one); len(all) != 0 {
		t.Fatalf("there is %v", all)
	}
	a, b := fleet.Key{Namespace: "shop", Deployment: "cart"}, fleet.Key{Namespace: "cafe", Deployment: "menu"}
	place := one.Place(a)
	for _, step := range []struct {
		by *Store
		of map[fleet.Key][]byte
	}{{one, map[fleet.Key][]byte{a: {1}}}, {other, map[fleet.Key][]byte{b: {2}}}, {one, map[fleet.Key][]byte{a: bytes.Repeat([]byte{3}, 20000)}}} {
		if err := step.by.Save(t.Context(), place, step.of); err != nil {
			t.Fatal(err)
		}
	}
	if all := load(t, one); len(all[a]) != 20000 || !bytes.Equal(all[b], []byte{2}) {
		t.Errorf("%d applications, %d bytes and %v", len(all), len(all[a]), all[b])
	}
	if err := other.Save(t.Context(), place, map[fleet.Key][]byte{b: nil}); err != nil {
		t.Fatal(err)
	}
	if all := load(t, one); len(all) != 1 {
		t.Errorf("what is dropped is gone: %d", len(all))
	}
	tooMuch := map[fleet.Key][]byte{a: bytes.Repeat([]byte{3}, 2<<20)}
	if err := one.Save(t.Context(), place, tooMuch); err == nil || !strings.Contains(err.Error(), Name(place)) {
		t.Errorf("more than there is room for: %v", err)
	}
	if all := load(t, one); len(all[a]) != 20000 {
		t.Error("what could not be written took what was there")
	}
	m, err := clients.Typed.CoreV1().ConfigMaps(namespace).Get(context.Background(), Name(place), metav1.GetOptions{})
	if err != nil || m.Labels["app.kubernetes.io/part-of"] != "nemesis" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestIntegration_WithoutTheRightToReadItSaysSo(t *testing.T) {
	clients, namespace := kubetest.Connect(t)
	s := New(kubetest.Nobody(t, clients, namespace), slog.New(slog.DiscardHandler), namespace)
	if err := s.Load(t.Context(), func(fleet.Key, []byte) {}); err == nil || !strings.Contains(err.Error(), "history-0") {
		t.Errorf("%v", err)
	}
}
