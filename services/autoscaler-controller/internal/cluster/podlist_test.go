package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// podAPI lists pods of two pages, and writes down what is asked.
type podAPI struct {
	mu     sync.Mutex
	asked  []string
	fails  int // how often, from now on
	merged []string
	again  bool
}

func (a *podAPI) list(_ context.Context, namespace string, o metav1.ListOptions) (*corev1.PodList, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, fmt.Sprintf("%s %q %q", namespace, o.LabelSelector, o.Continue))
	if a.fails > 0 {
		a.fails--
		return nil, errors.New("busy")
	}
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "more"}}
	if o.Continue != "" {
		list.ResourceVersion, list.Continue = "8", ""
	}
	for _, deployment := range []string{"app", "nobody"} {
		list.Items = append(list.Items, *podNamed(deployment+o.Continue, deployment))
	}
	return list, nil
}

func (a *podAPI) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *podAPI) merge(set *podSet, listed []*pod, version uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := []string{}
	for _, p := range listed {
		names = append(names, p.name)
	}
	a.merged = append(a.merged, fmt.Sprint(set.key, names, version))
	again := a.again
	a.again = false
	return again
}

// listFor has sets listed, until nothing is left to do.
func listFor(t *testing.T, api *podAPI, selector string, keys ...fleet.Key) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newPodLister(slog.New(slog.DiscardHandler))
		l.list, l.merge, l.selector = api.list, api.merge, func(fleet.Key) string { return selector }
		l.wanted = func(*podSet) bool { return true }
		var sets []*podSet
		for _, k := range keys {
			sets = append(sets, &podSet{key: k})
		}
		l.ask(sets)
		ctx, cancel := context.WithTimeout(t.Context(), metricsPeriod)
		defer cancel()
		l.Run(ctx)
	})
}

func TestPodLister_ListsByTheDeploymentsSelector(t *testing.T) {
	api := &podAPI{}
	listFor(t, api, "a=b", theApp)
	if diff := cmp.Diff([]string{`ns "a=b" ""`, `ns "a=b" "more"`}, api.asked) + cmp.Diff([]string{"ns/app [app appmore] 7"}, api.merged); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPodLister_ListsANamespaceOnceForMany(t *testing.T) {
	var keys []fleet.Key
	for i := range fewSets + 1 {
		keys = append(keys, fleet.Key{Namespace: "ns", Deployment: fmt.Sprint("d", i)})
	}
	for name, c := range map[string]struct {
		keys     []fleet.Key
		selector string
	}{"many applications": {keys, "a=b"}, "a Deployment that is not there": {keys[:1], ""}} {
		api := &podAPI{}
		listFor(t, api, c.selector, c.keys...)
		if diff := cmp.Diff([]string{`ns "" ""`, `ns "" "more"`}, api.asked); diff != "" || len(api.merged) != len(c.keys) {
			t.Errorf("%s: %d are listed (-want +got):\n%s", name, len(api.merged), diff)
		}
	}
}

func TestPodLister_TriesAgainWhatFailedAndWhatWasTooOld(t *testing.T) {
	api := &podAPI{fails: 2}
	listFor(t, api, "a=b", theApp)
	if len(api.asked) != 4 || len(api.merged) != 1 {
		t.Errorf("after two failures it asked %v and has %v", api.asked, api.merged)
	}
	api = &podAPI{again: true}
	listFor(t, api, "a=b", theApp)
	if !slices.Equal(api.merged, []string{"ns/app [app appmore] 7", "ns/app [app appmore] 7"}) {
		t.Errorf("of a list that was too old it has %v", api.merged)
	}
}

// While a namespace cannot be listed, applications that come and go there leave nothing that is listed when it
// can.
func TestPodLister_ForgetsWhatNobodyAsksForAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(slog.New(slog.DiscardHandler))
		api := &podAPI{fails: 1 << 30}
		w.lister.list = api.list
		w.pods.begin()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.lister.Run(ctx) })
		for range 1000 {
			w.pods.want(theApp)
			synctest.Wait()
			w.pods.drop(theApp)
		}
		time.Sleep(time.Hour)
		before := api.calls()
		time.Sleep(time.Hour)
		cancel()
		running.Wait()
		if n, more := len(w.lister.asked["ns"]), api.calls()-before; n != 0 || more != 0 {
			t.Errorf("%d are to be listed, and the API server was asked %d times more", n, more)
		}
	})
}
