// Package app puts the sidecar together: New wires every part in a straight line, Run works until its
// context ends. Nothing is decided here. A test boots it on port 0.
//
// It ends at once, also in the middle of a push: the pod ends with it, and must not be held up by
// what only watches it.
package app

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/figures"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/logs"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/agent"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/footprint"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
)

const (
	jitter       = 0.1
	firstPause   = time.Second
	backOffFirst = time.Second
	drainTimeout = time.Second
	restEvery    = time.Minute
)

// App is one sidecar.
type App struct {
	log     *slog.Logger
	figures figures.Source
	agent   *agent.Agent
	server  *httpserver.Server // nil: without an API of its own
	rested  time.Time          // the last time; of the agent's goroutine alone
}

// New makes a sidecar and takes its port, if it may have one. The log goes to out.
func New(ctx context.Context, s Settings, out io.Writer) (*App, error) {
	log := logs.Start("sidecar", level(s.LogLevel), out)
	token := bearer.New(bearer.Options{File: s.TokenFile, Log: log})
	authorities := s.Encryption.NewAuthorities()
	s.Encryption.Warn(log, s.ControllerURL)
	encrypted := s.Encryption.NewFigures(nil, authorities, nil, s.ControllerURL)
	sender, err := send.New(s.ControllerURL, send.Pod{Namespace: s.PodNamespace, Name: s.PodName}, s.validFor(),
		send.Way{Wrap: token.To("the autoscaler-controller"), Authorities: authorities})
	if err != nil {
		return nil, err
	}
	a := &App{log: log}
	a.agent = agent.New(agent.Options{
		Collector: collect.New(collect.Options{
			Source: s.UsageFrom, Cgroups: os.DirFS(s.CgroupRoot), Proc: os.DirFS(s.ProcRoot), PodUID: s.PodUID,
			DiskPaths: s.diskPaths(), PageURLs: split(s.AppMetricsURL), Log: log,
			GPUs: gpus(), PodGPUs: gpu.Pod{GPUs: s.GPUs, Visible: s.visibleGPUs},
		}),
		Sender: sender,
		Schedule: schedule.Options{
			Interval: s.Interval, Jitter: jitter, FirstPause: min(firstPause, s.Interval),
			BackOffFirst: min(backOffFirst, s.BackOffLongest), BackOffLongest: s.BackOffLongest,
			Random: rand.Float64, DeadBand: schedule.DeadBand{Heartbeat: s.Heartbeat, Share: float64(s.DeadBand) / 100},
		},
		Log:  log,
		Rest: a.rest,
	})
	a.figures = func() []figures.Family {
		return slices.Concat([]figures.Family{figures.Build("sidecar")}, token.Figures(), encrypted(), measuredBy(a.agent))
	}
	a.server = a.listen(ctx, s, func() []string { return slices.Concat(token.Trouble(), s.unencrypted(authorities)) })
	return a, nil
}

// rest makes room for the application while there is nothing to do: after the start, and now and then. What is needed
// again comes back page by page, which is half a millisecond of work.
func (a *App) rest() {
	if time.Since(a.rested) < restEvery {
		return
	}
	a.rested = time.Now()
	if err := footprint.Release(); err != nil {
		a.log.Debug("memory is not given back", "error", err)
	}
}

// Run works until ctx ends.
func (a *App) Run(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	defer end()
	var working sync.WaitGroup
	working.Go(func() { a.agent.Run(life) })
	var fault error
	if a.server != nil {
		a.log.Info("serving", "address", a.server.Addr().String())
		fault = a.server.Run(ctx)
	} else {
		<-ctx.Done()
	}
	end()
	working.Wait()
	a.log.Info("ended")
	return fault
}
