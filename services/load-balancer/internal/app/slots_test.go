package app_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// work is how long a pod works on a request.
const work = 5 * time.Millisecond

// slotPod is a pod that counts what it works on.
type slotPod struct {
	address string
	now     atomic.Int32
	most    atomic.Int32
	served  atomic.Int32
}

func newSlotPod(t *testing.T, work time.Duration) *slotPod {
	t.Helper()
	p := &slotPod{}
	p.address = pod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := p.now.Add(1)
		defer p.now.Add(-1)
		for most := p.most.Load(); n > most && !p.most.CompareAndSwap(most, n); most = p.most.Load() {
		}
		time.Sleep(work)
		p.served.Add(1)
		_, _ = io.WriteString(w, "served")
	}))
	return p
}

// limited is the route of an application whose pods take so many requests at a time.
func limited(limit int32, pods ...*slotPod) autoscaler.Route {
	r := route("slot", "/slot")
	r.State, r.ContainerConcurrency = autoscaler.ApplicationStateAwake, limit
	for i, p := range pods {
		r.Endpoints = append(r.Endpoints, ready(fmt.Sprintf("slot-%d", i), p.address))
	}
	return r
}

// sharing starts a load balancer that shares slots with the others.
func sharing(t *testing.T, controllerURL, name string) *balancer {
	t.Helper()
	return boot(t, controllerURL, func(s *app.Settings) { s.Identity, s.PeerListen = name, "127.0.0.1:0" })
}

// load sends requests through a load balancer until it is stopped, so many at a time.
type load struct {
	stop   chan struct{}
	done   sync.WaitGroup
	served atomic.Int32
	failed sync.Map // status or error -> true
}

func (l *load) through(b *balancer, clients int) {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for range clients {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				r, err := c.Get(b.url + "/slot/x")
				if err != nil {
					l.failed.Store(err.Error(), true)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
				if r.StatusCode != http.StatusOK {
					l.failed.Store(r.Status, true)
					return
				}
				l.served.Add(1)
			}
		})
	}
}

func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	l.failed.Range(func(what, _ any) bool { t.Errorf("a request failed: %v", what); return true })
}

func sharedController(t *testing.T, pods ...*slotPod) (*fakeController, string) {
	t.Helper()
	c, server := newFakeController(t)
	c.names = true
	c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("slot")] = limited(1, pods...) })
	return c, server.URL
}

func TestSlots_OfOnePodAreNeverTwoThroughTwoLoadBalancers(t *testing.T) {
	pod := newSlotPod(t, time.Millisecond)
	_, url := sharedController(t, pod)
	l := &load{stop: make(chan struct{})}
	for _, name := range []string{"lb-a", "lb-b"} {
		l.through(sharing(t, url, name), 6)
	}
	testwait.Until(t, "requests served", func() bool { return l.served.Load() > 300 })
	l.end(t)
	if most := pod.most.Load(); most != 1 {
		t.Errorf("the pod had %d at a time", most)
	}
}

func TestSlots_HoldWhileLoadBalancersComeAndGo(t *testing.T) {
	pods := []*slotPod{newSlotPod(t, time.Millisecond), newSlotPod(t, 3*time.Millisecond), newSlotPod(t, 2*time.Millisecond)}
	_, url := sharedController(t, pods...)
	l := &load{stop: make(chan struct{})}
	first := sharing(t, url, "lb-a")
	l.through(first, 4)
	more := func(n int32) {
		t.Helper()
		want := l.served.Load() + n
		testwait.Until(t, "more requests served", func() bool { return l.served.Load() > want })
	}
	more(100)
	for i := range 3 {
		next := sharing(t, url, fmt.Sprintf("lb-%d", i))
		l.through(next, 4)
		more(100)
	}
	l.end(t)
	for i, p := range pods {
		if p.most.Load() != 1 || p.served.Load() == 0 {
			t.Errorf("pod %d had %d at a time, and served %d", i, p.most.Load(), p.served.Load())
		}
	}
}
