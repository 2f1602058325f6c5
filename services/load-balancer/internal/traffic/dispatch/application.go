package dispatch

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

// Application is one Deployment with its pods, its waiting room and its counters.
type Application struct {
	ID        routing.Application
	d         *Dispatcher
	activity  atomic.Int64 // UnixNano of the last byte from or to a client; 0 is never
	route     atomic.Pointer[routing.Route]
	hashOn    atomic.Pointer[routing.HashOn] // nil: the policy goes by nothing of a request
	exchanges atomic.Int64                   // under way
	marked    atomic.Bool                    // it is among the dispatcher's changes

	mu       sync.Mutex    // of all below; route is only written with it
	expected time.Duration // how long a start took lately; 0 is not known

	asleepUntil time.Time     // while it falls asleep: when that lapses; zero: when something else is said
	pods        []*Pod        // in the order of their names: policies count on a stable order
	service     *Pod          // the Service, tried while the controller is away; else nil
	pool        *balance.Pool // the same pods, for who chooses among them
	named       string        // the policy's name
	room        *waitroom.Room
	sequence    uint64        // of the last arrival
	phase       phase         // what requests wait for
	start       *StartRequest // a start is wanted; else nil
	wanted      time.Time     // until when one is, although nobody waits
	began       time.Time     // when the start under way began; zero: none is, or it is not known
	block       block
	wake        *WakeUp
	trouble     Trouble     // why the last start call failed; zero when it did not
	timer       *time.Timer // when to look again although nothing has changed
	removed     bool
	kept        time.Time // its route was removed, and is kept until then; zero: it was not
	closed      bool
	counters    counters
	share       *share // of its slots; nil: they are this load balancer's alone
	shared      *share // the same, also while it is not in use
}

func newApplication(d *Dispatcher, route routing.Route) *Application {
	policy, _ := balance.ByName(balance.DefaultName, d.options.Intn)
	return &Application{
		ID:     route.Application,
		d:      d,
		pool:   balance.NewPool(policy, d.options.Intn, d.options.Chance),
		room:   waitroom.New(d.options.RoomRequests, d.options.RoomBytes, d.budget),
		closed: d.closed,
	}
}

// Touch notes a byte from or to a client.
func (a *Application) Touch(now time.Time) {
	a.activity.Store(now.UnixNano())
	a.mark()
}

var noRoute routing.Route

// Route is what the controller says of the application, without the pods. It must not be altered.
func (a *Application) Route() *routing.Route {
	if r := a.route.Load(); r != nil {
		return r
	}
	return &noRoute
}

// follow takes over what the controller says.
func (a *Application) follow(route routing.Route, now time.Time) {
	a.mu.Lock()
	var ended *WakeUp
	defer func() {
		a.mu.Unlock()
		a.publish(ended)
	}()
	endpoints := route.Endpoints
	route.Endpoints = nil
	a.route.Store(&route)
	a.removed, a.kept, a.asleepUntil = false, time.Time{}, time.Time{}
	if route.AsleepFor > 0 {
		a.asleepUntil = now.Add(route.AsleepFor)
	}
	if route.ExpectedStart > 0 { // else a start call may have said it
		a.expected = route.ExpectedStart
	}
	a.block.byRoute(route.Blocked, now)
	a.choosePolicy()
	a.followPods(endpoints, now)
	a.followSharing()
	a.update(now)
	if route.State == routing.Asleep && a.start == nil {
		a.began = time.Time{} // what was under way has ended without a pod
		ended = a.wakeFailed()
	}
}

// followPods takes over which pods there are.
func (a *Application) followPods(endpoints []routing.Endpoint, now time.Time) {
	pods := make([]*Pod, 0, len(endpoints))
	for _, e := range endpoints {
		i := slices.IndexFunc(a.pods, func(p *Pod) bool { return p.Name == e.Pod && p.Address == e.Address })
		if i >= 0 {
			a.pods[i].follow(e, now)
			pods = append(pods, a.pods[i])
			continue
		}
		pod := newPod(a, e)
		pod.said = now
		pod.followDrain(now)
		pod.followLoad(nil, e.Load, now)
		if a.start != nil || len(a.pods) > 0 {
			pod.startRamp(now) // it came while we were here: it is not warm
		}
		pods = append(pods, pod)
	}
	for _, p := range a.pods {
		if !slices.Contains(pods, p) {
			p.leave()
		}
	}
	slices.SortFunc(pods, byName)
	a.pods = pods
	a.pooled()
}

// pooled tells the pool which pods there are.
func (a *Application) pooled() {
	balanced := make([]*balance.Pod, len(a.pods))
	for i, p := range a.pods {
		balanced[i] = &p.balanced
		p.balanced.SetLimit(a.Route().Concurrency)
		if a.share != nil {
			p.lend(a.share.account.Lent(p.Name))
		}
	}
	a.pool.SetPods(balanced)
}

// choosePolicy takes the policy that the route names, else the one of the settings. One that stays
// the same goes on where it is.
func (a *Application) choosePolicy() {
	name := cmp.Or(a.Route().Algorithm, *a.d.preferred.Load())
	if a.named != name {
		policy, _ := balance.ByName(name, a.d.options.Intn)
		a.pool.Use(policy)
		a.named = name
	}
	a.hashOn.Store(hashOn(name, a.Route().HashOn))
}

// hashOn is what a policy goes by of a request; nil is nothing.
func hashOn(policy string, said routing.HashOn) *routing.HashOn {
	switch {
	case policy != balance.ConsistentHashName && policy != balance.ModelAwareName:
		return nil
	case said.Given():
		return &said
	case policy == balance.ModelAwareName:
		return &routing.HashOn{Prompt: true}
	}
	return &routing.HashOn{ClientAddress: true}
}

// HashOn is what the policy goes by of a request; nil is nothing. It must not be altered.
func (a *Application) HashOn() *routing.HashOn { return a.hashOn.Load() }

func (a *Application) prefer() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.choosePolicy()
}

func (a *Application) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.wanted = time.Time{}
	now := a.d.options.Now()
	a.dismiss(ErrClosing, now)
	a.update(now)
}

// dismiss sends everyone away who waits.
func (a *Application) dismiss(because error, now time.Time) {
	for t := a.room.First(); t != nil; t = a.room.First() {
		a.refuse(visitOf(t), because, now)
	}
}

// refuse sends one away who waits.
func (a *Application) refuse(v *Visit, because error, now time.Time) {
	a.room.Leave(&v.ticket)
	v.leaveRoom(now)
	v.refused = because
	close(v.granted)
}

// visitOf is whose place in the room the ticket is.
func visitOf(t *waitroom.Ticket) *Visit {
	return t.Holder.(*Visit) //nolint:forcetypeassert // only visits hold tickets
}

func (a *Application) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.update(a.d.options.Now())
}

// standing is where the table puts an application.
type standing struct {
	route   *routing.Route
	removed bool
	kept    bool // it was removed, and is kept for a moment
	idle    bool
}

func (a *Application) standing() standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	return standing{a.Route(), a.removed, !a.kept.IsZero(), a.counters.inFlight() == 0 && a.room.Len() == 0}
}

// update is called after every change, with the lock held: it has pods checked that need it, lets in
// whom it can, sends away whose time is over, and asks for a start when somebody waits for nothing.
func (a *Application) update(now time.Time) {
	a.mark()
	for _, p := range a.pods {
		p.checkIfNeeded()
		p.balanced.SetUsable(p.usable())
	}
	a.turn(now)
	a.admit(now)
	a.expire(now)
	a.startIfWanted(now)
	a.fallBack()
	a.lookAgain(now)
}

func (a *Application) anyUsable() bool {
	return slices.ContainsFunc(a.pods, (*Pod).usable)
}

// Trouble is why nobody is let in; the zero value is not known.
type Trouble struct {
	Text     string
	Nameless string // the same without a name: of a pod, a namespace, an address
}

func plain(text string) Trouble { return Trouble{text, text} }

// hindrance says why nobody is let in, as far as it is known: what the start call met, else how the
// pods stand. Before there is a pod it is not known.
func (a *Application) hindrance(now time.Time) Trouble {
	switch {
	case a.trouble != (Trouble{}) || len(a.pods) == 0:
		return a.trouble
	case a.share != nil && !a.share.seated:
		return plain("this load balancer does not know which others there are, and the pods are limited")
	case a.anyUsable():
		return plain("every pod works on as many requests as it may")
	}
	return Trouble{"its pod " + a.pods[0].Name + ": " + a.pods[0].why(now), "its pod is not ready"}
}

// fallBack has the Service checked while it is the last hope.
func (a *Application) fallBack() {
	address := a.Route().ServiceAddress
	hopeless := !a.d.away.Load() || a.removed || address == ""
	if s := a.service; s != nil && (hopeless || s.Address != address || a.start == nil && !s.proven) {
		s.leave()
		a.service = nil
	}
	if hopeless || a.start == nil {
		return
	}
	if a.service == nil {
		a.service = &Pod{Name: "service", Address: address, app: a, doubted: true}
	}
	a.service.checkIfNeeded()
}
