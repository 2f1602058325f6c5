package app_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// session is one run of a case: an application of its own, its pod, and a client.
type session struct {
	t     *testing.T
	bed   *bed
	id    string // three letters, which stand for "app" in all that is sent and that comes
	gates gates
	pod   *scriptedPod
	root  bool // the application has a host of its own

	probed bool // the client has sent the request of isKept

	mu    sync.Mutex
	notes []string // the requests that reached the pod, in their order
}

// fill puts the session's names into the text of a case, which has "/app" for the prefix of the
// application and "app.root" for the host of one that has all paths. The length stays.
func (s *session) fill(text string) string {
	text = strings.ReplaceAll(text, "/app", "/"+s.id)
	text = strings.ReplaceAll(text, "/%61pp", fmt.Sprintf("/%%%02x%s", s.id[0], s.id[1:]))
	return strings.ReplaceAll(text, "app.root", s.id+".root")
}

// unfill is the reverse.
func (s *session) unfill(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "/"+s.id, "/app"), s.id+".root", "app.root")
}

func (s *session) fillAll(texts []string) []string {
	all := make([]string, 0, len(texts))
	for _, text := range texts {
		all = append(all, s.fill(text))
	}
	return all
}

// note keeps that a request has reached the pod.
func (s *session) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, line)
}

// noted are the requests that have reached the pod.
func (s *session) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.notes...)
}

// connect opens a client's connection to the data port.
func (s *session) connect() *wire {
	s.t.Helper()
	return s.connectBy(&net.Dialer{})
}

// connectNarrowly opens one with the segments of a slow network, and a window that is soon full.
func (s *session) connectNarrowly() *wire {
	s.t.Helper()
	return s.connectBy(&net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var fault error
		err := c.Control(func(fd uintptr) {
			fault = errors.Join(
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1024),
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 200))
		})
		return errors.Join(err, fault)
	}})
}

func (s *session) connectBy(d *net.Dialer) *wire {
	s.t.Helper()
	conn, err := d.Dial("tcp", strings.TrimPrefix(s.bed.balancer.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return newWire(s, conn.(*net.TCPConn))
}

// route is the session's, with the pod when it is awake.
func (s *session) route(o sessionOptions) autoscaler.Route {
	r := route("app-"+s.id, "/"+s.id)
	if o.root {
		r.ApiPrefix, r.Hosts = "/", []string{s.id + ".root"}
	}
	r.ContainerConcurrency = int32(o.concurrency)
	if o.wakeUpTimeout > 0 {
		r.WakeUpTimeoutSeconds = int32(o.wakeUpTimeout / time.Second)
	}
	if !o.asleep {
		s.awaken(&r, o)
	}
	return r
}

func (s *session) awaken(r *autoscaler.Route, o sessionOptions) {
	r.State = autoscaler.ApplicationStateAwake
	r.Endpoints = []autoscaler.Endpoint{ready("app-"+s.id+"-1", s.pod.address())}
	if o.closedProbe {
		r.Endpoints[0] = starting("app-"+s.id+"-1", unused)
		r.Endpoints[0].Address, r.Endpoints[0].Ready = s.pod.address(), true
	}
	if o.noPod {
		r.Endpoints = nil
	}
	for i, address := range o.morePods {
		r.Endpoints = append(r.Endpoints, ready(fmt.Sprintf("app-%s-%d", s.id, i+2), address))
	}
}

// sessionOptions are what a session's application is like.
type sessionOptions struct {
	asleep        bool
	heldBack      bool // its start opens the gate "started", and it wakes only when the step wakes is done
	root          bool // it has a host of its own and all paths, instead of a prefix
	concurrency   int
	wakeUpTimeout time.Duration
	morePods      []string // addresses of others
	noPod         bool     // there are only those
	narrow        bool     // the first client takes little at a time
	closedProbe   bool     // the pod's readiness cannot be checked from here
}

// wakes lets a sleeping application that is held back have its pod.
func wakes() step {
	return step{"wakes the application", func(w *wire) error { w.s.bed.wake(w.s.id); return nil }}
}

// waits sees that one request of the application waits, holding at least so many bytes.
func waits(bytes int64) step {
	return step{fmt.Sprintf("sees the request wait with %d bytes", bytes), func(w *wire) error {
		w.s.bed.controller.await(w.s.t, "that one waits", func(r autoscaler.TrafficReport) bool {
			a, ok := traffic(r, "app-"+w.s.id)
			return ok && a.Waiting == 1 && a.WaitingBytes >= bytes
		})
		return nil
	}}
}

// gates are the points where one end of a case waits for another.
type gates struct {
	mu  sync.Mutex
	all map[string]chan struct{}
}

func (g *gates) gate(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = map[string]chan struct{}{}
	}
	c, ok := g.all[name]
	if !ok {
		c = make(chan struct{})
		g.all[name] = c
	}
	return c
}

func (g *gates) open(name string) { close(g.gate(name)) }

func (g *gates) await(name string) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.gate(name):
		return nil
	case <-timer.C:
		return errors.New("nobody opened it")
	}
}
