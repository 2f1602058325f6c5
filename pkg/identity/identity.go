// Package identity says who calls: it verifies the tokens of Kubernetes service accounts by the public
// keys of their issuer, without a call for each, so that a hundred thousand sidecars cost the API server
// nothing. Tokens that cannot be verified so (the issuer publishes no keys, or not to us) are left to a
// Reviewer, which asks the API server (TokenReview).
//
// A token that is bound to a pod names it, and that pod alone it speaks for. What is verified offline
// counts until the token expires, also when its pod or account has been deleted meanwhile: the kubelet's
// projected tokens live for an hour or less, if their volume says so.
package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Audience is whom the tokens of our services are for. One for another audience is refused, so that what
// a pod sends to us is of no use anywhere else, nor the other way round.
const Audience = "nemesis"

// Identity is a verified caller.
type Identity struct {
	// Name is the user's, as Kubernetes has it: system:serviceaccount:NAMESPACE:ACCOUNT of a service account.
	Name string
	// Namespace and Account are the service account's; "" for others.
	Namespace, Account string
	// Pod, PodUID and Node are what the token is bound to; "" where it is not.
	Pod, PodUID, Node string
	// Expires is when the token does; zero where that is not known.
	Expires time.Time
}

// Is tells whether the caller is this service account.
func (i Identity) Is(namespace, account string) bool {
	return account != "" && i.Account == account && i.Namespace == namespace
}

// Reviewer asks the API server whose token this is. A token that is no good is an error of the code
// Unauthenticated, an API server that does not answer one of the code Unavailable.
type Reviewer interface {
	Review(ctx context.Context, token string) (Identity, error)
}

// Outcome is how a token was judged; a label of a metric.
type Outcome string

// The outcomes.
const (
	Verified Outcome = "verified" // by the issuer's keys
	Known    Outcome = "known"    // verified before
	Reviewed Outcome = "reviewed" // by the API server
	Refused  Outcome = "refused"
	Failed   Outcome = "failed" // could not be judged
)

// Options are what a Verifier needs.
type Options struct {
	// Keys are the issuer's.
	Keys *Keys
	// Review is asked where the keys are not known; nil: such tokens cannot be judged.
	Review Reviewer
	// Known is how many verified tokens are remembered; beyond it one that was not used for long makes place.
	// Where all are in use it is the new one that is verified each time. 0: DefaultKnown.
	Known int
	// Judged is told each outcome; nil: nobody.
	Judged func(Outcome)
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// DefaultKnown is how many verified tokens are remembered: some 200 bytes each (BenchmarkKnown).
const DefaultKnown = 20_000

// maxToken bounds a token, in bytes; Kubernetes' have one to two thousand.
const maxToken = 8 << 10

// Verifier verifies tokens. Any number of goroutines may use it at once.
type Verifier struct {
	o         Options
	mu        sync.Mutex
	known     map[[sha256.Size]byte]*knownToken
	withdrawn uint64 // as it was when the first of them was verified
}

// knownToken is a token that was verified. There may be a hundred thousand: what many have in common is kept once.
type knownToken struct {
	account       unique.Handle[account]
	node          unique.Handle[string]
	pod, uid      string
	expires, used int64 // seconds
}

type account struct{ user, namespace, name string }

func (i Identity) brief(now time.Time) *knownToken {
	return &knownToken{
		account: unique.Make(account{i.Name, i.Namespace, i.Account}), node: unique.Make(i.Node),
		pod: i.Pod, uid: i.PodUID, expires: i.Expires.Unix(), used: now.Unix(),
	}
}

func (k *knownToken) identity() Identity {
	a := k.account.Value()
	return Identity{Name: a.user, Namespace: a.namespace, Account: a.name, Pod: k.pod, PodUID: k.uid, Node: k.node.Value(), Expires: time.Unix(k.expires, 0)}
}

// inUse is for how long a token that was used is taken to be in use: many times as long as its bearer is silent.
const inUse = time.Minute

// NewVerifier makes one.
func NewVerifier(o Options) *Verifier {
	if o.Known == 0 {
		o.Known = DefaultKnown
	}
	if o.Judged == nil {
		o.Judged = func(Outcome) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Verifier{o: o, known: map[[sha256.Size]byte]*knownToken{}}
}

// Bearer is the token of a header "Authorization: Bearer TOKEN"; "" where it has none.
func Bearer(header string) string {
	scheme, token, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Verify says whose token this is. Errors are those of pkg/fault: Unauthenticated with what is wrong with
// the token, Unavailable when nobody can be asked now.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if token == "" {
		v.o.Judged(Refused)
		return Identity{}, fault.New(fault.Unauthenticated, "send a token for the audience %s in the header Authorization, as: Bearer TOKEN", Audience)
	}
	if len(token) > maxToken {
		v.o.Judged(Refused)
		return Identity{}, fault.New(fault.Unauthenticated, "the token has %d bytes: at most %d are read", len(token), maxToken)
	}
	now := v.o.Now()
	v.o.Keys.look(ctx, now)
	sum := sha256.Sum256([]byte(token))
	if who, ok := v.remembered(sum, now); ok {
		v.o.Judged(Known)
		return who, nil
	}
	who, outcome, err := v.judge(ctx, token, now)
	v.o.Judged(outcome)
	if err != nil {
		return Identity{}, err
	}
	v.remember(sum, who, now)
	return who, nil
}

// judge verifies a token that is not known.
func (v *Verifier) judge(ctx context.Context, token string, now time.Time) (Identity, Outcome, error) {
	who, err := v.o.Keys.verify(ctx, token, now)
	switch {
	case err == nil:
		return who, Verified, nil
	case !errors.Is(err, errNoKeys):
		return Identity{}, Refused, err
	case v.o.Review == nil:
		return Identity{}, Failed, fault.New(fault.Unavailable, "tokens cannot be verified now: the keys of their issuer are not known").
			Because(err).After(time.Second)
	}
	who, err = v.o.Review.Review(ctx, token)
	switch {
	case err == nil:
		// Nothing but the API server knows when it ends: it is asked again soon.
		if soon := now.Add(reviewedFor); who.Expires.IsZero() || who.Expires.After(soon) {
			who.Expires = soon
		}
		return who, Reviewed, nil
	case fault.Is(err, fault.Unauthenticated):
		return Identity{}, Refused, err
	}
	return Identity{}, Failed, err
}

// reviewedFor is how long the word of the API server counts.
const reviewedFor = 30 * time.Second

func (v *Verifier) remembered(sum [sha256.Size]byte, now time.Time) (Identity, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	// A token that was signed by a key which is published no more says itself how long it counts.
	if now := v.o.Keys.withdrawn.Load(); now != v.withdrawn {
		clear(v.known)
		v.withdrawn = now
	}
	one, ok := v.known[sum]
	if !ok {
		return Identity{}, false
	}
	if now.Unix() >= one.expires {
		delete(v.known, sum)
		return Identity{}, false
	}
	one.used = now.Unix()
	return one.identity(), true
}

// remember remembers a token. Sidecars come one after the other: were those that came longest ago to make place for one
// more than there is place for, each would have gone when it is its turn, and every push be verified.
func (v *Verifier) remember(sum [sha256.Size]byte, who Identity, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= v.o.Known && !v.drop(now) {
		return
	}
	v.known[sum] = who.brief(now)
}

// some are looked at when one is to be forgotten.
const some = 16

// drop forgets the token that, of some in no order, was used longest ago, if it is no more in use; false: it is.
func (v *Verifier) drop(now time.Time) bool {
	var sum [sha256.Size]byte
	var oldest *knownToken
	n := 0
	for s, one := range v.known {
		if oldest == nil || one.last(now) < oldest.last(now) {
			sum, oldest = s, one
		}
		if n++; n == some {
			break
		}
	}
	// By a clock that was set back it was used in the future: that is no use.
	if age := now.Unix() - oldest.last(now); age >= 0 && age < int64(inUse/time.Second) {
		return false
	}
	delete(v.known, sum)
	return true
}

// last is when it was used last; never, once it has expired.
func (k *knownToken) last(now time.Time) int64 {
	if now.Unix() >= k.expires {
		return math.MinInt32
	}
	return k.used
}
