package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// archive is an API server that keeps events, and how each was answered.
type archive struct {
	typedcorev1.EventInterface

	mu      sync.Mutex
	events  map[string]*corev1.Event
	answer  func(*corev1.Event) error
	written int
	counted int
	dropped map[string]int
}

func (a *archive) Events(string) typedcorev1.EventInterface { return a }

func (a *archive) Create(ctx context.Context, e *corev1.Event, _ metav1.CreateOptions) (*corev1.Event, error) {
	a.mu.Lock()
	answer := a.answer
	a.mu.Unlock()
	if answer != nil {
		if err := answer(e); errors.Is(err, context.DeadlineExceeded) {
			<-ctx.Done()
			return nil, ctx.Err()
		} else if err != nil {
			return nil, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.events[e.Name]; there {
		return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "events"}, e.Name)
	}
	a.events[e.Name] = e
	return e, nil
}

func (a *archive) Patch(_ context.Context, name string, _ types.PatchType, body []byte, _ metav1.PatchOptions, _ ...string) (*corev1.Event, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, there := a.events[name]
	if !there {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "events"}, name)
	}
	return e, json.Unmarshal(body, e)
}

func (a *archive) EventWritten(repeat bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if repeat {
		a.counted++
	} else {
		a.written++
	}
}

func (a *archive) EventDropped(why string, _ bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dropped[why]++
}

// now is how many events are written, and what was dropped so far, for those who look again later.
func (a *archive) now() (events int, dropped map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.events), maps.Clone(a.dropped)
}

// archived runs a test with events that go to an archive.
func archived(t *testing.T, test func(e *Events, a *archive)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &archive{events: map[string]*corev1.Event{}, dropped: map[string]int{}}
		test(newEvents(ctx, a, slog.New(slog.DiscardHandler), a), a)
		cancel()
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

func TestEvents_NoneThatMattersIsLost(t *testing.T) {
	archived(t, func(e *Events, a *archive) {
		for i := range 300 { // of one application, where client-go's recorder keeps 25
			e.Add(Event{About: of("app"), Reason: "Scaled", Message: fmt.Sprintf("%d → %d", i, i+1)})
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if len(a.events) != 300 || a.written != 300 || len(a.dropped) > 0 {
			t.Errorf("%d of 300 are written, dropped %v", len(a.events), a.dropped)
		}
		for name, event := range a.events {
			if !strings.HasPrefix(name, "app.") || event.Type != "Normal" || event.Count != 1 || event.InvolvedObject.Name != "app" || event.Namespace != "ns" {
				t.Fatalf("%s: %+v", name, event)
			}
		}
	})
}

func TestEvents_ARepeatIsCountedOnTheOneThatStands(t *testing.T) {
	archived(t, func(e *Events, a *archive) {
		for range 600 {
			e.Add(Event{About: of("app"), Warning: true, Reason: "ScaleFailed", Message: "a quota"})
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.events) != 1 || a.counted > 61 {
			t.Errorf("%d are written, counted %d times", len(a.events), a.counted)
		}
		for _, event := range a.events {
			if event.Count != 600 || event.Type != "Warning" || event.LastTimestamp.Sub(event.FirstTimestamp.Time) < 598*time.Second {
				t.Errorf("%+v", event)
			}
		}
		clear(a.events) // an hour later the API server has forgotten it
		e.Add(Event{About: of("app"), Warning: true, Reason: "ScaleFailed", Message: "a quota"})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.events) != 1 {
			t.Errorf("%d are written anew", len(a.events))
		}
	})
}

func TestEvents_OutliveAnAPIServerThatIsAway(t *testing.T) {
	for name, err := range map[string]error{"refuses connections": errors.New("connection refused"), "hangs": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			archived(t, func(e *Events, a *archive) {
				a.answer = func(*corev1.Event) error { return err }
				for i := range 100 {
					e.Add(Event{About: of(fmt.Sprint("app-", i)), Reason: "Scaled", Message: "0 → 1"})
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := e.Waiting(); n != 100 {
					t.Errorf("%d wait", n)
				}
				a.mu.Lock()
				a.answer = nil
				a.mu.Unlock()
				time.Sleep(2 * lastEventPause)
				synctest.Wait()
				if len(a.events) != 100 || e.Waiting() != 0 {
					t.Errorf("%d are written, %d wait", len(a.events), e.Waiting())
				}
			})
		})
	}
}

func TestEvents_WhatIsNeverTakenHoldsUpNothing(t *testing.T) {
	archived(t, func(e *Events, a *archive) {
		a.answer = func(event *corev1.Event) error {
			switch event.Reason {
			case "Gone":
				return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "ns")
			case "Forbidden":
				return apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "", errors.New("no rule"))
			default:
				return nil
			}
		}
		for _, reason := range []string{"Gone", "Forbidden", "Scaled"} {
			e.Add(Event{About: of("app"), Reason: reason})
		}
		synctest.Wait()
		if events, dropped := a.now(); events != 1 || dropped[DroppedRefused] != 1 {
			t.Errorf("%d are written, dropped %v", events, dropped)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if a.dropped[DroppedFailed] != 1 || e.Waiting() != 0 {
			t.Errorf("dropped %v, %d wait", a.dropped, e.Waiting())
		}
	})
}

func TestEvents_WhatIsLeftAtTheEndIsStillSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &archive{events: map[string]*corev1.Event{}, dropped: map[string]int{}}
		a.answer = func(*corev1.Event) error { time.Sleep(100 * time.Millisecond); return nil }
		e := newEvents(ctx, a, slog.New(slog.DiscardHandler), a)
		for i := range 40 {
			e.Add(Event{About: of(fmt.Sprint(i)), Reason: "Scaled"})
		}
		cancel()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(a.events) != 40 {
			t.Errorf("%d of 40 are written", len(a.events))
		}
	})
}
