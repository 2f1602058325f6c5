package app_test

import (
	"github.com/nemesis-scaling/nemesis/pkg/testwait"

	"fmt"
	"slices"
	"testing"
	"time"
)

// exchange is a case in steps: what the client does, what the pod's connections do in the order in
// which they are opened, and which requests the pod must have got in the end, no more and no less.
type exchange struct {
	name    string
	options sessionOptions
	asleep  bool // it is also run by way of the waiting room
	client  []step
	pod     [][]step
	answers []string // of a pod that serves; else podAnswer
	reach   []string // "METHOD target" of the requests that reach the pod
	anyway  bool     // which requests reach the pod is not told
}

// runExchanges runs the cases, each in all its variants.
func runExchanges(t *testing.T, b *bed, cases []exchange) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.options.heldBack {
				c.options.asleep = true
				t.Run("held back", func(t *testing.T) { runExchange(t, b, c) })
				return
			}
			t.Run("awake", func(t *testing.T) { runExchange(t, b, c) })
			if c.asleep {
				c.options.asleep = true
				t.Run("asleep", func(t *testing.T) { runExchange(t, b, c) })
			}
		})
	}
}

func runExchange(t *testing.T, b *bed, c exchange) {
	t.Helper()
	t.Parallel()
	s := b.session(t, c.options, c.pod, c.answers...)
	w := s.connect()
	if c.options.narrow {
		w = s.connectNarrowly()
	}
	if err := w.run(c.client); err != nil {
		t.Errorf("the client: %v", err)
	} else if err := s.pod.done(); err != nil {
		t.Error(err)
	}
	_ = w.conn.Close()
	s.check(c)
}

// check ends the session, and sees that nothing went wrong at the pod, that it got those requests,
// and that nothing is left in flight.
func (s *session) check(c exchange) {
	s.t.Helper()
	s.pod.close()
	if s.t.Failed() {
		return
	}
	_, faults := s.pod.take()
	for _, err := range faults {
		s.t.Error(err)
	}
	want := slices.Clone(c.reach)
	if s.probed {
		want = append(want, s.probe())
	}
	if got := s.noted(); !c.anyway && !slices.Equal(got, want) {
		s.t.Errorf("at the pod were %q, want %q", got, want)
	}
	testwait.Until(s.t, "nothing is in flight", func() bool { return s.bed.idle(s.t, s.id) })
}

// done waits until the steps of all scripted connections are done.
func (p *scriptedPod) done() error {
	for i, done := range p.finished {
		timer := time.NewTimer(patience)
		select {
		case <-done:
		case <-timer.C:
			return fmt.Errorf("the pod's connection %d has not done its steps; %d were opened", i+1, p.count())
		}
		timer.Stop()
	}
	return nil
}

// count is how many connections were opened.
func (p *scriptedPod) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// probe is the line of the request of isKept, as the pod gets it.
func (s *session) probe() string { return "GET /probe" }

// isProbe tells whether it is that request.
func (s *session) isProbe(line string) bool { return line == s.probe()+" HTTP/1.1" }
