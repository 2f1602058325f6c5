package proxy

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// faulty is a client that panics in one of its methods.
type faulty struct {
	*client
	in string
}

func (f faulty) at(method string) {
	if f.in == method {
		panic("in " + method)
	}
}

func (f faulty) Peer() Peer                 { f.at("Peer"); return f.client.Peer() }
func (f faulty) Crowded() (int, bool)       { f.at("Crowded"); return f.client.Crowded() }
func (f faulty) Read(p []byte) (int, error) { f.at("Read"); return f.client.Read(p) }
func (f faulty) Patience(d time.Duration, now time.Time) {
	f.at("Patience")
	f.client.Patience(d, now)
}

// Ready: who has no patience with what is here has to wait for it.
func (f faulty) Ready() bool { return f.in != "Patience" && f.client.Ready() }

func (f faulty) Begin(h *Head) error              { f.at("Begin"); return f.client.Begin(h) }
func (f faulty) Space() []byte                    { f.at("Space"); return f.client.Space() }
func (f faulty) Commit(n int) error               { f.at("Commit"); return f.client.Commit(n) }
func (f faulty) Flush() error                     { f.at("Flush"); return f.client.Flush() }
func (f faulty) End(trailer message.Fields) error { f.at("End"); return f.client.End(trailer) }
func (f faulty) Watch(who Canceler)               { f.at("Watch"); f.client.Watch(who) }
func (f faulty) Interrupt()                       { f.at("Interrupt"); f.client.Interrupt() }
func (f faulty) Trailer() message.Fields          { f.at("Trailer"); return f.client.Trailer() }

// Whatever part of an exchange panics: it is counted, nothing is left behind, and the next one is fine.
func TestFault_EndsOneExchangeAndNoMore(t *testing.T) {
	for _, method := range []string{"Peer", "Crowded", "Read", "Patience", "Begin", "Space", "Commit", "Flush", "End", "Watch", "Interrupt", "Trailer"} {
		t.Run("of the client in "+method, func(t *testing.T) {
			closed := 0
			u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
				a := answers(r, "HTTP/1.1 200 OK\nContent-Length: 5", part{text: "he"}, part{after: 1, text: "llo"})
				a.onClose = func() { closed++ }
				return a, nil
			}))
			parts := 20
			if method == "Patience" { // of a small body, which is waited for
				parts = 8
			}
			c := faulty{newClient(trickle(parts, 1000, 0)...), method}
			u.Serve(c, request(t, withLength+strconv.Itoa(1000*parts)))
			u.settled()
			if u.faults() == 0 || len(u.usable()) != 2 || !strings.Contains(u.text.String(), "in "+method) || !strings.Contains(u.text.String(), "fault_test.go") {
				t.Errorf("%d faults, usable %v; the log has %s", u.faults(), u.usable(), u.text)
			}
			if method != "Peer" && u.log.last().Path != "/shop" { // whose end has no peer either
				t.Errorf("the log has %+v", u.log.last())
			}
			if r := u.ask(newClient(), "GET /shop HTTP/1.1\nHost: a"); r.Status != 200 || r.RequestBytes != 0 {
				t.Errorf("the next: %+v", r)
			}
		})
	}
}

func TestFault_IsAnsweredWhenNothingWasAnswered(t *testing.T) {
	u, c := newUnit(t, sends(func(Destination, *Outgoing) (Answer, error) { panic("in Send") })), newClient(trickle(3, 10, 0)...)
	r := u.ask(c, withLength+"30")
	if c.head.Status != 500 || c.code(t) != "internal" || !c.ended || r.Status != 500 || r.Refusal != "internal" || u.faults() != 1 || strings.Contains(string(c.body), "in Send") {
		t.Errorf("%+v %s; the log has %+v", c.head, c.body, r)
	}
	_, traffic := u.d.Report()
	if traffic[0].Times.Response() != nil || traffic[0].Failures != 1 || u.failed("broken") != 0 {
		t.Errorf("reported: %+v", traffic[0])
	}
}

func TestFault_WithinAnAnswerCutsIt(t *testing.T) {
	u, c := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		return &broken{answers(r, "HTTP/1.1 200 OK\nContent-Length: 5", part{text: "hello"})}, nil
	})), newClient()
	r := u.ask(c, "GET /shop HTTP/1.1\nHost: a")
	if c.head.Status != 200 || c.ended || r.Status != 200 || r.Error == "" || u.faults() != 1 || u.failed("broke-off") != 0 {
		t.Errorf("%+v ended %v; the log has %+v", c.head, c.ended, r)
	}
}

// broken is an answer that cannot be read.
type broken struct{ *reply }

func (broken) Read([]byte) (int, error) { panic("in Read") }

func TestFault_AtTheEndLosesNothingThatIsCounted(t *testing.T) {
	for name, spoil := range map[string]func(u *unit, a *reply){
		"the answer does not close":      func(_ *unit, a *reply) { a.onClose = func() { panic("in Close") } },
		"the access log takes nothing":   func(u *unit, _ *reply) { u.log.fail = true },
		"neither of them":                func(u *unit, a *reply) { u.log.fail = true; a.onClose = func() { panic("in Close") } },
		"the log has no metrics to tell": func(u *unit, _ *reply) { u.o.Metrics.duration = nil },
	} {
		t.Run(name, func(t *testing.T) {
			u, c := newUnit(t, nil), newClient(trickle(20, 1000, 0)...)
			u.o.Sender = sends(func(_ Destination, r *Outgoing) (Answer, error) {
				a := answers(r, "HTTP/1.1 200 OK\nContent-Length: 5", part{text: "hello"})
				spoil(u, a)
				return a, nil
			})
			u.Serve(c, request(t, withLength+"20000"))
			u.settled()
			if string(c.body) != "hello" || !c.ended || u.faults() == 0 || len(u.log.all) != 1 {
				t.Errorf("%q ended %v, %d faults, %d records", c.body, c.ended, u.faults(), len(u.log.all))
			}
		})
	}
}

// noMatcher has no routes, and panics for one path.
type noMatcher struct{}

func (noMatcher) Match(_, path string) (routing.Match[*dispatch.Application], error) {
	if path == "/panic" {
		panic("in Match")
	}
	return routing.Match[*dispatch.Application]{}, routing.ErrNoRoute
}
func (noMatcher) Find(routing.Application) (*dispatch.Application, bool) { return nil, false }

func TestFault_BeforeAnApplicationWasFound(t *testing.T) {
	u, c := newUnit(t, nil), newClient()
	u.o.Matcher = noMatcher{}
	if r := u.ask(c, "GET /panic HTTP/1.1\nHost: a"); c.head.Status != 500 || r.Application.Deployment != "" || u.faults() != 1 {
		t.Errorf("%+v; the log has %+v", c.head, r)
	}
}

func TestFault_OfAnOrderIsARefusal(t *testing.T) {
	u := newUnit(t, sends(func(Destination, *Outgoing) (Answer, error) { panic("in Send") }))
	outcome := u.Call(newClient(), orderOf("GET", ""))
	u.settled()
	if outcome.Refusal == nil || outcome.Refusal.Code != "internal" || outcome.Cut || u.faults() != 1 {
		t.Errorf("%+v", outcome)
	}
}
