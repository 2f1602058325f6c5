package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func phases(t *testing.T, f *Fleet) (WakeUp, []string) {
	t.Helper()
	v, ok := f.View(key, at(100))
	if !ok || v.WakeUp == nil {
		t.Fatal("no wake-up is told")
	}
	var list []string
	for _, p := range v.WakeUp.Phases {
		list = append(list, p.Name)
	}
	return *v.WakeUp, list
}

func wake(f *Fleet, moment time.Time, r WakeReport) {
	seq := moment.UnixNano()
	_, _ = f.Report(Report{Balancer: "lb", StartedAt: day, Sequence: seq, Applications: []Traffic{{Key: key, WakeUps: []WakeReport{r}}}}, moment)
}

func bare(p *Pod) { notReady(p); p.Scheduled, p.Started, p.Address = false, false, "" }

func TestWakeUp_IsToldPhaseByPhase(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 1, at(0.001))
	f.Scaled(key, 1, 2, at(0.005))
	f.Called(key, 4, at(0.006))
	o := seen(1, pod("a", bare))
	o.Deployment.Version = 2
	f.Observe(o, at(0.02))
	o.Pods[0].Scheduled = true
	f.Observe(o, at(0.03))
	wake(f, at(0.04), WakeReport{ID: "trace", ArrivedAt: at(0), Outcome: Pending, Waited: 1})
	o.Pods = []Pod{pod("a", notReady)}
	f.Observe(o, at(0.2))
	o.Pods = []Pod{pod("a")}
	f.Observe(o, at(1.2))
	wake(f, at(1.3), WakeReport{ID: "trace", ArrivedAt: at(0), FirstProbe: at(0.25), FirstByte: at(0.26), Pod: "a", Waited: 3, Outcome: Answered})

	w, list := phases(t, f)
	want := []string{"Arrival", "StartCall", "Scaled", "PodCreated", "Scheduled", "ContainerStarted", "FirstGoodProbe", "FirstByte", "Ready"}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	if w.ID != "trace" || w.Outcome != Answered || w.Waited != 4 || w.Pod != "a" || !w.ArrivedAt.Equal(at(0)) {
		t.Errorf("got %+v", w)
	}
	if got := f.apps[key].starts.median(); got != 1199*time.Millisecond {
		t.Errorf("learned %v, want the time from the start call to ready", got)
	}
	if u, _ := f.Routes(""); u.Routes[0].ExpectedStart != 1199*time.Millisecond {
		t.Errorf("the route does not say how long a start takes: %v", u.Routes[0].ExpectedStart)
	}
}

func TestWakeUp_ScaledIsSeenInTheCacheFirst(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 1, at(0.001))
	o := seen(1)
	o.Deployment.Version = 2
	f.Observe(o, at(0.004))
	f.Scaled(key, 1, 2, at(0.005))
	if _, list := phases(t, f); !cmp.Equal(list, []string{"StartCall", "Scaled"}) {
		t.Errorf("got %v", list)
	}
}

func TestWakeUp_TheNextOneBeginsAnew(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 1, at(1))
	f.Scaled(key, 1, 2, at(1.1))
	wake(f, at(2), WakeReport{ID: "first", ArrivedAt: at(0.9), Outcome: Pending})
	f.Scaled(key, 0, 3, at(10)) // it went back to sleep, and nobody told how it ended
	f.Called(key, 1, at(20))
	f.Scaled(key, 1, 4, at(20.1))
	wake(f, at(21), WakeReport{ID: "second", ArrivedAt: at(19.9), Outcome: Pending})
	w, list := phases(t, f)
	if w.ID != "second" || !cmp.Equal(list, []string{"Arrival", "StartCall", "Scaled"}) || !w.Phases[1].At.Equal(at(20)) {
		t.Errorf("got %+v", w)
	}
}

func TestWakeUp_TheRequestThatCameFirstTellsTheStory(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 1, at(1))
	wake(f, at(2), WakeReport{ID: "b", ArrivedAt: at(0.9), Outcome: Pending})
	wake(f, at(3), WakeReport{ID: "later", ArrivedAt: at(0.95), Outcome: Pending})
	if w, _ := phases(t, f); w.ID != "b" {
		t.Errorf("got %s", w.ID)
	}
	wake(f, at(4), WakeReport{ID: "earlier", ArrivedAt: at(0.8), Outcome: Pending})
	if w, _ := phases(t, f); w.ID != "earlier" {
		t.Errorf("got %s", w.ID)
	}
}

func TestWakeUp_TakesTheTimesOfThePodThatAnswered(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 1, at(1))
	f.Scaled(key, 2, 2, at(1.1))
	o := seen(2, pod("a", bare))
	o.Deployment.Version = 2
	f.Observe(o, at(2))
	o.Pods = []Pod{pod("a", notReady), pod("b", bare)}
	f.Observe(o, at(3))
	o.Pods = []Pod{pod("a", notReady), pod("b")}
	f.Observe(o, at(4))
	wake(f, at(5), WakeReport{ID: "x", ArrivedAt: at(0.9), FirstByte: at(4.1), Pod: "b", Outcome: Answered})
	w, list := phases(t, f)
	want := []string{"Arrival", "StartCall", "Scaled", "PodCreated", "Scheduled", "ContainerStarted", "Ready", "FirstByte"}
	if !cmp.Equal(list, want) || !w.Phases[3].At.Equal(at(3)) || !w.Phases[6].At.Equal(at(4)) {
		t.Errorf("got %v\n%+v", list, w.Phases)
	}
}

func TestWakeUp_GoesOnWhenTheDeploymentHasChangedInOtherWays(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 1, now)
	f.Scaled(key, 0, 7, at(0.01)) // the first patch met a conflict: it is still at zero
	f.Scaled(key, 1, 8, at(0.02))
	f.Observe(seen(1, pod("a")), at(1))
	v, _ := f.View(key, at(1))
	if v.WakeUp == nil || v.ExpectedStart == 0 {
		t.Fatalf("got %+v, a start of %v", v.WakeUp, v.ExpectedStart)
	}
	for _, p := range v.WakeUp.Phases {
		if p.Name == "Scaled" && p.At.Equal(at(0.02)) {
			return
		}
	}
	t.Errorf("the wake-up lacks its scaling: %+v", v.WakeUp.Phases)
}
