// Package subject runs the controller that is measured, and reads what it uses.
package subject

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/exposition"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

const readyWithin = 3 * time.Minute

// Environment lets the drivers in, who have no tokens and speak clear text, as those of the last release; of a controller
// that is secured its metrics alone are for everybody. A controller that knows none of it takes no notice; flags
// that it does not know would keep it from starting.
func Environment(secured bool) []string {
	if secured {
		return []string{"NEMESIS_AUTHENTICATION=required", "NEMESIS_CLEAR_TEXT=false", "NEMESIS_OPEN_METRICS=true"}
	}
	return []string{"NEMESIS_AUTHENTICATION=optional", "NEMESIS_CLEAR_TEXT=true", "NEMESIS_OPEN_METRICS=true"}
}

// unverified asks as the kubelet does, which takes any certificate.
var unverified = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // G402: loopback, of a process that was started here

// Options say what is started.
type Options struct {
	Binary, Kubeconfig, Dir string
	Name                    string // of the replica
	CPU                     int
	Secured                 bool // it speaks TLS alone, and lets in nobody without a token
}

// Subject is a controller that runs.
type Subject struct {
	*process.Process
	Address string
	secured bool
	log     string
}

// Start starts a controller and waits until it is ready.
func Start(ctx context.Context, o Options) (*Subject, error) {
	ports, err := apiserver.FreePorts(1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	s := &Subject{Address: address, secured: o.Secured, log: filepath.Join(o.Dir, o.Name+".log")}
	s.Process, err = process.Start(process.Options{
		Path: o.Binary, CPU: o.CPU, Out: s.log, Env: Environment(o.Secured),
		Args: []string{"--listen", address, "--kubeconfig", o.Kubeconfig, "--identity", o.Name, "--advertise", address, "--log-level", "warn"},
	})
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, s.Settle()
}

func (s *Subject) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		select {
		case <-s.Ended():
			return fmt.Errorf("the controller ended: see %s", s.log)
		case <-ctx.Done():
			return fmt.Errorf("the controller is not ready after %s: see %s", readyWithin, s.log)
		case <-time.After(50 * time.Millisecond):
		}
		answer, err := get(ctx, s.url("/readyz"))
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
}

func (s *Subject) url(path string) string {
	if s.secured {
		return "https://" + s.Address + path
	}
	return "http://" + s.Address + path
}

func get(ctx context.Context, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return unverified.Do(r)
}

// Metrics are the sums of its metrics over their labels.
func (s *Subject) Metrics(ctx context.Context) (map[string]float64, error) {
	sums := map[string]float64{}
	err := exposition.Get(ctx, unverified, s.url("/metrics"), func(name, _ string, value float64) { sums[name] += value })
	return sums, err
}

// Buckets is a histogram: how many values there were up to each bound, summed over all other labels.
func (s *Subject) Buckets(ctx context.Context, name string) (map[float64]float64, error) {
	found := map[float64]float64{}
	err := exposition.Get(ctx, unverified, s.url("/metrics"), func(is, labels string, value float64) {
		if is != name+"_bucket" {
			return
		}
		_, bound, _ := strings.Cut(labels, `le="`)
		bound, _, _ = strings.Cut(bound, `"`)
		if le, err := strconv.ParseFloat(bound, 64); err == nil {
			found[le] += value
		}
	})
	return found, err
}

// Quantile is one of the values that came between two sights of a histogram, as Prometheus guesses it: evenly spread
// between two bounds. NaN: there were none.
func Quantile(q float64, before, after map[float64]float64) float64 {
	bounds := slices.Sorted(maps.Keys(after))
	if len(bounds) == 0 {
		return math.NaN()
	}
	last := bounds[len(bounds)-1]
	rank, low, below := q*(after[last]-before[last]), 0.0, 0.0
	if rank <= 0 {
		return math.NaN()
	}
	for _, le := range bounds {
		count := after[le] - before[le]
		if count >= rank {
			if math.IsInf(le, 1) {
				return low
			}
			return low + (le-low)*(rank-below)/(count-below)
		}
		low, below = le, count
	}
	return math.NaN() // never: the last holds all
}

// Memory is what it holds.
type Memory struct {
	RSS  float64 // bytes
	Live float64 // bytes of Go's heap that the last collection found in use
}

// Memory collects garbage first, by asking for metrics until Go has collected some times by itself: what is
// no longer needed does not count. Of the collections that count is the one that found least in use, for
// what is made while it runs counts as used.
func (s *Subject) Memory(ctx context.Context) (Memory, error) {
	const (
		collections = "go_gc_duration_seconds_count"
		enough      = 4
		patience    = 20 * time.Second
	)
	m := Memory{Live: math.Inf(1)}
	began, seen, last := time.Now(), 0, -1.0
	for seen < enough && time.Since(began) < patience {
		metrics, err := s.Metrics(ctx)
		if err != nil {
			return m, err
		}
		if metrics[collections] == last {
			continue
		}
		seen, last = seen+1, metrics[collections]
		// GOGC is 100: the next collection comes when the heap is twice what is in use.
		m.Live = min(m.Live, metrics["go_memstats_next_gc_bytes"]/2)
	}
	rss, err := s.RSS()
	m.RSS = float64(rss)
	return m, err
}
