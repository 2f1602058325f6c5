package dispatch

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// party is some load balancers whose messages go when the test says so, on a clock that it moves.
type party struct {
	t       *testing.T
	now     time.Time
	version int
	worlds  map[string]*world
	mu      sync.Mutex // of due: timers nudge too
	due     []nudged
	lends   []string
	cut     map[string]bool // from whom and to whom nothing goes
}

type nudged struct {
	from string
	to   slots.ID
	app  routing.Application
}

// mouth is the way of one of them to the others.
type mouth struct {
	p    *party
	from string
}

func (m mouth) Nudge(app routing.Application, to slots.Member) {
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	m.p.due = append(m.p.due, nudged{m.from, to.ID, app})
}

func newParty(t *testing.T, names ...string) *party {
	t.Helper()
	p := &party{t: t, now: time.Unix(1_000_000, 0), worlds: map[string]*world{}, cut: map[string]bool{}}
	for _, name := range names {
		p.worlds[name] = newWorld(func(o *Options) {
			o.Now = func() time.Time { return p.now }
			o.Self = slots.Member{ID: slots.ID{Name: name, Started: 1}, Address: name + ":1"}
			o.Peers = mouth{p, name}
			o.Lends = func(routing.Application, bool) { p.lends = append(p.lends, name) }
		})
		p.worlds[name].Reported(p.now)
	}
	return p
}

// follow has all of them follow a route of fib with such a limit, and each other.
func (p *party) follow(limit int, pods ...routing.Endpoint) {
	p.version++
	p.now = p.now.Add(time.Millisecond)
	update := routing.Update{Version: fmt.Sprintf("e.%d", p.version), Complete: true, Asked: p.now, Routes: []routing.Route{{
		Application: fib, Prefix: "/fib", Algorithm: "RoundRobin", State: routing.Awake, WakeUpTimeout: time.Hour, Concurrency: limit, Endpoints: pods,
	}}}
	for name := range p.worlds {
		update.Balancers = append(update.Balancers, routing.Balancer{Name: name, StartedAt: time.Unix(0, 1), Address: name + ":1"})
	}
	for _, w := range p.worlds {
		w.Apply(update)
	}
	p.flow()
}

// flow delivers until nobody has anything to say.
func (p *party) flow() {
	for n := 0; ; n++ {
		d, more := p.next()
		if !more {
			return
		}
		if n > 1000 {
			p.t.Fatal("they never have said all")
		}
		from, to := p.worlds[d.from], p.worlds[d.to.Name]
		if to == nil || p.cut[d.from+d.to.Name] {
			continue
		}
		if m := from.Due(d.app, d.to); !m.Empty() {
			to.Heard(from.Self(), false)
			from.Hear(to.Self(), d.app, to.Hear(from.Self(), d.app, m, false), true)
		}
	}
}

func (p *party) next() (d nudged, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		return d, false
	}
	d = p.due[0]
	p.due = p.due[1:]
	return d, true
}

// tick lets time pass.
func (p *party) tick(d time.Duration) {
	p.now = p.now.Add(d)
	for _, w := range p.worlds {
		w.Standing()
		w.Tick()
	}
	p.flow()
}

// lender is who lends, and who does not.
func (p *party) lender() (lender string, others []string) {
	p.t.Helper()
	for name, w := range p.worlds {
		if w.Snapshots()[0].Sharing.Lends {
			if lender != "" {
				p.t.Fatalf("%s and %s lend", lender, name)
			}
			lender = name
		} else {
			others = append(others, name)
		}
	}
	if lender == "" {
		p.t.Fatal("nobody lends")
	}
	return lender, others
}

// ask sends a request to one of them; it waits or has a pod when this returns.
func (p *party) ask(name string) *Visit {
	p.t.Helper()
	p.now = p.now.Add(time.Millisecond)
	v := &Visit{}
	if _, err := v.Arrive(p.worlds[name].app(), Arrival{Bytes: 1}, p.now); err != nil {
		p.t.Fatal(err)
	}
	p.flow()
	return v
}

func (p *party) end(v *Visit) {
	p.now = p.now.Add(time.Millisecond)
	v.End(Outcome{Status: 200}, p.now)
	p.flow()
}

func TestShare_OneLendsAndAllTogetherKeepTheLimit(t *testing.T) {
	p := newParty(t, "a", "b", "c")
	p.follow(2, pod("x", nil), pod("y", nil))
	p.lender()
	var have []*Visit
	for i := range 9 {
		if v := p.ask([]string{"a", "b", "c"}[i%3]); v.Pod != nil {
			have = append(have, v)
		}
	}
	if len(have) != 4 {
		t.Fatalf("%d requests are on two pods of two slots", len(have))
	}
	on := map[string]int{}
	for _, v := range have {
		on[v.Pod.Name]++
	}
	if on["x"] != 2 || on["y"] != 2 {
		t.Errorf("they are on %v", on)
	}
	for name, w := range p.worlds {
		s := w.Snapshots()[0]
		if s.Waiting+s.InFlight != 3 {
			t.Errorf("%s reports %d on pods and %d that wait of its own three", name, s.InFlight, s.Waiting)
		}
	}
}

func TestShare_ServesInTheOrderOfArrivalOverAll(t *testing.T) {
	p := newParty(t, "a", "b", "c")
	p.follow(1, pod("x", nil))
	first := p.ask("a")
	var queue []*Visit
	for i := range 12 {
		queue = append(queue, p.ask([]string{"b", "c", "a", "c"}[i%4]))
	}
	for i, v := range queue {
		p.end(first)
		if v.Pod == nil {
			t.Fatalf("the one that came as number %d is not the next", i)
		}
		first = v
	}
}

func TestShare_WhoGoesFreesItsPlaceAndItsSlot(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(1, pod("x", nil))
	lender, others := p.lender()
	busy := p.ask(lender)
	gone, next := p.ask(others[0]), p.ask(others[0])
	left := make(chan struct{})
	close(left)
	if err := gone.Wait(left); err == nil {
		t.Error("one whose client has gone waits on")
	}
	p.flow()
	p.end(busy)
	if gone.Pod != nil || next.Pod == nil {
		t.Error("the slot went to one that has gone")
	}
	p.end(next)
	if v := p.ask(lender); v.Pod == nil {
		t.Error("a slot was not given back")
	}
}

func TestShare_ANewLenderKnowsWhatIsUnderWayEverywhere(t *testing.T) {
	p := newParty(t, "a", "b", "c")
	p.follow(1, pod("x", nil), pod("y", nil))
	lender, others := p.lender()
	one, two := p.ask(lender), p.ask(others[0])
	p.worlds[lender].Leave()
	p.tick(100 * time.Millisecond)
	for name, w := range p.worlds { // by word of mouth
		if name != lender {
			w.Heard(p.worlds[lender].Self(), false)
		}
	}
	p.tick(100 * time.Millisecond)
	p.tick(100 * time.Millisecond)
	if next, _ := p.lender(); next == lender {
		t.Fatal("one that leaves lends on")
	}
	third := p.ask(others[1])
	if third.Pod != nil {
		t.Fatal("a pod has two")
	}
	p.end(two)
	if third.Pod == nil {
		t.Error("the slot that became free is not used")
	}
	p.end(one)
	if fourth := p.ask(others[0]); fourth.Pod == nil {
		t.Error("the slot of the lender before is not used")
	}
}

func TestShare_OfOneThatIsGoneRestsAndIsUsedThen(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(1, pod("x", nil))
	lender, others := p.lender()
	p.end(p.ask(others[0])) // an answer of a millisecond
	p.end(p.ask(lender))
	if p.ask(others[0]).Pod == nil {
		t.Fatal("not served")
	}
	delete(p.worlds, others[0])
	p.follow(1, pod("x", nil))
	v := p.ask(lender)
	if v.Pod != nil {
		t.Fatal("the pod may work on what the other one has sent")
	}
	if s := p.worlds[lender].Snapshots()[0].Sharing; s.Lent != 1 || s.Expired != 1 {
		t.Errorf("%+v", s)
	}
	p.tick(leastRest)
	if v.Pod == nil {
		t.Error("the slot rests for ever")
	}
}

func TestShare_WhoMayBeTakenForGoneCutsWhatItHasAndWaits(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(1, pod("x", nil))
	lender, others := p.lender()
	cut := make(chan struct{})
	v := &Visit{OnCut: func() { close(cut) }}
	if _, err := v.Arrive(p.worlds[others[0]].app(), Arrival{Bytes: 1}, p.now); err != nil {
		t.Fatal(err)
	}
	p.flow()
	if v.Pod == nil {
		t.Fatal("not served")
	}
	p.now = p.now.Add(40 * time.Second)
	p.worlds[lender].Reported(p.now) // the other one is cut off
	p.tick(6 * time.Second)
	<-cut
	v.End(Outcome{Broken: true}, p.now)
	p.flow()
	if p.worlds[others[0]].Standing().Seated || p.ask(others[0]).Pod != nil {
		t.Error("one that may be taken for gone sends")
	}
	if w := p.ask(lender); w.Pod != nil {
		t.Error("the slot of what was cut is used at once")
	}
}

func TestShare_TheOthersWordKeepsItGoingWhileTheControllerIsAway(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(1, pod("x", nil))
	for range 100 {
		p.now = p.now.Add(time.Second)
		for _, w := range p.worlds {
			for _, o := range p.worlds {
				if w != o && w.Standing().AskWord {
					o.Heard(w.Self(), true)
					w.Word(o.Self(), p.now)
				}
			}
		}
		p.tick(0)
	}
	for name := range p.worlds {
		v := p.ask(name)
		if v.Pod == nil {
			t.Fatalf("%s does not serve any more", name)
		}
		p.end(v)
	}
}

func TestShare_AHealthCheckWaitsForTheLendersAnswer(t *testing.T) {
	synctest.Test(t, waitOfAHealthCheck)
}

func waitOfAHealthCheck(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(1, pod("x", nil))
	_, others := p.lender()
	check := func() (*Visit, bool) {
		v := &Visit{}
		waits, err := v.Arrive(p.worlds[others[0]].app(), Arrival{Uncounted: true}, p.now)
		if err != nil {
			t.Fatal(err)
		}
		return v, waits
	}
	v, waits := check()
	p.flow()
	if !waits || v.Wait(nil) != nil || v.Pod == nil {
		t.Fatal("it has no slot")
	}
	busy, _ := check()
	p.flow()
	if err := busy.Wait(nil); err != ErrBusy { //nolint:errorlint // it is this one or none
		t.Errorf("with the only slot taken: %v", err)
	}
	synctest.Wait()
	p.end(v)
	if w := p.ask(others[0]); w.Pod == nil {
		t.Error("a check that gave up holds a slot")
	}
}

func TestShare_APodThatCannotBeReachedFromHereIsNotLentAgain(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(1, pod("x", nil), pod("y", nil))
	_, others := p.lender()
	v := p.ask(others[0])
	before := v.Pod.Name
	if _, err := v.Retry(true, p.now); err != nil {
		t.Fatal(err)
	}
	p.flow()
	if v.Pod == nil || v.Pod.Name == before {
		t.Errorf("it was sent to %s, which refused a connection", before)
	}
}

func TestShare_BeginsAndEndsWithTheLimitAndTheController(t *testing.T) {
	p := newParty(t, "a", "b")
	p.follow(0, pod("x", nil))
	_, others := []string{"a"}, []string{"b"}
	old := []*Visit{p.ask("a"), p.ask("b"), p.ask(others[0])}
	for _, v := range old {
		if v.Pod == nil {
			t.Fatal("without a limit one waits")
		}
	}
	p.follow(2, pod("x", nil))
	if v := p.ask("a"); v.Pod != nil {
		t.Error("the three that were there before are not counted")
	}
	p.end(old[0])
	p.end(old[1])
	if p.ask("b").Pod != nil {
		t.Error("one that came later was served first, or the limit is not kept")
	}
	w := p.worlds["a"]
	w.Apply(routing.Update{Version: "old", Complete: true, Routes: []routing.Route{{
		Application: fib, Prefix: "/fib", Algorithm: "RoundRobin", State: routing.Awake, WakeUpTimeout: time.Hour, Concurrency: 2, Endpoints: []routing.Endpoint{pod("x", nil)},
	}}})
	if s := w.Snapshots()[0].Sharing; s.Shared {
		t.Errorf("under a controller that says nothing of others: %+v", s)
	}
}
