package control

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var key = fleet.Key{Namespace: "default", Deployment: "fib"}

// world is a cluster that does what it is told, a recorder and an observer that write down.
type world struct {
	mu       sync.Mutex
	scale    fleet.Scale
	scaled   []int32
	fail     error
	slow     time.Duration
	events   []fleet.Event
	status   [][]fleet.Target
	missing  string
	awaited  []string // who reported to the leader before
	loop     *Loop
	lead     context.CancelFunc
	seq      int64
	spec     func(*scaling.Spec) // changes what the user asks for; nil changes nothing
	manager  string              // who owns the count now
	keep     bool                // onDelete is Keep
	restored []fleet.Event       // of Deployments
	worked   []time.Duration     // of its own, in start calls

	marks  map[string]fleet.Marking // as they stand on the pods
	refuse error                    // what marking answers
	tried  int                      // how often it was tried
}

func (w *world) Scale(ctx context.Context, _ fleet.Key, from fleet.Scale, to int32) (fleet.Scale, error) {
	if w.slow > 0 {
		select {
		case <-time.After(w.slow):
		case <-ctx.Done():
			return fleet.Scale{}, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return fleet.Scale{}, w.fail
	}
	if from.Replicas != w.scale.Replicas {
		return w.scale, fleet.ErrMoved
	}
	w.scale = fleet.Scale{Replicas: to, Version: w.scale.Version + 1}
	w.manager = fleet.FieldManager
	w.scaled = append(w.scaled, to)
	return w.scale, nil
}

func (w *world) Mark(_ context.Context, _ fleet.Key, list []fleet.Marking) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tried++
	if w.refuse != nil {
		return w.refuse
	}
	for _, m := range list {
		if w.marks == nil {
			w.marks = map[string]fleet.Marking{}
		}
		w.marks[m.Pod] = m
	}
	return nil
}

func (w *world) Event(_ fleet.Autoscaler, e fleet.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) Restored(_ fleet.Key, e fleet.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restored = append(w.restored, e)
}

// set is somebody else who sets the count, and what the cluster then says.
func (w *world) set(replicas int32, manager string, pods ...fleet.Pod) {
	w.mu.Lock()
	w.scale = fleet.Scale{Replicas: replicas, Version: w.scale.Version + 1}
	w.manager = manager
	w.mu.Unlock()
	w.observe(pods...)
}

func (w *world) Status(_ fleet.Autoscaler, targets []fleet.Target) (fleet.StatusChange, error) {
	return fleet.StatusChange{Write: func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.status = append(w.status, targets)
		return nil
	}}, nil
}

func (w *world) Deciding(ctx context.Context, _ fleet.Key, _ scaling.Decision) (context.Context, string, func(fleet.Record)) {
	return ctx, "trace", func(fleet.Record) {}
}
func (w *world) Decided(fleet.Record)                {}
func (w *world) Settled(int32, int32, time.Duration) {}
func (w *world) Started(time.Duration, bool, error)  {}
func (w *world) Delayed(time.Duration)               {}
func (w *world) Waited(time.Duration)                {}
func (w *world) Worked(took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worked = append(w.worked, took)
}
func (w *world) StatusDone(StatusResult) {}

// lacks is what the picture still lacks, as miss last said.
func (w *world) lacks() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missing
}

func (w *world) miss(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing = what
}

func (w *world) before() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.awaited
}

func (w *world) get() (int32, []int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scale.Replicas, slices.Clone(w.scaled)
}

// observe tells the loop how the cluster stands.
func (w *world) observe(pods ...fleet.Pod) {
	w.mu.Lock()
	o := fleet.Observation{
		Key: key, Autoscaler: "fib", Since: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		Spec:       scaling.Spec{MaxReplicas: 3, IdleTime: 30 * time.Second, WakeUpTimeout: time.Minute},
		Deployment: fleet.Deployment{Found: true, UID: "u", Version: w.scale.Version, Created: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), Replicas: w.scale.Replicas, Manager: w.manager},
		Pods:       pods, Restore: !w.keep,
	}
	if w.spec != nil {
		w.spec(&o.Spec)
	}
	w.mu.Unlock()
	w.loop.Observe(o)
}

func (w *world) observeReady() { w.observe(fleet.Pod{Name: "a", Ready: true, Address: "10.0.0.1:80"}) }

// report is a load balancer's report, as of now.
func (w *world) report(change func(*fleet.Report)) {
	w.seq++
	r := fleet.Report{Balancer: "lb", StartedAt: time.Now().Add(-time.Minute * 10), Sequence: w.seq, Applications: []fleet.Traffic{{Key: key}}}
	r.StartedAt = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if change != nil {
		change(&r)
	}
	w.loop.Report(r)
}

// heartbeat reports every second, following the routes, until ctx ends.
func (w *world) heartbeat(ctx context.Context, change func(*fleet.Report)) {
	for ctx.Err() == nil {
		u, changed := w.loop.Fleet.Routes("")
		w.report(func(r *fleet.Report) {
			r.RoutesVersion = u.Version
			if change != nil {
				change(r)
			}
		})
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(time.Second):
		}
	}
}

// within runs a test in a bubble of time, with a loop that leads.
func within(t *testing.T, replicas int32, test func(ctx context.Context, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{scale: fleet.Scale{Replicas: replicas, Version: 10}}
		w.loop = New(Options{
			Fleet: fleet.New("e"), Scaler: w, Marker: w, Recorder: w, Observer: w, Log: slog.New(slog.DiscardHandler),
			Epoch: "e", Missing: w.lacks, Awaited: w.before, Autoscalers: func() []fleet.Autoscaler { return []fleet.Autoscaler{{Namespace: key.Namespace, Name: "fib"}} },
		})
		var running sync.WaitGroup
		running.Go(func() { w.loop.Run(ctx) })
		term, lose := context.WithCancel(ctx)
		w.lead = lose
		running.Go(func() { w.loop.Lead(term) })
		synctest.Wait()
		if replicas > 0 {
			w.observeReady()
		} else {
			w.observe()
		}
		test(ctx, w)
		cancel()
		lose()
		running.Wait()
	})
}

func (w *world) expect(t *testing.T, what string, want ...int32) {
	t.Helper()
	synctest.Wait()
	if _, scaled := w.get(); !slices.Equal(scaled, want) {
		t.Errorf("%s: scaled to %v, want %v", what, scaled, want)
	}
}
