package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// metricsAPI answers for namespaces by their names: "hangs…" never, "fails…" with an error, others with one
// pod of their name.
type metricsAPI struct {
	mu    sync.Mutex
	asked map[string][]time.Duration // when, since the beginning
	began time.Time
	taken map[string]int
	names []string
}

func (a *metricsAPI) Unmeasured(time.Time) []string { return a.names }
func (a *metricsAPI) Measure(list []fleet.Measurement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range list {
		a.taken[m.Pod.Namespace]++
	}
}
func (*metricsAPI) Measured(fleet.Source, int) {}

func (a *metricsAPI) list(ctx context.Context, namespace string, o metav1.ListOptions) (*metricsv1beta1.PodMetricsList, error) {
	a.mu.Lock()
	a.asked[namespace] = append(a.asked[namespace], time.Since(a.began))
	a.mu.Unlock()
	switch {
	case strings.HasPrefix(namespace, "hangs"):
		<-ctx.Done()
		return nil, ctx.Err()
	case strings.HasPrefix(namespace, "fails"):
		return nil, errors.New("the server could not find the requested resource")
	}
	pod := metricsv1beta1.PodMetrics{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Containers: []metricsv1beta1.ContainerMetrics{
		{Usage: corev1.ResourceList{"cpu": resource.MustParse("1")}},
	}}
	list := &metricsv1beta1.PodMetricsList{Items: []metricsv1beta1.PodMetrics{pod}}
	if namespace == "pages" && o.Continue == "" {
		list.Continue = "more"
	}
	return list, nil
}

// readFor reads namespaces for a while of virtual time, and returns what came of it and what was logged.
func readFor(t *testing.T, d time.Duration, names ...string) (api *metricsAPI, logged string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		api = &metricsAPI{asked: map[string][]time.Duration{}, taken: map[string]int{}, began: time.Now(), names: names}
		r := newMetricsReader(slog.New(slog.NewTextHandler(&out, nil)), api, api, api, api.list)
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		r.Run(ctx)
		logged = out.String()
	})
	return api, logged
}

func TestMetricsReader_ANamespaceThatHangsOrFailsDelaysNoOther(t *testing.T) {
	names := []string{"fails", "pages"}
	for i := range metricsReaders - 1 {
		names = append(names, fmt.Sprint("hangs", i))
	}
	for i := range 50 {
		names = append(names, fmt.Sprint("good", i))
	}
	api, _ := readFor(t, time.Minute-time.Second, names...)
	for i := range 50 {
		if asked := api.asked[fmt.Sprint("good", i)]; len(asked) != 12 || asked[0] != 0 || asked[11] != 55*time.Second {
			t.Errorf("good%d was asked for at %v", i, asked)
		}
	}
	if asked := api.asked["fails"]; len(asked) != 3 || asked[1] != 10*time.Second || asked[2] != 30*time.Second {
		t.Errorf("one that fails was asked for at %v", asked)
	}
	if asked := api.asked["hangs0"]; len(asked) > 3 {
		t.Errorf("one that hangs was asked for at %v", asked)
	}
	if api.taken["pages"] != 24 || api.taken["good0"] != 12 {
		t.Errorf("taken: %v", api.taken)
	}
}

func TestMetricsReader_LogsAFailureOnce(t *testing.T) {
	_, logged := readFor(t, 5*time.Minute, "fails1", "fails2", "fails3")
	if n := strings.Count(logged, "does not answer"); n != 1 {
		t.Errorf("%d lines:\n%s", n, logged)
	}
}

func TestMetricsPauses_GrowAndAreForgotten(t *testing.T) {
	p := metricsPauses{of: map[string]metricsPause{}}
	now := day
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 2 * time.Minute, 2 * time.Minute} {
		p.note("ns", errors.New("x"), now)
		if !p.paused("ns", now.Add(want-1)) || p.paused("ns", now.Add(want)) {
			t.Errorf("it pauses until %v, want %v", p.of["ns"].until.Sub(now), want)
		}
	}
	p.due([]string{"other"}, now)
	if len(p.of) != 0 {
		t.Errorf("of one that is not asked for any more is kept %v", p.of)
	}
	p.note("ns", errors.New("x"), now)
	p.note("ns", nil, now)
	if p.paused("ns", now) {
		t.Error("one that answers pauses")
	}
}
