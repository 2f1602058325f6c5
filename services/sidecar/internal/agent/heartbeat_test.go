package agent

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// steady is a pod of which nothing changes but the requests that run.
type steady struct {
	world
	running float64
}

func (s *steady) Collect(context.Context) pod.Measurement {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := pod.New(time.Now())
	m.Set(pod.Memory, 20)
	m.Set(pod.InFlight, s.running)
	return m
}

func (s *steady) run(running float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
}

func TestRun_AQuietPodIsHeardAtItsHeartbeatAndAFirstRequestAtTheNextMeasurement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &steady{}
		s.began = time.Now()
		a := New(Options{
			Collector: s, Sender: s, Log: slog.New(slog.DiscardHandler),
			Schedule: schedule.Options{
				Interval: 5 * time.Second, FirstPause: time.Second, BackOffFirst: time.Second, BackOffLongest: 30 * time.Second,
				Random: func() float64 { return 0.5 }, DeadBand: schedule.DeadBand{Heartbeat: 15 * time.Second, Share: 0.05},
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); a.Run(ctx) }()
		time.Sleep(32 * time.Second)
		s.run(1)
		time.Sleep(13 * time.Second)
		synctest.Wait()
		want := []push{{0, 0, 0}, {11, 0, 11}, {26, 0, 26}, {36, 0, 36}} // measured at 0, 1, 6, 11, …
		if diff := cmp.Diff(want, s.seen()); diff != "" {
			t.Errorf("pushes (-want +got):\n%s", diff)
		}
		if err := a.Send(t.Context()); err != nil || len(s.seen()) != 5 {
			t.Errorf("on command what is no news is sent too: %v, %v", err, s.seen())
		}
		stop()
		<-ended
	})
}
