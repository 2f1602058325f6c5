// Package peers is the adapter between load balancers: it carries what they say to each other of the
// slots of limited pods, by HTTP and JSON over connections that are kept (api/peers.yaml). What the
// messages mean is traffic/slots' business, and what is due traffic/dispatch's; here is only the way.
//
// For each other load balancer there is one link: one exchange at a time is under way there, and all
// that becomes due meanwhile goes with the next. So little is held that nothing needs a bound but the
// number of applications that are due, which is that of the routes. An exchange that fails is made
// again, with back-off and jitter: what was due is due still.
package peers

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
)

// How often, and for how long.
const (
	tick            = 100 * time.Millisecond // what was said and not answered is said again
	wordPeriod      = 500 * time.Millisecond // between questions for the others' word
	exchangeTimeout = time.Second
	dialTimeout     = 500 * time.Millisecond
)

var backOff = retry.Backoff{First: 10 * time.Millisecond, Most: 500 * time.Millisecond}

// Desk is who knows what there is to say.
type Desk interface {
	Self() slots.Member
	Standing() dispatch.Standing
	Heard(from slots.Member, word bool)
	Word(from slots.Member, sent time.Time)
	Ended(from slots.Member)
	Hear(from slots.Member, app routing.Application, m slots.Message, answers bool) slots.Message
	Due(app routing.Application, to slots.ID) slots.Message
	Tick()
}

// Options say how.
type Options struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	PollAnew func() // everything is wanted from the controller anew
	// Caller says which pod a request comes from; "" where that is not known and does not matter. An error is
	// a refusal. Nil: nobody asks.
	Caller func(ctx context.Context, h http.Header) (pod string, err error)
	// Wrap goes around every exchange: with a token, say. Nil is nothing.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Authorities verify the others; nil: they are called in clear text.
	Authorities httpclient.Authorities
}

// Peers are the links to the other load balancers.
type Peers struct {
	o         Options
	desk      Desk
	client    *http.Client
	scheme    string // of their addresses
	exchanges *prometheus.CounterVec

	mu      sync.Mutex
	life    context.Context //nolint:containedctx // of the links, which are made by Nudge
	links   map[slots.ID]*link
	running sync.WaitGroup
}

var _ dispatch.Peers = (*Peers)(nil)

// New makes them; nothing is sent before Run.
func New(o Options) *Peers {
	p := &Peers{o: o, links: map[slots.ID]*link{}}
	dial := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 5 * time.Second}).DialContext
	transport := &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	if p.scheme = "http://"; o.Authorities != nil {
		p.scheme, transport.DialTLSContext = "https://", o.Authorities.DialTLS(dial, dialTimeout)
	}
	p.client = &http.Client{Transport: transport}
	if o.Wrap != nil {
		p.client.Transport = o.Wrap(p.client.Transport)
	}
	p.exchanges = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_lb_peer_exchanges_total", Help: "Exchanges with other load balancers about slots, by result.",
	}, []string{"result"})
	o.Registry.MustRegister(p.exchanges)
	return p
}

// Attach names who knows what there is to say; before Run.
func (p *Peers) Attach(desk Desk) { p.desk = desk }

// Nudge has what is due for a member said soon. It returns at once.
func (p *Peers) Nudge(app routing.Application, to slots.Member) {
	if l := p.link(to); l != nil {
		l.add(app)
	}
}

// link is that to a member; nil while none can be made.
func (p *Peers) link(to slots.Member) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil || p.life.Err() != nil {
		return nil
	}
	l := p.links[to.ID]
	if l == nil {
		life, end := context.WithCancel(p.life)
		l = &link{peers: p, to: to, end: end, wake: make(chan struct{}, 1), due: map[routing.Application]bool{}}
		p.links[to.ID] = l
		p.running.Go(func() { l.run(life) })
	}
	return l
}

// Run says again what was not answered, asks for the others' word, and notes how this load balancer
// stands, until ctx ends.
func (p *Peers) Run(ctx context.Context) {
	p.mu.Lock()
	p.life = ctx
	p.mu.Unlock()
	defer p.running.Wait()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var n notice
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		p.desk.Tick()
		s := p.desk.Standing()
		p.keep(s.Others)
		if s.AskWord && n.due(wordPeriod) {
			for _, m := range s.Others {
				if l := p.link(m); l != nil {
					l.ask()
				}
			}
		}
		if s.Outdated && n.anew(time.Now()) {
			p.o.PollAnew()
		}
		n.tell(p.o.Log, s)
	}
}

// keep ends the links to those that have gone.
func (p *Peers) keep(others []slots.Member) {
	there := make(map[slots.ID]bool, len(others))
	for _, m := range others {
		there[m.ID] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range p.links {
		if !there[id] {
			l.end()
			delete(p.links, id)
		}
	}
}

// Announce tells every other load balancer at once how this one stands: that it drains, or has ended.
func (p *Peers) Announce(ctx context.Context, ended bool) {
	var telling sync.WaitGroup
	for _, m := range p.desk.Standing().Others {
		telling.Go(func() {
			l := &link{peers: p, to: m}
			if err := l.exchange(ctx, nil, question{ended: ended}); err != nil {
				p.o.Log.Info("another load balancer was not told", "balancer", m.Name, "ended", ended, "error", err)
			}
		})
	}
	telling.Wait()
}

// notice is what was last said of how this load balancer stands.
type notice struct {
	asked, polled time.Time
	said          bool
	seated        bool
	others        int
	old           int
}

func (n *notice) due(period time.Duration) bool {
	now := time.Now()
	if now.Sub(n.asked) < period {
		return false
	}
	n.asked = now
	return true
}

// anewPeriod is how soon everything is asked for again when it was not there the last time.
const anewPeriod = time.Second

func (n *notice) anew(now time.Time) bool {
	if now.Sub(n.polled) < anewPeriod {
		return false
	}
	n.polled = now
	return true
}

// tell writes a line when it has changed.
func (n *notice) tell(log *slog.Logger, s dispatch.Standing) {
	if !s.Shares || n.said && n.seated == s.Seated && n.others == len(s.Others) && n.old == s.Old {
		return
	}
	attrs := []any{"acts", s.Seated, "others", len(s.Others), "too_old", s.Old}
	switch {
	case s.Old > 0:
		log.Warn("some load balancers are too old to share the slots of limited pods: each of them keeps the limit for itself alone", attrs...)
	case n.seated && !s.Seated:
		log.Warn("this load balancer may be taken for gone: limited pods get nothing from here until the controller, or every other load balancer, answers", attrs...)
	default:
		log.Info("slots of limited pods are shared", attrs...)
	}
	*n = notice{asked: n.asked, polled: n.polled, said: true, seated: s.Seated, others: len(s.Others), old: s.Old}
}
