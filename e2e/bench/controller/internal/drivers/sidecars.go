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
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/tokens"
)

const (
	pushEvery   = 5 * time.Second
	pushTick    = 10 * time.Millisecond
	pushWorkers = 32
	collectors  = 10 // one for each node
)

// Values that sidecars push, in millicores: a pod is added above 700, and none is removed at these.
const (
	usual = 600
	Hot   = 60000 // takes the mean over a hundred pods far above the threshold
)

// Sidecars push what pods use, each every five seconds: by themselves, or through collectors that send
// batches once a second.
type Sidecars struct {
	service *Service
	client  *http.Client
	work    chan []objects.Pod
	running sync.WaitGroup
	stop    context.CancelFunc

	sent, failed atomic.Int64
	batches      atomic.Int64
	Latency      Latencies // of a push, or of a batch
}

// StartSidecars starts one for each pod. With a batch of 0 each pushes by itself.
func StartSidecars(ctx context.Context, pods []objects.Pod, service *Service, batch int) *Sidecars {
	ctx, stop := context.WithCancel(ctx)
	s := &Sidecars{service: service, client: service.client(2*pushWorkers, nil), work: make(chan []objects.Pod, pushWorkers), stop: stop}
	for range pushWorkers {
		s.running.Go(func() {
			for list := range s.work {
				if batch > 0 {
					_ = s.pushBatch(ctx, list) // counted
				} else {
					_ = s.Push(ctx, list[0], ordinary()) // likewise
				}
			}
		})
	}
	tick := pushTick
	if batch > 0 {
		tick = time.Second
	}
	s.running.Go(func() { s.schedule(ctx, pods, tick, max(batch, 1)) })
	return s
}

func ordinary() int { return usual - 20 + rand.IntN(40) }

// schedule hands out the pods that are due, spread evenly over the time.
func (s *Sidecars) schedule(ctx context.Context, pods []objects.Pod, tick time.Duration, most int) {
	defer close(s.work)
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	began, done := time.Now(), 0
	for len(pods) > 0 {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		due := int(float64(len(pods)) * time.Since(began).Seconds() / pushEvery.Seconds())
		for done < due {
			list := make([]objects.Pod, min(due-done, most))
			for i := range list {
				list[i] = pods[(done+i)%len(pods)]
			}
			select {
			case s.work <- list:
				done += len(list)
			case <-ctx.Done():
				return
			}
		}
	}
	<-ctx.Done()
}

// Push pushes one value of a pod.
func (s *Sidecars) Push(ctx context.Context, p objects.Pod, millicores int) error {
	return s.post(ctx, sidecar(p), "/metrics", measurement(nil, p, millicores), 1)
}

func (s *Sidecars) pushBatch(ctx context.Context, pods []objects.Pod) error {
	body := []byte(`{"collector":"bench","items":[`)
	for i, p := range pods {
		if i > 0 {
			body = append(body, ',')
		}
		body = measurement(body, p, ordinary())
	}
	return s.post(ctx, collector(s.batches.Add(1)), "/v1/pod-metrics", append(body, `]}`...), len(pods))
}

// TakesBatches tells whether the controller does: the first release does not.
func (s *Sidecars) TakesBatches(ctx context.Context, p objects.Pod) bool {
	status, _, err := s.service.post(ctx, s.client, collector(0), s.service.Address(), "/v1/pod-metrics", append(measurement([]byte(`{"items":[`), p, ordinary()), `]}`...))
	return err == nil && status == http.StatusOK
}

// sidecar is who pushes of a pod: its own.
func sidecar(p objects.Pod) tokens.Bearer {
	return tokens.Bearer{Namespace: p.App.Namespace, Account: "default", Pod: p.Name(), UID: p.UID()}
}

// collector is who sends the n-th batch. Its token names no node, so that a batch may have pods of all.
func collector(n int64) tokens.Bearer {
	name := fmt.Sprintf("metrics-collector-bench-%d", n%collectors)
	return tokens.Bearer{Namespace: objects.System, Account: "metrics-collector", Pod: name, UID: name}
}

func measurement(body []byte, p objects.Pod, millicores int) []byte {
	return fmt.Appendf(body, `{"podName":%q,"namespace":%q,"metrics":{"cpuUsage":%d.5,"memoryUsage":%d.2,"diskUsage":0.5,"responseTime":38.4}}`,
		p.Name(), p.App.Namespace, millicores, 900+rand.IntN(20))
}

func (s *Sidecars) post(ctx context.Context, who tokens.Bearer, path string, body []byte, values int) error {
	address := s.service.Address()
	began := time.Now()
	status, answer, err := s.service.post(ctx, s.client, who, address, path, body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("push: status %d: %s", status, answer)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.failed.Add(int64(values))
			s.service.Failed(address)
		}
		return err
	}
	s.sent.Add(int64(values))
	s.Latency.Add(time.Since(began))
	return nil
}

// Sent is how many values were taken, and how many were not.
func (s *Sidecars) Sent() (taken, failed int64) { return s.sent.Load(), s.failed.Load() }

// Stop ends them.
func (s *Sidecars) Stop() {
	s.stop()
	s.running.Wait()
}
