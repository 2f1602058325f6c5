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
	ID       routing.Application
	d        *Dispatcher
	activity atomic.Int64 // UnixNano of the last byte from or to a client; 0 is never

	mu       sync.Mutex
	route    routing.Route // its Endpoints are in pods
	pods     []*Pod        // in the order of their names: policies count on a stable order
	service  *Pod          // the Service, tried while the controller is away; else nil
	view     []balance.Pod // what the policy sees; kept to spare allocations
	policy   balance.Policy
	named    string // the policy's name
	room     *waitroom.Room
	sequence uint64 // of the last arrival
	need     *Need  // somebody waits and no pod is usable; else nil
	wake     *WakeUp
	trouble  string      // why the last start call failed; "" when it did not
	timer    *time.Timer // when a limit loosens by itself while somebody waits
	removed  bool
	closed   bool
	counters counters
}

func newApplication(d *Dispatcher, route routing.Route) *Application {
	return &Application{
		ID:     route.Application,
		d:      d,
		room:   waitroom.New(d.options.RoomRequests, d.options.RoomBytes, d.budget),
		closed: d.closed,
	}
}

// Touch notes a byte from or to a client.
func (a *Application) Touch(now time.Time) { a.activity.Store(now.UnixNano()) }

// follow takes over what the controller says.
func (a *Application) follow(route routing.Route, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	endpoints := route.Endpoints
	route.Endpoints = nil
	if route.ExpectedStart == 0 {
		route.ExpectedStart = a.route.ExpectedStart // what a start call has told
	}
	a.route, a.removed = route, false
	a.choosePolicy()
	pods := make([]*Pod, 0, len(endpoints))
	for _, e := range endpoints {
		i := slices.IndexFunc(a.pods, func(p *Pod) bool { return p.Name == e.Pod && p.Address == e.Address })
		if i >= 0 {
			a.pods[i].follow(e, now)
			pods = append(pods, a.pods[i])
			continue
		}
		pod := newPod(a, e)
		if a.need != nil {
			pod.ramp.Start(now) // it was started for those who wait: it is not warm
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
	a.update(now)
}

// choosePolicy takes the policy that the route names, else the one of the settings. One that stays
// the same goes on where it is.
func (a *Application) choosePolicy() {
	if name := cmp.Or(a.route.Algorithm, *a.d.preferred.Load()); a.policy == nil || a.named != name {
		a.named = name
		a.policy, _ = balance.ByName(name, a.d.options.Intn)
	}
}

func (a *Application) prefer() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.choosePolicy()
}

// remove ends the route: who waits is sent away, requests on pods go on.
func (a *Application) remove(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removed = true
	for _, p := range a.pods {
		p.leave()
	}
	a.pods = nil
	a.dismiss(ErrNoRoute)
	a.update(now)
}

func (a *Application) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.dismiss(ErrClosing)
	a.update(a.d.options.Now())
}

// dismiss sends everyone away who waits.
func (a *Application) dismiss(because error) {
	for t := a.room.First(); t != nil; t = a.room.First() {
		a.room.Leave(t)
		v := t.Holder.(*Visit) //nolint:forcetypeassert // only visits hold tickets
		v.refused = because
		close(v.granted)
	}
}

func (a *Application) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.update(a.d.options.Now())
}

// place is where the table puts it.
func (a *Application) place() (route routing.Route, removed, idle bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.route, a.removed, a.counters.inFlight == 0 && a.room.Len() == 0
}

// update is called after every change, with the lock held: it lets in whom it can, has pods checked
// that need it, and calls for a start when somebody waits for nothing.
func (a *Application) update(now time.Time) {
	for _, p := range a.pods {
		p.checkIfNeeded()
	}
	a.admit(now)
	a.callIfNeeded()
	a.fallBack()
}

// admit sends out of the room whom the pods can take, oldest first.
func (a *Application) admit(now time.Time) {
	for t := a.room.First(); t != nil; t = a.room.First() {
		pod, reason, ok := a.pick(now)
		if !ok {
			a.wakeTimer(now)
			return
		}
		a.room.Leave(t)
		v := t.Holder.(*Visit) //nolint:forcetypeassert // only visits hold tickets
		v.take(pod, reason, now)
		close(v.granted)
	}
}

// pick chooses a pod for one request.
func (a *Application) pick(now time.Time) (*Pod, string, bool) {
	a.view = a.view[:0]
	usable, sound := 0, 0
	for _, p := range a.pods {
		view := balance.Pod{InFlight: p.inFlight}
		if p.usable() {
			usable++
			if view.Usable = !p.ejection.Active(now); view.Usable {
				sound++
			}
			view.Limit = p.limit(now)
		}
		a.view = append(a.view, view)
	}
	switch {
	case usable == 0:
		if a.service != nil && a.service.proven {
			return a.service, "the controller is away: through the Service", true
		}
		return nil, "", false
	case sound == 0:
		// All are ejected: better a doubtful pod than none.
		for i, p := range a.pods {
			a.view[i].Usable = p.usable()
		}
	}
	choice, ok := a.policy(a.view)
	if !ok {
		return nil, "", false
	}
	return a.pods[choice.Index], choice.Reason, true
}

// wakeTimer arranges to look again when a limit loosens by itself: a ramp grows, an ejection ends.
func (a *Application) wakeTimer(now time.Time) {
	var next time.Time
	sooner := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, p := range a.pods {
		if p.usable() {
			sooner(p.ramp.Next(now))
			sooner(p.ejection.Until())
		}
	}
	if next.IsZero() {
		return
	}
	if a.timer == nil {
		a.timer = time.AfterFunc(next.Sub(now), a.settle)
		return
	}
	a.timer.Reset(next.Sub(now))
}

func (a *Application) anyUsable() bool {
	return slices.ContainsFunc(a.pods, (*Pod).usable)
}

// hindrance says why nobody is let in, as far as it is known: what the start call met, else how the
// pods stand. Before there is a pod it is "".
func (a *Application) hindrance(now time.Time) string {
	switch {
	case a.trouble != "" || len(a.pods) == 0:
		return a.trouble
	case a.anyUsable():
		return "every pod works on as many requests as it may"
	}
	return "its pod " + a.pods[0].Name + ": " + a.pods[0].why(now)
}

// fallBack has the Service checked while it is the last hope.
func (a *Application) fallBack() {
	hopeless := !a.d.away.Load() || a.removed || a.route.ServiceAddress == ""
	if s := a.service; s != nil && (hopeless || s.Address != a.route.ServiceAddress || a.need == nil && !s.proven) {
		s.leave()
		a.service = nil
	}
	if hopeless || a.need == nil {
		return
	}
	if a.service == nil {
		a.service = &Pod{Name: "service", Address: a.route.ServiceAddress, app: a, doubted: true}
	}
	a.service.checkIfNeeded()
}

// retryAfter is what a client that is refused is told: as long as a start takes.
func (a *Application) retryAfter() time.Duration {
	if a.anyUsable() {
		return time.Second
	}
	return max(a.route.ExpectedStart, time.Second)
}
