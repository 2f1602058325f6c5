// Package page reads the application's own Prometheus page: a model server's requests that run and
// wait, its cache, how long its answers and their first tokens took; or any web server's usual
// histogram. servers.go says under which names; it is the place to add a server.
//
// What grows for ever is given as it stands: what it grew by is somebody else's business.
package page

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// timeout bounds a look at the page: it is in the same pod.
const timeout = 2 * time.Second

// Page is one application's page.
type Page struct {
	url    string
	client *httpclient.Client
}

// New makes a page; nothing is read yet.
func New(url string) *Page {
	return &Page{url: url, client: httpclient.New(httpclient.Options{
		MaxAnswer: maxPage + 1, // parse says that a page is too long
		Timeout:   timeout, Connect: timeout, MaxIdle: 1, IdleTimeout: 30 * time.Second, NoRedirects: true,
	})}
}

// Reading is what the page says now.
type Reading struct {
	Gauges map[pod.Kind]float64
	Means  map[pod.Kind]Mean    // milliseconds
	Counts map[pod.Kind]float64 // requests counted since the application began
	Busy   map[pod.Kind]float64 // milliseconds spent by all requests together since then
}

// Mean is a sum and the number of what was summed, both since the application began.
type Mean struct{ Sum, Count float64 }

// Read reads the page.
func (p *Page) Read(ctx context.Context) (Reading, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return Reading{}, err
	}
	r.Header.Set("Accept", "text/plain;version=0.0.4")
	r.Header.Set("User-Agent", "nemesis-sidecar")
	answer, err := p.client.Do(r)
	if err != nil {
		return Reading{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return Reading{}, fmt.Errorf("%s answered %s", p.url, answer.Status)
	}
	samples, err := parse(answer.Body)
	if err != nil {
		return Reading{}, err
	}
	return reading(samples), nil
}

// reading takes each value from the first server that shows it.
func reading(samples map[string]series) Reading {
	r := Reading{Gauges: map[pod.Kind]float64{}, Means: map[pod.Kind]Mean{}, Counts: map[pod.Kind]float64{}, Busy: map[pod.Kind]float64{}}
	for _, s := range servers {
		for kind, names := range s.gauges {
			if !r.has(kind) {
				r.gauge(kind, names, samples)
				r.withoutOurs(s, kind)
			}
		}
		for kind, means := range s.means {
			if !r.has(kind) {
				r.mean(kind, means, samples)
			}
		}
		for _, name := range s.counts {
			if found, ok := samples[name]; ok && !r.has(pod.RequestRate) {
				r.Counts[pod.RequestRate] = found.total
			}
		}
		for kind, list := range s.busy {
			for _, b := range list {
				if found, ok := samples[b.counter]; ok && !r.has(kind) {
					r.Busy[kind] = found.total * b.unit
				}
			}
		}
	}
	return r
}

// withoutOurs takes off the request for the page itself: a web server that counts what is in progress
// counts that one too, and would never be idle.
func (r Reading) withoutOurs(s server, kind pod.Kind) {
	if v, ok := r.Gauges[kind]; ok && s.countsPage && kind == pod.InFlight {
		r.Gauges[kind] = max(v-1, 0)
	}
}

func (r Reading) has(k pod.Kind) bool {
	_, gauge := r.Gauges[k]
	_, mean := r.Means[k]
	_, count := r.Counts[k]
	_, busy := r.Busy[k]
	return gauge || mean || count || busy
}

// gauge adds up what the engines and replicas of one server show; of shares it takes the mean.
func (r Reading) gauge(kind pod.Kind, names []string, samples map[string]series) {
	for _, name := range names {
		found, ok := samples[name]
		if !ok {
			continue
		}
		if kind == pod.CacheUsage {
			found.total /= float64(found.n)
		}
		r.Gauges[kind] = found.total
		return
	}
}

func (r Reading) mean(kind pod.Kind, means []mean, samples map[string]series) {
	for _, m := range means {
		sum, ok := samples[m.sum]
		count, counted := samples[m.count]
		if ok && counted {
			r.Means[kind] = Mean{sum.total * m.unit, count.total}
			return
		}
	}
}
