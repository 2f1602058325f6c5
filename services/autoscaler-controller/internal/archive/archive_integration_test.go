//go:build integration

package archive

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

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

func TestIntegration_MarksStandBesideHistoriesAndBothStay(t *testing.T) {
	clients, namespace := kubetest.Connect(t)
	s := New(clients, slog.New(slog.DiscardHandler), namespace)
	if all, err := s.Marks(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("%v, %v", all, err)
	}
	until := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	for i := range 40 { // in most places one is the first, and in others the second
		if err := s.Mark(t.Context(), fmt.Sprintf("%024x", i), until.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	k := fleet.Key{Namespace: "shop", Deployment: "cart"}
	for place := range places {
		if err := s.Save(t.Context(), place, map[fleet.Key][]byte{k: {byte(place)}}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Marks(t.Context())
	if err != nil || len(all) != 40 || !all[fmt.Sprintf("%024x", 7)].Equal(until.Add(7*time.Hour)) {
		t.Errorf("%d marks, %v: %v", len(all), err, all)
	}
	if kept := load(t, s); len(kept[k]) != 1 {
		t.Errorf("the histories are %v", kept)
	}
	if err := s.Mark(t.Context(), fmt.Sprintf("%024x", 7), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Marks(t.Context()); err != nil || len(all) != 39 || len(load(t, s)) != 1 {
		t.Errorf("%d marks are left, %v", len(all), err)
	}
	place := clients.Typed.CoreV1().ConfigMaps(namespace)
	m, err := place.Get(t.Context(), Name(0), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.Data = map[string]string{"report-x": "yesterday", "other": "2026-03-02T06:00:00Z", "report-y": "2026-03-02T06:00:00Z"}
	if _, err := place.Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Marks(t.Context()); err != nil || !all["x"].IsZero() || !all["y"].Equal(until) {
		t.Errorf("what cannot be read is none: %v, %v", all, err)
	}
}
