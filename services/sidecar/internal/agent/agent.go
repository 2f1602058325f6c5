// Package agent runs the schedule: it has the pod measured and the measurements sent when they are
// due or when a command comes, in one loop, so that nothing here happens twice at once. Where
// values come from and go to stands behind the two ports that it declares.
package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// Collector measures the pod. It never fails: what cannot be measured is missing.
type Collector interface {
	Collect(ctx context.Context) pod.Measurement
}

// Sender brings a measurement of this age to the controller. The error may be a
// schedule.RefusedError or a schedule.BusyError.
type Sender interface {
	Send(ctx context.Context, m pod.Measurement, age time.Duration) error
}

// Options say what the agent works with.
type Options struct {
	Collector Collector
	Sender    Sender
	Schedule  schedule.Options
	Log       *slog.Logger
	Rest      func() // called when nothing is to be done for a while; nil: nothing
}

// State is the last measurement, and what became of all of them.
type State struct {
	Measurement pod.Measurement
	Measured    bool // once at least
	Delivery    schedule.Delivery
}

// Agent measures and sends.
type Agent struct {
	o        Options
	commands chan command
	ended    chan struct{}

	mu    sync.Mutex
	state State
}

// command asks for a measurement now, and to send it too.
type command struct {
	send bool
	done chan error
}

// New makes an agent; Run has it work.
func New(o Options) *Agent {
	return &Agent{o: o, commands: make(chan command), ended: make(chan struct{})}
}

// State is what is known now.
func (a *Agent) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// Collect measures now. The values go out with the next push.
func (a *Agent) Collect(ctx context.Context) error { return a.command(ctx, false) }

// Send measures now and sends it. The error says why it was not taken.
func (a *Agent) Send(ctx context.Context) error { return a.command(ctx, true) }

func (a *Agent) command(ctx context.Context, send bool) error {
	c := command{send: send, done: make(chan error, 1)}
	select {
	case a.commands <- c:
	case <-a.ended:
		return errEnding
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnding = fault.New(fault.Unavailable, "the sidecar ends").After(time.Second)

// Run works until ctx ends. What waits then is lost with the pod, which ends too.
func (a *Agent) Run(ctx context.Context) {
	defer close(a.ended)
	s := schedule.New(a.o.Schedule, time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-a.commands:
			c.done <- a.obey(ctx, s, c)
		case <-timer.C:
		}
		timer.Reset(a.work(ctx, s))
	}
}

// work does what is due, and returns how long nothing will be.
func (a *Agent) work(ctx context.Context, s *schedule.Schedule) time.Duration {
	for ctx.Err() == nil {
		step := s.Next(time.Now())
		a.o.Log.Debug("step", "do", step.Do.String(), "why", step.Why, "wait", step.Wait)
		switch step.Do {
		case schedule.Collect:
			a.collect(ctx, s)
		case schedule.Send:
			_ = a.send(ctx, s) // noted in the schedule, which tries again
		case schedule.Wait:
			if a.o.Rest != nil {
				a.o.Rest()
			}
			return step.Wait
		}
	}
	return 0
}

func (a *Agent) obey(ctx context.Context, s *schedule.Schedule, c command) error {
	if !c.send {
		s.Hold()
		a.collect(ctx, s)
		return nil
	}
	s.SendNow(time.Now())
	a.collect(ctx, s)
	return a.send(ctx, s)
}

func (a *Agent) collect(ctx context.Context, s *schedule.Schedule) {
	m := a.o.Collector.Collect(ctx)
	s.Collected(m, time.Now())
	a.mu.Lock()
	a.state.Measurement, a.state.Measured = m, true
	a.mu.Unlock()
	a.publish(s)
}

// send sends the measurement that waits.
func (a *Agent) send(ctx context.Context, s *schedule.Schedule) error {
	m, ok := s.Newest()
	if !ok {
		return nil
	}
	before := s.Delivery()
	err := a.o.Sender.Send(ctx, m, max(time.Since(m.At), 0))
	if ctx.Err() != nil {
		return ctx.Err() // cut short by our own end, which says nothing of the controller
	}
	s.Sent(err, time.Now())
	a.publish(s)
	switch {
	case err != nil && before.LastError == "":
		a.o.Log.Warn("not sent", "error", err)
	case err == nil && before.LastError != "":
		a.o.Log.Info("sent again", "missed", s.Delivery().Dropped)
	}
	return err
}

func (a *Agent) publish(s *schedule.Schedule) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Delivery = s.Delivery()
}
