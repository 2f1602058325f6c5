package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/controller"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

// asleep is the prefix of an application without pods.
const asleep = "/asleep"

// freshRounds is enough for memory, which depends on no neighbour.
const freshRounds = 3

// bench is one run of the benchmark.
type bench struct {
	options
	out     io.Writer
	book    *report.Book
	site    peer.Site
	backend *backend.Backend
	chosen  []peer.Proxy
	running map[string]*peer.Running
	now     string  // the scenario under way
	half    float64 // requests a second of the scenario half, once it is known
}

func measure(ctx context.Context, w io.Writer, o options) (err error) {
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	scenarios, err := o.chosenScenarios()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	b := &bench{options: o, out: w, chosen: chosen, running: map[string]*peer.Running{}}
	b.book = report.NewBook(scenarioNames(scenarios), peer.Names(chosen))
	if err := b.setUp(life); err != nil {
		return err
	}
	control, err := controller.Start(life, controller.Options{
		Prefix: load.Prefix, Backend: b.site.Backend, PrefixGRPC: load.Service, BackendGRPC: b.site.BackendH2, Asleep: asleep,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	b.site.Controller = control.URL()
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.withoutProxy(ctx); err != nil {
		return err
	}
	for _, s := range scenarios {
		if err := b.scenario(ctx, s); err != nil {
			return err
		}
		b.book.Table(w, s.name, s.about)
	}
	b.book.Targets(w)
	fmt.Fprintln(w, "\nWhat is ours speaks clear text with its controller, without tokens:", strings.Join(peer.Unguarded, " "))
	return b.book.Write(b.options.out)
}

// setUp makes what all proxies share.
func (b *bench) setUp(ctx context.Context) error {
	if err := os.MkdirAll(b.work, 0o700); err != nil {
		return err
	}
	b.site = peer.Site{Dir: b.work, CPU: proxyCPU}
	var err error
	if b.backend, err = backend.Start(ctx); err != nil {
		return err
	}
	b.site.Backend = b.backend.Addr().String()
	if b.site.BackendH2, err = b.backend.StartGRPC(ctx); err != nil {
		return err
	}
	b.site.Certificate, b.site.Key, err = certificate(b.work)
	return err
}

// withoutProxy shows what load and backend can do on their core: a proxy that comes near it was not
// measured at its limit.
func (b *bench) withoutProxy(ctx context.Context) error {
	result, err := load.Run(ctx, load.Plan{Addr: b.backend.Addr(), Connections: 32, Request: post, Warm: warm, For: time.Second})
	if err != nil {
		return err
	}
	b.book.Direct = float64(result.Requests) / result.Took.Seconds()
	fmt.Fprintf(b.out, "without a proxy: %.0f requests a second\n", b.book.Direct)
	return nil
}

func (b *bench) stop() error {
	faults := make([]error, 0, len(b.running))
	for _, r := range b.running {
		faults = append(faults, r.Stop())
	}
	clear(b.running)
	return errors.Join(faults...)
}

// scenario measures every proxy in every round. A proxy that fails is left out from then on.
func (b *bench) scenario(ctx context.Context, s scenario) error {
	b.now = s.name
	rounds := b.rounds
	if s.fresh {
		rounds = min(rounds, freshRounds)
	}
	for round := range rounds {
		for i := range b.chosen {
			p := b.chosen[(i+round)%len(b.chosen)] // another one begins each time
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if b.book.Failure(s.name, p.Name()) != "" {
				continue
			}
			sample, err := b.one(ctx, s, p)
			if errors.Is(err, errCannot) {
				b.book.Fail(s.name, p.Name(), err.Error())
				continue
			}
			if err != nil {
				b.book.Fail(s.name, p.Name(), err.Error())
				fmt.Fprintf(b.out, "%s, %s: %v\n", s.name, p.Name(), err)
				continue
			}
			b.book.Add(s.name, p.Name(), sample)
		}
		fmt.Fprintf(b.out, "%s: round %d of %d\n", s.name, round+1, rounds)
	}
	return nil
}

var errCannot = errors.New("the proxy cannot do this")

// one is one measurement of one proxy.
func (b *bench) one(ctx context.Context, s scenario, p peer.Proxy) (report.Sample, error) {
	r, err := b.start(ctx, p, s.fresh)
	if err != nil {
		return nil, err
	}
	if s.can != nil && !s.can(r.Command) {
		return nil, errCannot
	}
	if r.Ending() {
		delete(b.running, p.Name())
		return nil, errors.New("it has ended")
	}
	return s.measure(ctx, b, r)
}

// start starts a proxy unless it runs, or in any case if it is to be fresh.
func (b *bench) start(ctx context.Context, p peer.Proxy, fresh bool) (*peer.Running, error) {
	if r := b.running[p.Name()]; r != nil {
		if !fresh {
			return r, nil
		}
		delete(b.running, p.Name())
		if err := r.Stop(); err != nil {
			return nil, err
		}
	}
	r, err := peer.Start(ctx, p, b.site)
	if err != nil {
		return nil, err
	}
	b.running[p.Name()] = r
	return r, nil
}

func (o options) chosen() ([]peer.Proxy, error) {
	all := peer.All(o.binaries)
	switch {
	case o.proxies != "":
		return peer.Choose(all, o.proxies)
	case o.quick:
		return peer.Choose(all, quickProxies)
	}
	return all, nil
}

func (o options) chosenScenarios() ([]scenario, error) {
	names := o.scenarios
	if names == "" && o.quick {
		names = quickScenarios
	}
	if names == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range splitNames(names) {
		at := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if at < 0 {
			return nil, fmt.Errorf("scenarios: %q is not allowed: must be some of %v", name, scenarioNames(scenarios))
		}
		chosen = append(chosen, scenarios[at])
	}
	return chosen, nil
}
