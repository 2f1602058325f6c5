package dispatch

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// Peers carries what load balancers say to each other of slots. Nudge has what is due for a member said
// soon; it must return at once.
type Peers interface {
	Nudge(app routing.Application, to slots.Member)
}

// members are the load balancers that take part, as far as this one knows. Its lock is the innermost.
type members struct {
	self  slots.Member
	peers Peers
	on    atomic.Bool // the controller says who takes part, and this one can

	mu      sync.Mutex
	council *slots.Council
	// accounts outlive routes: a promise must not be forgotten while the process lives.
	accounts map[routing.Application]*slots.Account
}

func newMembers(o Options) *members {
	terms := o.Terms
	if terms == (slots.Terms{}) {
		terms = slots.DefaultTerms()
	}
	return &members{
		self: o.Self, peers: o.Peers, council: slots.NewCouncil(o.Self, terms),
		accounts: map[routing.Application]*slots.Account{},
	}
}

// follow takes over what the controller says of who takes part. It tells whether that may be something new.
func (m *members) follow(u routing.Update, now time.Time) bool {
	if m.peers == nil || m.self.Address == "" {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.on.Load()
	switch {
	case u.Balancers == nil && (u.Complete || u.Anew):
		m.council.Unknown()
		m.on.Store(false)
	case u.Balancers == nil:
		m.council.Advance(u.Version)
	case len(u.Balancers) == 0: // not known yet: those that were known go on
		m.on.Store(true)
	default:
		view := slots.View{Version: u.Version, Members: make([]slots.Member, 0, len(u.Balancers))}
		for _, b := range u.Balancers {
			view.Members = append(view.Members, slots.Member{
				ID: slots.ID{Name: b.Name, Started: b.StartedAt.UnixNano()}, Address: b.Address, Version: u.Version,
			})
		}
		m.council.Follow(view, u.Asked, now)
		m.on.Store(true)
	}
	return len(u.Balancers) > 0 || m.on.Load() != before
}

// account is that of an application, which is made when it has none.
func (m *members) account(app routing.Application) *slots.Account {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[app]
	if a == nil {
		a = slots.NewAccount(m.council.Self())
		m.accounts[app] = a
	}
	return a
}

// sitting is whether this one may act, and how often who takes part has changed.
func (m *members) sitting(now time.Time) (seated bool, changes uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.council.Seated(now), m.council.Changes()
}

// assembly is who takes part beside this one, and whether this one shall lend the slots of an application.
func (m *members) assembly(app routing.Application, now time.Time) (others []slots.Member, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.council.Others(now), m.council.First(app.String(), now) == m.self.ID
}

func (m *members) hearsay(list []slots.Member, now time.Time) {
	if len(list) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range list {
		m.council.Hearsay(o, now)
	}
}

// Reported notes that the leading controller took a report that was sent then.
func (d *Dispatcher) Reported(sent time.Time) {
	m := d.members
	m.mu.Lock()
	defer m.mu.Unlock()
	m.council.Receipt(sent, d.options.Now())
}

// Standing is how this load balancer stands with the others.
type Standing struct {
	Shares   bool           // slots are shared at all
	Seated   bool           // this one may act
	Others   []slots.Member // who takes part beside it
	Old      int            // load balancers that are too old to
	AskWord  bool           // the others are to be asked to vouch
	Outdated bool           // a view is wanted that is asked for anew
}

// Standing tells it, after forgetting who has gone.
func (d *Dispatcher) Standing() Standing {
	m, now := d.members, d.options.Now()
	if !m.on.Load() {
		return Standing{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.council.Sweep(now)
	return Standing{
		Shares: true, Seated: m.council.Seated(now), Others: m.council.Others(now), Old: m.council.Old(),
		AskWord: m.council.AsksForWord(now), Outdated: m.council.Outdated(now),
	}
}

// Self is this load balancer, as it is shown to the others.
func (d *Dispatcher) Self() slots.Member {
	m := d.members
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.council.Self()
}

// Heard notes a sign of life of another load balancer. With word this one vouches for it.
func (d *Dispatcher) Heard(from slots.Member, word bool) {
	m, now := d.members, d.options.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.council.Heard(from, now)
	if word {
		m.council.GiveWord(from, now)
	}
}

// Ended notes that another load balancer will never act again.
func (d *Dispatcher) Ended(from slots.Member) {
	d.members.mu.Lock()
	defer d.members.mu.Unlock()
	d.members.council.Ended(from)
}

// Leave has another load balancer lend what this one does, as soon as one can: this one drains.
func (d *Dispatcher) Leave() {
	d.members.mu.Lock()
	defer d.members.mu.Unlock()
	d.members.council.Leave()
}

// Word notes that another one vouches for this one, asked at the time that is given.
func (d *Dispatcher) Word(from slots.Member, sent time.Time) {
	m := d.members
	m.mu.Lock()
	defer m.mu.Unlock()
	m.council.Word(from, sent, d.options.Now())
}

// Tick is called several times a second: what by time alone changes between load balancers does so here.
func (d *Dispatcher) Tick() {
	if !d.members.on.Load() {
		return
	}
	for _, app := range d.Applications() {
		if app.Route().Concurrency > 0 {
			app.tick()
		}
	}
}

// Hear takes what another load balancer says of an application, and answers it; an answer gets none.
func (d *Dispatcher) Hear(from slots.Member, id routing.Application, m slots.Message, answers bool) slots.Message {
	d.mu.Lock()
	app, ok := d.applications[id]
	d.mu.Unlock()
	if !ok {
		return slots.Message{}
	}
	return app.receive(from, m, !answers)
}

// Due is what there is to say to another load balancer of an application.
func (d *Dispatcher) Due(id routing.Application, to slots.ID) slots.Message {
	d.mu.Lock()
	app, ok := d.applications[id]
	d.mu.Unlock()
	if !ok {
		return slots.Message{}
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	if app.share == nil {
		return slots.Message{}
	}
	return app.share.account.Due(to)
}
