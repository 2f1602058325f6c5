package main

import (
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
)

// size measures everything at one size.
func (b *bench) size(ctx context.Context, r *report.Run) (err error) {
	if err := b.grow(ctx, r.Applications); err != nil {
		return err
	}
	if err := b.day(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := b.serve(ctx); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, b.close())
		if !b.last && err == nil {
			err = b.clear(ctx)
		}
	}()
	r.Set(report.ReadyTime, time.Since(began).Seconds())
	stages := []struct {
		name string
		do   func(context.Context, *report.Run) error
	}{
		{"until it is quiet", b.quiet}, {"at rest", b.atRest}, {"events", b.events}, {"pods", b.knowPods}, {"events of pods", b.podEvents},
		{"under load", b.underLoad}, {"the leader is killed", b.killed}, {"the leader ends", b.ended},
	}
	for _, s := range stages {
		b.say("%d applications: %s", r.Applications, s.name)
		if err := s.do(ctx, r); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// grow makes applications, asleep, until there are n.
func (b *bench) grow(ctx context.Context, n int) error {
	b.say("%d applications: making objects", n)
	if err := b.server.Spread(subjectCPU); err != nil {
		return err
	}
	names := objects.Namespaces(n)
	err := apiserver.Parallel(ctx, len(names), func(ctx context.Context, i int) error {
		return b.server.Create(ctx, "/api/v1/namespaces", objects.Namespace(names[i]))
	})
	if err != nil {
		return err
	}
	from := b.made
	err = apiserver.Parallel(ctx, n-from, func(ctx context.Context, i int) error {
		a := objects.New(from + i)
		return errors.Join(b.server.Create(ctx, a.DeploymentsPath(), a.Deployment()), b.server.Create(ctx, a.AutoscalersPath(), a.Autoscaler()))
	})
	if err != nil {
		return err
	}
	b.made = n
	apps := make([]objects.App, n)
	for i := range apps {
		apps[i] = objects.New(i)
	}
	awake := max(n/awakeOf, 1)
	b.perApp = max(min(n*b.build.podsOf, b.options.pods)/awake, 1)
	b.awake, b.asleep, b.next, b.pods, b.restless = apps[:awake], apps[awake:], 0, nil, false
	return b.server.Gather()
}

// clear removes the pods and puts every Deployment back to zero.
func (b *bench) clear(ctx context.Context) error {
	if err := b.server.Spread(subjectCPU); err != nil {
		return err
	}
	names := objects.Namespaces(b.made)
	err := apiserver.Parallel(ctx, len(names), func(ctx context.Context, i int) error {
		return b.server.Drop(ctx, objects.PodsBelow(names[i]))
	})
	if err != nil {
		return err
	}
	return apiserver.Parallel(ctx, b.made, func(ctx context.Context, i int) error {
		return b.scale(ctx, objects.New(i), 0)
	})
}

// knowPods makes the pods of those that are awake; what the controller holds more for it.
func (b *bench) knowPods(ctx context.Context, r *report.Run) error {
	before, err := b.leader.Memory(ctx)
	if err != nil {
		return err
	}
	err = apiserver.Parallel(ctx, len(b.awake), func(ctx context.Context, i int) error {
		return b.scale(ctx, b.awake[i], b.perApp)
	})
	if err != nil {
		return err
	}
	for _, a := range b.awake {
		for i := range b.perApp {
			b.pods = append(b.pods, objects.Pod{App: a, Index: i, Owned: true})
		}
	}
	if err := b.server.Spread(subjectCPU); err != nil {
		return err
	}
	err = apiserver.Parallel(ctx, len(b.pods), func(ctx context.Context, i int) error {
		return b.server.Put(ctx, b.pods[i].Key(), b.pods[i].Stored())
	})
	if err != nil {
		return err
	}
	if err := b.server.Gather(); err != nil {
		return err
	}
	if _, err := b.settle(ctx); err != nil {
		return err
	}
	after, err := b.leader.Memory(ctx)
	if err != nil {
		return err
	}
	n := float64(len(b.pods)) * 1024
	r.Set(report.PodRSS, (after.RSS-before.RSS)/n)
	r.Set(report.PodHeap, (after.Live-before.Live)/n)
	r.Pods = len(b.pods)
	return nil
}

// scale has a Deployment ask for so many pods, in the name of the product: what the driver sets back is no
// contest then.
func (b *bench) scale(ctx context.Context, a objects.App, replicas int) error {
	return b.server.Apply(ctx, a.ScalePath(), objects.Manager, a.Scale(replicas))
}
