package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// taken is a Store that writes down what it takes.
type taken []string

func (s *taken) Replace(all []string, version uint64) {
	slices.Sort(all)
	*s = append(*s, fmt.Sprint("all ", all, " at ", version))
}
func (s *taken) Put(name string)    { *s = append(*s, "put "+name) }
func (s *taken) Remove(name string) { *s = append(*s, "remove "+name) }

// api serves ConfigMaps.
type api struct {
	streams bool // lists are streamed
	failing int  // lists that fail, from now on
	asked   []metav1.ListOptions
	watches chan *watch.FakeWatcher
}

func configMap(name, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: version, UID: types.UID(name)}}
}

func (a *api) list(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
	a.asked = append(a.asked, o)
	if a.failing > 0 {
		a.failing--
		return nil, errors.New("busy")
	}
	list := &corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "more"}, Items: []corev1.ConfigMap{*configMap("a", "1")}}
	if o.Continue != "" {
		list.Continue, list.Items = "", []corev1.ConfigMap{*configMap("b", "2")}
	}
	return list, nil
}

func (a *api) watch(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
	first := o.SendInitialEvents != nil
	if first && !a.streams {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "", nil)
	}
	w := watch.NewFakeWithChanSize(10, false)
	if first {
		w.Add(configMap("a", "1"))
		w.Add(configMap("b", "2"))
		end := configMap("", "9")
		end.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
		w.Action(watch.Bookmark, end)
	}
	a.watches <- w
	return w, nil
}

// feed runs a feed until what is under way has been taken, and returns what was.
func feed(t *testing.T, a *api, then func(w *watch.FakeWatcher)) (s *taken, failed []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a.watches, s = make(chan *watch.FakeWatcher, 10), &taken{}
		f := &Feed[*corev1.ConfigMap, string]{
			Name: "configmaps", List: a.list, Watch: a.watch, Store: s,
			Keep:   func(m *corev1.ConfigMap) string { return m.Name },
			Failed: func(err error) { failed = append(failed, err.Error()) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { f.Run(ctx); close(ended) }()
		then(<-a.watches)
		synctest.Wait()
		cancel()
		<-ended
	})
	return s, failed
}

func TestFeed_KeepsOfEachObjectWhatIsKept(t *testing.T) {
	for name, a := range map[string]*api{"streamed": {streams: true}, "in pages": {}} {
		got, failed := feed(t, a, func(w *watch.FakeWatcher) {
			w.Add(configMap("c", "10"))
			w.Modify(configMap("a", "11"))
			w.Delete(configMap("b", "12"))
		})
		want := taken{"all [a b] at 9", "put c", "put a", "remove b"}
		if diff := cmp.Diff(want, *got); diff != "" || len(failed) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", name, failed, diff)
		}
		for _, o := range a.asked {
			if o.Limit != PageSize || o.ResourceVersion != "" {
				t.Errorf("%s: a list that brings everything at once was asked for: %+v", name, o)
			}
		}
	}
}

func TestFeed_TriesAgainAndSaysWhatFailed(t *testing.T) {
	began := time.Time{}
	got, failed := feed(t, &api{failing: 2}, func(*watch.FakeWatcher) { began = time.Now() })
	if len(failed) != 2 || len(*got) != 1 || began.IsZero() {
		t.Errorf("after %v it has %v", failed, *got)
	}
}

func TestFeed_WhenAWatchBreaksNothingIsLost(t *testing.T) {
	a := &api{}
	got, _ := feed(t, a, func(w *watch.FakeWatcher) {
		w.Error(&metav1.Status{Status: metav1.StatusFailure, Code: 410, Reason: metav1.StatusReasonExpired})
		<-a.watches
	})
	if diff := cmp.Diff(taken{"all [a b] at 9", "all [a b] at 9"}, *got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
