package drivers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

// Balancers are load balancers: each follows the routes and reports once a second.
type Balancers struct {
	service *Service
	list    []*balancer
	running sync.WaitGroup
	stop    context.CancelFunc
}

// Balanced is what went between the controller and all load balancers so far.
type Balanced struct {
	RoutesIn, ReportsOut int64 // bytes
	Reports, Refused     int64
	Complete             int64 // answers with all routes
}

type balancer struct {
	name      string
	service   *Service
	startedAt time.Time

	routes, reports         Bytes
	sent, refused, complete atomic.Int64

	mu       sync.Mutex
	version  string
	sequence int64
	epoch    string // of the last receipt; "" is a controller that takes no deltas
	known    bool   // the controller of that epoch took the report before
	apps     map[int]*traffic
	fresh    map[int]bool // applications whose numbers changed since the last report
}

// traffic is what a load balancer counted of one application.
type traffic struct {
	requests, inFlight int64
	last               time.Time
}

// StartBalancers starts n.
func StartBalancers(ctx context.Context, n int, service *Service) *Balancers {
	ctx, stop := context.WithCancel(ctx)
	b := &Balancers{service: service, stop: stop}
	for i := range n {
		one := &balancer{
			name: balancerName(i), service: service, startedAt: time.Now().UTC().Add(-time.Minute),
			apps: map[int]*traffic{}, fresh: map[int]bool{},
		}
		b.list = append(b.list, one)
		b.running.Go(func() { one.follow(ctx) })
		b.running.Go(func() { one.report(ctx, time.Duration(i)*time.Second/time.Duration(n)) })
	}
	return b
}

func balancerName(i int) string { return fmt.Sprintf("load-balancer-bench-%d", i) }

// Stop ends them.
func (b *Balancers) Stop() {
	b.stop()
	b.running.Wait()
}

// Served has every load balancer count a request of each of these applications: its numbers change.
func (b *Balancers) Served(apps []objects.App, inFlight int64) {
	now := time.Now().UTC()
	for _, one := range b.list {
		one.mu.Lock()
		for _, a := range apps {
			t, ok := one.apps[a.Index]
			if !ok {
				t = &traffic{}
				one.apps[a.Index] = t
			}
			t.requests, t.inFlight, t.last = t.requests+1, inFlight, now
			one.fresh[a.Index] = true
		}
		one.mu.Unlock()
	}
}

// Sum is what went over the wire so far.
func (b *Balancers) Sum() Balanced {
	var s Balanced
	for _, one := range b.list {
		s.RoutesIn += one.routes.In.Load()
		s.ReportsOut += one.reports.Out.Load()
		s.Reports += one.sent.Load()
		s.Refused += one.refused.Load()
		s.Complete += one.complete.Load()
	}
	return s
}

// Count is how many they are.
func (b *Balancers) Count() int { return len(b.list) }

// follow follows the routes' changes, as a load balancer of the controller's time does: by a stream, and where there is none by
// one long poll after the other.
func (b *balancer) follow(ctx context.Context) {
	client := b.service.client(1, &b.routes)
	for ctx.Err() == nil {
		address := b.service.Address()
		if err := b.watch(ctx, client, address); err != nil && ctx.Err() == nil {
			b.service.Failed(address)
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// watch takes what one call brings: a line for each change, or one answer.
func (b *balancer) watch(ctx context.Context, client *http.Client, address string) error {
	b.mu.Lock()
	after := b.version
	b.mu.Unlock()
	url := b.service.url(address, "/v1/routes?stream=true&wait=30s")
	if after != "" {
		url += "&after=" + after
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err == nil {
		err = b.service.sign(r, balancerPod(b.name))
	}
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("routes: status %d", answer.StatusCode)
	}
	for lines := json.NewDecoder(answer.Body); ; {
		var update struct {
			Version             string
			Complete, Continued bool
		}
		switch err := lines.Decode(&update); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("routes: %w", err)
		case update.Continued:
			continue // it counts with the line that ends it
		}
		if update.Complete {
			b.complete.Add(1)
		}
		b.mu.Lock()
		b.version = update.Version
		b.mu.Unlock()
	}
}

// report reports once a second.
func (b *balancer) report(ctx context.Context, first time.Duration) {
	client := b.service.client(1, &b.reports)
	pause(ctx, first)
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for ctx.Err() == nil {
		address := b.service.Address()
		if err := b.send(ctx, client, address); err != nil {
			b.refused.Add(1)
			b.service.Failed(address)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
		}
	}
}

func (b *balancer) send(ctx context.Context, client *http.Client, address string) error {
	body, sent := b.body()
	status, answer, err := b.service.post(ctx, client, balancerPod(b.name), address, "/v1/traffic", body)
	b.mu.Lock()
	defer b.mu.Unlock()
	var receipt struct {
		Epoch  string
		Resync bool
	}
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("report: status %d: %s", status, answer)
	}
	if err == nil {
		err = json.Unmarshal(answer, &receipt)
	}
	if err != nil {
		b.known = false
		return err
	}
	b.sent.Add(1)
	b.known = receipt.Epoch != "" && !receipt.Resync && receipt.Epoch == b.epoch || receipt.Epoch != "" && !sent
	b.epoch = receipt.Epoch
	return nil
}

// body is the next report: what changed, for a controller that can follow, or all that ever had traffic.
func (b *balancer) body() (body []byte, delta bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sequence++
	delta = b.known
	body = fmt.Appendf(nil, `{"balancer":%q,"startedAt":%q,"sequence":%d,"leaving":false`, b.name, b.startedAt.Format(time.RFC3339Nano), b.sequence)
	if b.version != "" {
		body = fmt.Appendf(body, `,"routesVersion":%q`, b.version)
	}
	if delta {
		body = fmt.Appendf(body, `,"epoch":%q,"delta":true`, b.epoch)
	}
	body = append(body, `,"applications":[`...)
	separator := ""
	each := func(i int) {
		body = append(body, separator...)
		body = b.apps[i].append(body, objects.New(i), b.epoch != "")
		separator = ","
	}
	if delta {
		for i := range b.fresh {
			each(i)
		}
	} else {
		for i := range b.apps {
			each(i)
		}
	}
	clear(b.fresh)
	return append(body, `]}`...), delta
}

// append adds the application to a report. sums are fields that the first release does not know.
func (t *traffic) append(body []byte, a objects.App, sums bool) []byte {
	body = fmt.Appendf(body, `{"namespace":%q,"deployment":%q,"inFlight":%d,"streaming":0,"waiting":0,"waitingBytes":0,"lastActivity":%q,"requests":%d,"failures":0,"rejected":0`,
		a.Namespace, a.Name, t.inFlight, t.last.Format(time.RFC3339Nano), t.requests)
	if sums {
		body = fmt.Appendf(body, `,"arrivals":%d,"busySeconds":%.3f,"streamSeconds":0,"tunnelSeconds":0`, t.requests, float64(t.requests)*0.04)
	}
	return append(body, '}')
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
