package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
)

// How events are made: so many that they cost some seconds of CPU, or that what else goes on is little
// beside them.
const (
	eventBudget  = 6 * time.Second
	quickBudget  = 2 * time.Second
	fewestEvents = 5
	mostEvents   = 300
	eventPace    = 20 * time.Millisecond // at least between two
	firstEvents  = 3                     // tell what one costs about
	drainWithin  = 20 * time.Second
)

// event makes the i-th event of a kind.
type event func(ctx context.Context, i int) error

// events are those that do not need pods.
func (b *bench) events(ctx context.Context, r *report.Run) error {
	on := func(i int) objects.App { return b.asleep[i%len(b.asleep)] }
	kinds := map[string]event{
		"annotation": func(ctx context.Context, i int) error {
			return b.server.Patch(ctx, on(i).AutoscalerPath(), objects.Annotation(i))
		},
		"status": func(ctx context.Context, i int) error {
			return b.server.Patch(ctx, on(i).AutoscalerPath()+"/status", fmt.Appendf(nil, `{"status":{"message":"touched %d times"}}`, i))
		},
		"deployment": func(ctx context.Context, i int) error {
			return b.server.Patch(ctx, on(i).DeploymentPath(), objects.Annotation(i))
		},
	}
	for _, kind := range []string{"annotation", "status", "deployment"} {
		if err := b.cost(ctx, r, kind, kinds[kind]); err != nil {
			return err
		}
	}
	return nil
}

// podEvents are those of pods.
func (b *bench) podEvents(ctx context.Context, r *report.Run) error {
	on := func(i int) objects.Pod { return b.pods[i%len(b.pods)] }
	foreign := objects.Pod{App: objects.App{Namespace: objects.New(0).Namespace, Name: "nobody"}}
	if err := b.server.Create(ctx, foreign.PodsPath(), foreign.Body()); err != nil {
		return err
	}
	kinds := map[string]event{
		"pod": func(ctx context.Context, i int) error {
			return b.server.Patch(ctx, on(i).Path(), objects.Annotation(i))
		},
		"foreign": func(ctx context.Context, i int) error {
			return b.server.Patch(ctx, foreign.Path(), objects.Annotation(i))
		},
		// Every pod falls once and comes back, so that all are ready in the end.
		"readiness": func(ctx context.Context, i int) error {
			p := on(i / 2)
			return b.server.Patch(ctx, p.Path()+"/status", p.Status(i%2 == 1))
		},
	}
	for _, kind := range []string{"pod", "foreign", "readiness"} {
		if err := b.cost(ctx, r, kind, kinds[kind]); err != nil {
			return err
		}
	}
	return nil
}

// cost is the CPU time of one event: over what would have been used without.
func (b *bench) cost(ctx context.Context, r *report.Run, kind string, make event) error {
	if _, err := b.settle(ctx); err != nil {
		return err
	}
	rest, err := b.use(ctx, 2*b.look())
	if err != nil {
		return err
	}
	about, err := b.spend(ctx, rest, 0, firstEvents+1, 10*eventPace, make)
	if err != nil {
		return err
	}
	budget, most := eventBudget, mostEvents
	if b.quick {
		budget, most = quickBudget, mostEvents/3
	}
	n := min(max(int(budget/max(about, time.Microsecond)), fewestEvents), most)
	n += n % 2
	one, err := b.spend(ctx, rest, firstEvents+1, n, max(eventPace, 2*about), make)
	r.Set(report.Event(kind), max(one.Seconds()*1000, 0))
	return err
}

// spend makes n events, paced, waits until they are worked off, and returns the CPU time of each.
func (b *bench) spend(ctx context.Context, rest float64, first, n int, pace time.Duration, make event) (time.Duration, error) {
	before, err := b.leader.CPU()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * pace)
		pause(ctx, time.Until(due))
		if err := make(ctx, first+i); err != nil {
			return 0, err
		}
	}
	for drained := time.Now().Add(drainWithin); time.Now().Before(drained); {
		share, err := b.use(ctx, b.look()/4)
		if err != nil {
			return 0, err
		}
		if share < 1.2*rest+0.05 {
			break
		}
	}
	after, err := b.leader.CPU()
	over := float64(after-before) - rest*float64(time.Since(began))
	return time.Duration(over / float64(n)), err
}
