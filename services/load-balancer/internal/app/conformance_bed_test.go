package app_test

import (
	"github.com/nemesis-scaling/nemesis/pkg/testwait"

	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// The conformance suite holds what the data port makes of bytes: what comes from a client and what
// reaches the pod, what the pod sends and what reaches the client, and what becomes of the
// connections. It runs against the whole program over real sockets and knows nothing of what is
// inside. What is right stands in RFC 9110 and 9112; where they leave a choice, the stricter one.
//
// A case is data: bytes, or the steps of a client and of a pod. Nothing sleeps: ends wait for each
// other at gates, and a deadline is only ever a failure.

// bed is a load balancer and its controller, which many cases share. Each has an application of its
// own there.
type bed struct {
	balancer   *balancer
	controller *fakeController
	api        *loadbalancer.ClientWithResponses // of the admin port

	mu      sync.Mutex
	next    int
	asleep  map[string]func() // by the id of the session: what its start does
	waiting map[string]func() // of those that are held back: gives it its pod
}

// newBed boots a balancer for the cases of a test and its subtests.
func newBed(t *testing.T, change func(*app.Settings)) *bed {
	t.Helper()
	controller, server := newFakeControllerWithRoutes(t)
	b := &bed{controller: controller, asleep: map[string]func(){}, waiting: map[string]func(){}}
	controller.onStart = func(k autoscaler.ApplicationKey) { b.started(strings.TrimPrefix(k.Deployment, "app-")) }
	b.balancer = boot(t, server.URL, func(s *app.Settings) {
		s.LogLevel, s.DrainTimeout = "error", time.Second
		if change != nil {
			change(s)
		}
	})
	b.api = b.balancer.api(t)
	t.Cleanup(func() { b.leavesNothing(t) })
	return b
}

// leavesNothing sees that no application has anything in flight after all cases: none could sleep.
func (b *bed) leavesNothing(t *testing.T) {
	t.Helper()
	testwait.Until(t, "nothing is left of any case", func() bool {
		for _, a := range b.applications(t) {
			if a.InFlight > 0 || a.Waiting > 0 {
				return false
			}
		}
		return true
	})
}

// applications are those that the balancer knows. It is also asked when the test's context has ended.
func (b *bed) applications(t *testing.T) []loadbalancer.ApplicationState {
	t.Helper()
	answer, err := b.api.GetStateWithResponse(context.Background(), nil)
	if err != nil || answer.JSON200 == nil {
		t.Fatalf("state: %v", err)
	}
	return answer.JSON200.Applications
}

// idle tells whether the balancer has nothing of an application in flight.
func (b *bed) idle(t *testing.T, id string) bool {
	t.Helper()
	for _, a := range b.applications(t) {
		if a.Deployment == "app-"+id {
			return a.InFlight == 0 && a.Waiting == 0
		}
	}
	return true
}

// session makes an application and its pod, and waits until the balancer knows it.
func (b *bed) session(t *testing.T, o sessionOptions, scripts [][]step, answers ...string) *session {
	t.Helper()
	s := &session{t: t, bed: b, root: o.root}
	b.mu.Lock()
	s.id = letters(b.next)
	b.next++
	b.mu.Unlock()
	s.pod = newScriptedPod(s, scripts, answers)
	name := key("app-" + s.id)
	wake := func() {
		b.controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			if r, ok := routes[name]; ok {
				s.awaken(&r, o)
				routes[name] = r
			}
		})
	}
	b.mu.Lock()
	if o.asleep {
		b.asleep[s.id] = wake
	}
	if o.heldBack {
		b.asleep[s.id], b.waiting[s.id] = sync.OnceFunc(func() { s.gates.open("started") }), wake
	}
	b.mu.Unlock()
	version := b.controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[name] = s.route(o) })
	b.controller.awaitFollowed(t, version)
	t.Cleanup(func() {
		b.controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { delete(routes, name) })
	})
	return s
}

// started is what the controller does when it is asked to start an application.
func (b *bed) started(id string) {
	b.mu.Lock()
	wake := b.asleep[id]
	b.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// wake gives an application that is held back its pod.
func (b *bed) wake(id string) {
	b.mu.Lock()
	wake := b.waiting[id]
	b.mu.Unlock()
	wake()
}

// awaitFollowed waits until the balancer follows that version of the routes, or a later one.
func (c *fakeController) awaitFollowed(t *testing.T, version string) {
	t.Helper()
	want := ordinal(version)
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		polled, changed := c.polled, c.changed
		c.mu.Unlock()
		if ordinal(polled) >= want {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the routes %s are not followed; those of %s are", version, polled)
		}
	}
}

func ordinal(version string) int {
	_, n, _ := strings.Cut(version, ".")
	i, _ := strconv.Atoi(n)
	return i
}

// letters is the nth name of three letters; none is "app".
func letters(n int) string {
	const first, count = 'b', 25
	return fmt.Sprintf("%c%c%c", first+rune(n/count/count%count), first+rune(n/count%count), first+rune(n%count))
}
