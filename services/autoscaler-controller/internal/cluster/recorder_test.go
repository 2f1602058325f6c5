package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// stored is an API server that has one CustomAutoscaler, and writes down what is asked of it.
type stored struct {
	object  *unstructured.Unstructured
	version int
	asked   []string

	forgetful bool // of a resource that knows no claims
}

// told are events.
type told []kube.Event

func (t *told) Add(e kube.Event) { *t = append(*t, e) }

// recorderOf makes a Recorder of an object that a Watcher has seen.
func recorderOf(t *testing.T, u *unstructured.Unstructured) (*Recorder, *stored, *world) {
	t.Helper()
	u.SetResourceVersion("10")
	s := &stored{object: u.DeepCopy(), version: 10}
	w := newWorld(t, u)
	return &Recorder{watcher: w.Watcher, objects: s, events: &told{}}, s, w
}

func (s *stored) read(context.Context, fleet.Autoscaler) (*kube.Raw, error) {
	s.asked = append(s.asked, "get")
	return s.answer()
}

func (s *stored) patchStatus(_ context.Context, _ fleet.Autoscaler, patch []byte) (*kube.Raw, error) {
	s.asked = append(s.asked, "patch")
	if s.object == nil {
		return s.answer()
	}
	var body map[string]any
	if err := json.Unmarshal(patch, &body); err != nil {
		return nil, err
	}
	if status, ok := body["status"].(map[string]any); ok && s.forgetful {
		delete(status, "claims")
	}
	s.write(body["status"])
	return s.answer()
}

func (s *stored) answer() (*kube.Raw, error) {
	if s.object == nil {
		return nil, apierrors.NewNotFound(Resource.GroupResource(), "ca")
	}
	return raw(s.object), nil
}

// write makes a status the object's, as somebody else may.
func (s *stored) write(status any) {
	s.version++
	s.object.SetResourceVersion(fmt.Sprint(s.version))
	s.object.Object["status"] = status
}

// takes returns what was asked since it was called last.
func (s *stored) takes() []string {
	asked := s.asked
	s.asked = nil
	return asked
}

// bring writes a status, if there is anything to write.
func bring(t *testing.T, r *Recorder, a fleet.Autoscaler, targets []fleet.Target) error {
	t.Helper()
	change, err := r.Status(a, targets)
	if err != nil || change.Write == nil {
		return err
	}
	return change.Write(t.Context())
}

func TestRecorder_ReadsAnObjectOnceAndRemembersWhatItWrote(t *testing.T) {
	a := fleet.Autoscaler{Namespace: "ns", Name: "ca"}
	ca := object("ca", 1, target("app", "/app"))
	r, api, w := recorderOf(t, ca)
	shown := func() { sightings{w.Watcher}.Put(w.autoscalers.keep(raw(api.object))) }
	targets := func(replicas int32) []fleet.Target {
		return []fleet.Target{{Name: "app", State: fleet.Awake, Replicas: replicas}}
	}
	for _, step := range []struct {
		what   string
		before func()
		write  int32
		want   []string
	}{
		{"the first time", nil, 1, []string{"get", "patch"}},
		{"the same again", nil, 1, nil},
		{"another", nil, 2, []string{"patch"}},
		{"the watch shows what was written", shown, 2, nil},
		{"and another", shown, 3, []string{"patch"}},
		{"somebody has written a label", func() {
			api.object.SetLabels(map[string]string{"a": "b"})
			api.version++
			api.object.SetResourceVersion(fmt.Sprint(api.version))
			shown()
		}, 3, nil},
		{"somebody has written the status", func() { api.write(map[string]any{"state": "Asleep"}); shown() }, 3, []string{"get", "patch"}},
		{"somebody has written the very same", func() { api.write(api.object.Object["status"]); shown() }, 3, nil},
		{"the watch is behind", func() {
			old := api.object.DeepCopy()
			old.SetResourceVersion("11")
			old.Object["status"] = map[string]any{"state": "Waking"}
			sightings{w.Watcher}.Put(w.autoscalers.keep(raw(old)))
		}, 3, nil},
	} {
		if step.before != nil {
			step.before()
		}
		if err := bring(t, r, a, targets(step.write)); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if diff := cmp.Diff(step.want, api.takes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}

func TestRecorder_OfAnObjectThatHasGoneThereIsNothingToWrite(t *testing.T) {
	a := fleet.Autoscaler{Namespace: "ns", Name: "ca"}
	r, api, w := recorderOf(t, object("ca", 1, target("app", "/app")))
	api.object = nil
	if err := bring(t, r, a, nil); err != fleet.ErrGone { //nolint:errorlint // exactly that
		t.Errorf("the API server does not have it: %v", err)
	}
	w.remove(object("ca", 1))
	api.takes()
	if err := bring(t, r, a, nil); err != fleet.ErrGone || len(api.asked) > 0 { //nolint:errorlint // exactly that
		t.Errorf("it was seen to go: %v after %v", err, api.asked)
	}
	r.Event(a, fleet.Event{Reason: "Scaled"})
	r.Restored(theApp, fleet.Event{Reason: "Woken"})
	if events := *r.events.(*told); len(events) > 0 {
		t.Errorf("%d events of what is not there", len(events))
	}
}

// What is asked for is written down before the process may end, also of what is refused; a resource that keeps
// no claims is not asked again and again.
func TestRecorder_WritesSinceWhenSomethingIsAskedFor(t *testing.T) {
	a := fleet.Autoscaler{Namespace: "ns", Name: "ca"}
	ca := object("ca", 1, target("app", "/app"))
	r, api, w := recorderOf(t, ca)
	if err := bring(t, r, a, nil); err != nil {
		t.Fatal(err)
	}
	kept := func() []contract.Claim {
		list, _ := contract.ReadStatus(api.object.Object).Claims()
		return list
	}
	if got := kept(); len(got) != 1 || got[0].Prefix != "/app" || !got[0].Since.Equal(day) {
		t.Errorf("it keeps %+v", got)
	}
	asks(api.object, target("app", "/app"), target("other", "/app"))
	api.write(api.object.Object["status"])
	sightings{w.Watcher}.Put(w.autoscalers.keep(raw(api.object)))
	change, err := r.Status(a, nil)
	if err != nil || !change.Urgent || change.Write(t.Context()) != nil {
		t.Errorf("a claim more: %+v, %v", change, err)
	}
	if got := kept(); len(got) != 2 || !got[0].Since.Equal(day) || !got[1].Since.After(day) || got[1].Deployment != "other" {
		t.Errorf("it keeps %+v", got)
	}
	api.takes()
	api.forgetful = true
	api.write(map[string]any{})
	sightings{w.Watcher}.Put(w.autoscalers.keep(raw(api.object)))
	for range 3 {
		if err := bring(t, r, a, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := api.takes(); len(kept()) != 0 || len(got) != 2 {
		t.Errorf("where no claims are kept it asks %v", got)
	}
}

func TestLedger_TakesNoOlderStatusThanWasSeen(t *testing.T) {
	w := newWorld(t, object("ca", 1, target("app", "/app")))
	a := fleet.Autoscaler{Namespace: "ns", Name: "ca"}
	seen := object("ca", 1, target("app", "/app"))
	seen.Object["status"] = map[string]any{"state": "Awake"}
	seen.SetResourceVersion("20")
	sightings{w.Watcher}.Put(w.autoscalers.keep(raw(seen)))
	for name, c := range map[string]struct {
		change func(u *unstructured.Unstructured)
		want   bool
	}{
		"an older one": {func(u *unstructured.Unstructured) {
			u.SetResourceVersion("19")
			u.Object["status"] = map[string]any{"state": "Asleep"}
		}, false},
		"a newer one": {func(u *unstructured.Unstructured) {
			u.SetResourceVersion("21")
			u.Object["status"] = map[string]any{"state": "Asleep"}
		}, true},
		"the same":                {func(*unstructured.Unstructured) {}, true},
		"of another object":       {func(u *unstructured.Unstructured) { u.SetUID("another") }, false},
		"of one that is not seen": {func(u *unstructured.Unstructured) { u.SetName("other") }, false},
	} {
		w.autoscalers.entries[a].written = nil
		u := seen.DeepCopy()
		c.change(u)
		w.autoscalers.wrote(raw(u), contract.Status{})
		if known, _ := w.autoscalers.get(a); (known.written != nil) != c.want {
			t.Errorf("%s is taken: %v", name, known.written != nil)
		}
	}
}

// teller writes down what is told to people who are not looking.
type teller []fleet.News

func (t *teller) Tell(_ fleet.Autoscaler, e fleet.Event) { *t = append(*t, e.News) }

func TestRecorder_TellsTheNewsOfEvents(t *testing.T) {
	r, _, _ := recorderOf(t, object("ca", 1, target("app", "/app")))
	events, news := &told{}, &teller{}
	r.events, r.news = events, news
	a := fleet.Autoscaler{Namespace: "ns", Name: "ca"}
	slept, woken := fleet.News{Kind: fleet.Slept, Deployment: "app"}, fleet.News{Kind: fleet.Woken, Deployment: "app"}
	r.Event(a, fleet.Event{Reason: "Held"})
	r.Event(a, fleet.Event{Reason: "Settled", News: slept})
	r.Event(a, fleet.Event{News: woken}) // news alone is no event
	if diff := cmp.Diff(teller{slept, woken}, *news); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
	if len(*events) != 2 {
		t.Errorf("%d events, want 2", len(*events))
	}
}
