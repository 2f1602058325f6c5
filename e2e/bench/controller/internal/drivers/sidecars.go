package drivers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

const (
	pushEvery   = 5 * time.Second
	pushTick    = 10 * time.Millisecond
	pushWorkers = 32
)

// Values that sidecars push, in millicores: a pod is added above 700, and none is removed at these.
const (
	usual = 600
	Hot   = 9000 // takes the mean over ten pods above the threshold
)

// Sidecars push what pods use, each every five seconds.
type Sidecars struct {
	service *Service
	client  *http.Client
	work    chan objects.Pod
	running sync.WaitGroup
	stop    context.CancelFunc

	sent, failed atomic.Int64
	Latency      Latencies // of a push
}

// StartSidecars starts one for each pod.
func StartSidecars(ctx context.Context, pods []objects.Pod, service *Service) *Sidecars {
	ctx, stop := context.WithCancel(ctx)
	s := &Sidecars{service: service, client: newHTTP(2*pushWorkers, nil), work: make(chan objects.Pod, pushWorkers), stop: stop}
	for range pushWorkers {
		s.running.Go(func() {
			for p := range s.work {
				_ = s.Push(ctx, p, usual-20+rand.IntN(40))
			}
		})
	}
	s.running.Go(func() { s.schedule(ctx, pods) })
	return s
}

// schedule hands out the pods that are due, spread evenly over the time.
func (s *Sidecars) schedule(ctx context.Context, pods []objects.Pod) {
	defer close(s.work)
	ticks := time.NewTicker(pushTick)
	defer ticks.Stop()
	began, done := time.Now(), 0
	for len(pods) > 0 {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		for due := int(float64(len(pods)) * time.Since(began).Seconds() / pushEvery.Seconds()); done < due; done++ {
			select {
			case s.work <- pods[done%len(pods)]:
			case <-ctx.Done():
				return
			}
		}
	}
	<-ctx.Done()
}

// Push pushes one value of a pod.
func (s *Sidecars) Push(ctx context.Context, p objects.Pod, millicores int) error {
	address := s.service.Address()
	began := time.Now()
	status, answer, err := post(ctx, s.client, "http://"+address+"/metrics", fmt.Appendf(nil,
		`{"podName":%q,"namespace":%q,"metrics":{"cpuUsage":%d.5,"memoryUsage":%d.2,"diskUsage":0.5,"responseTime":38.4}}`,
		p.Name(), p.App.Namespace, millicores, 900+rand.IntN(20)))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("push: status %d: %s", status, answer)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.failed.Add(1)
			s.service.Failed(address)
		}
		return err
	}
	s.sent.Add(1)
	s.Latency.Add(time.Since(began))
	return nil
}

// Sent is how many pushes were taken, and how many were not.
func (s *Sidecars) Sent() (taken, failed int64) { return s.sent.Load(), s.failed.Load() }

// Stop ends them.
func (s *Sidecars) Stop() {
	s.stop()
	s.running.Wait()
}
