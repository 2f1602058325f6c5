// Package fairshare divides few places among senders of whom nothing is known yet but where they call from, so that
// what one of them sends takes from the others no more than its share: of the places, and of the patience with tokens
// that turn out to be none.
package fairshare

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/pace"
)

// Options are the bounds.
type Options struct {
	// Places there are, how many of them one sender may have, and how many of its calls may wait for one.
	Places, Each, Waiting int
	// BadPerSecond is how many bad tokens of one sender are looked at, BadAtOnce after a rest.
	BadPerSecond float64
	BadAtOnce    int
	Now          func() time.Time // nil: time.Now
}

const (
	maxSenders = 10_000 // of whom bad tokens are remembered; beyond it one that will soon have rested begins anew
	refusedFor = time.Second
)

// Share divides the places. Any number of goroutines may use it at once.
type Share struct {
	o      Options
	places chan struct{}
	bad    *pace.Paces[string]

	mu  sync.Mutex
	now map[string]*sender // that have a place or wait for one
}

type sender struct {
	places chan struct{}
	here   int
}

// New makes it.
func New(o Options) *Share {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Share{o: o, places: make(chan struct{}, o.Places), now: map[string]*sender{}, bad: pace.New[string](maxSenders)}
}

// Take takes a place for the sender of the context, and waits for it as long as ctx lets it. The error is a
// *fault.Error: TooMany where the sender has more than its share, Unavailable where ctx ended first. free gives the
// place back.
func (s *Share) Take(ctx context.Context) (free func(), err error) {
	name := senderOf(ctx).name
	s.mu.Lock()
	from := s.now[name]
	if from == nil {
		from = &sender{places: make(chan struct{}, s.o.Each)}
		s.now[name] = from
	}
	if from.here >= s.o.Each+s.o.Waiting {
		s.mu.Unlock()
		return nil, tooMany("more calls from this address are to be judged than its share: %d at a time", s.o.Each)
	}
	from.here++
	s.mu.Unlock()
	for i, place := range []chan struct{}{from.places, s.places} {
		select {
		case place <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-from.places
			}
			s.leave(name, from)
			return nil, fault.New(fault.Unavailable, "more callers are to be judged than can be at a time").Because(ctx.Err()).After(refusedFor)
		}
	}
	return func() {
		<-s.places
		<-from.places
		s.leave(name, from)
	}, nil
}

func (s *Share) leave(name string, from *sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.here--; from.here == 0 {
		delete(s.now, name)
	}
}

// Patience is an error of the code TooMany while the sender of the context has sent more bad tokens than are looked at.
// Who it lets through may still turn out to be one more.
func (s *Share) Patience(ctx context.Context) error {
	if s.bad.Spent(senderOf(ctx).name, s.pace(), s.o.Now()) {
		return tooMany("more tokens from this address are no good than are looked at: %g a second", s.o.BadPerSecond)
	}
	return nil
}

// Bad notes that the sender of the context has sent a token that is no good.
func (s *Share) Bad(ctx context.Context) {
	if from := senderOf(ctx); !from.known {
		s.bad.Take(from.name, s.pace(), s.o.Now())
	}
}

// pace is how many bad tokens of a sender are looked at.
func (s *Share) pace() pace.Pace { return pace.Pace{PerSecond: s.o.BadPerSecond, Burst: s.o.BadAtOnce} }

func tooMany(text string, number any) error {
	return fault.New(fault.TooMany, text, number).After(refusedFor)
}

type senderKey struct{}

type who struct {
	name  string
	known bool
}

// From is a context of a call from an address, as of http.Request.RemoteAddr.
func From(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, senderKey{}, who{name: Sender(address)})
}

// For is a context of a call of somebody who is known by name and asks about others: it has a share of the places, and
// the tokens that it asks about are not its own.
func For(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, senderKey{}, who{"service " + name, true})
}

// senderOf is who calls; without a name it is one for all of whom that is not known.
func senderOf(ctx context.Context) who {
	w, _ := ctx.Value(senderKey{}).(who)
	return w
}

// Of is the address that the call of a context came from, as Sender names it; "": that is not known.
func Of(ctx context.Context) string {
	if w := senderOf(ctx); !w.known {
		return w.name
	}
	return ""
}

// Sender names who calls from an address: the address without its port. Of IPv6 the first half counts, for whoever has
// one address of a network there has all of them.
func Sender(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64) // of IPv6: it never fails
	return network.String()
}
