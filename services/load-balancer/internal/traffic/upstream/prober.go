package upstream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// How often a pod is checked: every 20 ms at first, then ever more slowly, by a hundredth of the
// time it has taken so far: a pod that starts for a minute is noticed half a second late at most.
const (
	firstInterval   = 20 * time.Millisecond
	longestInterval = 250 * time.Millisecond
	longestDelay    = time.Second // until it is seen that there is another one
	intervalShare   = 100
)

// maxProbes bounds how many pods are checked at the same moment.
const maxProbes = 128

// Prober repeats the readiness checks of pods that are starting, so that nobody waits for the
// kubelet's period, and of pods that refused a connection.
type Prober struct {
	log    *slog.Logger
	slots  chan struct{}
	checks *prometheus.CounterVec

	mu     sync.Mutex
	ctx    context.Context //nolint:containedctx // the life of the prober; Probe has none of its own
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

var _ dispatch.Prober = (*Prober)(nil)

// NewProber makes a prober, whose metrics go to the registry. Close it.
func NewProber(log *slog.Logger, registry prometheus.Registerer) *Prober {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Prober{
		log: log, slots: make(chan struct{}, maxProbes), ctx: ctx, cancel: cancel,
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_lb_probes_total",
			Help: "Readiness checks of pods, by their result.",
		}, []string{"result"}),
	}
	registry.MustRegister(p.checks)
	return p
}

// Close ends every check and waits for them.
func (p *Prober) Close() {
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	p.loops.Wait()
}

// Probe checks the pod until it is good or settled.
func (p *Prober) Probe(pod *dispatch.Pod, settled <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() == nil {
		p.loops.Go(func() { p.loop(pod, settled) })
	}
}

func (p *Prober) loop(pod *dispatch.Pod, settled <-chan struct{}) {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	go func() {
		select {
		case <-settled:
			cancel()
		case <-ctx.Done():
		}
	}()
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var s streaks
	for checks := 1; ; checks++ {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		last := time.Now()
		probes, from, needed := pod.Checks()
		if !needed {
			return
		}
		if last.Before(from) { // the pod's user wants it to be left alone until then
			timer.Reset(min(from.Sub(last), longestDelay))
			begin, checks = from, 0
			continue
		}
		s.of(probes)
		result, next := p.check(ctx, pod, &s, last.Sub(begin))
		if result == unneeded || ctx.Err() != nil {
			return
		}
		if result == good {
			pod.Proven()
			p.log.Info("pod takes requests", "pod", pod.Name, "address", pod.Address,
				"checks", checks, "after_ms", time.Since(begin).Milliseconds())
			return
		}
		if next.IsZero() {
			next = last.Add(interval(last.Sub(begin)))
		}
		timer.Reset(time.Until(next))
	}
}

// result is what became of a check.
type result int

const (
	unneeded result = iota
	bad
	goodSoFar // all were good, and not yet often enough
	good
)

// interval is the time between two checks after a pod was checked for so long.
func interval(elapsed time.Duration) time.Duration {
	return min(max(elapsed/intervalShare, firstInterval), longestInterval)
}

// check makes every check once. next is when the next one counts, if that is known.
func (p *Prober) check(ctx context.Context, pod *dispatch.Pod, s *streaks, elapsed time.Duration) (r result, next time.Time) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return unneeded, next
	}
	if _, _, needed := pod.Checks(); !needed { // it may have had to wait
		return unneeded, next
	}
	which, err := checkAll(ctx, pod.Address, s.probes, pod.MustConnect(), dialPatience(elapsed))
	if err != nil {
		s.bad(which)
		p.checks.WithLabelValues("bad").Inc()
		return bad, next
	}
	p.checks.WithLabelValues("good").Inc()
	enough, next := s.allGood(time.Now())
	if !enough {
		return goodSoFar, next
	}
	return good, time.Time{}
}

// dialPatience is how long a check waits for a connection. A SYN that is lost while the pod's
// network is being set up is sent again only after a second; a new connection is sooner.
func dialPatience(elapsed time.Duration) time.Duration {
	return max(elapsed/10, 100*time.Millisecond)
}
