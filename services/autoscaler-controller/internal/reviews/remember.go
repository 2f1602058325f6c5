package reviews

import (
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

const (
	// rememberedFor is how long an answer counts, be it good or bad: so long a right goes on that was taken away.
	rememberedFor = 10 * time.Second
	rememberedMax = 20_000 // answers, of each kind; some 300 bytes each
	// keysFor is how long the keys are shown on without a look. Who verifies by them reads them every few minutes.
	keysFor = 10 * time.Second
)

// Asked is told of each question that the API server was asked; what is remembered is none.
type Asked func(allowed bool, err error)

// Source is what is asked: Server, or a fake of it.
type Source interface {
	Who(ctx context.Context, token string) (string, error)
	May(ctx context.Context, token string, right access.Right, namespace string) (bool, error)
	Published(ctx context.Context) (identity.Published, error)
}

var _ Source = (*Server)(nil)

// Remembered asks a question once in ten seconds, and once at a time. An API server that does not answer is not
// remembered: the next one asks it again.
type Remembered struct {
	from  Source
	asked Asked
	now   func() time.Time

	flights singleflight.Group
	mu      sync.Mutex
	users   *simplelru.LRU[[sha256.Size]byte, answer[string]]
	bad     *simplelru.LRU[[sha256.Size]byte, answer[string]] // tokens, which push no good ones out
	rights  *simplelru.LRU[question, answer[bool]]
	keys    answer[identity.Published]
}

type question struct {
	token     [sha256.Size]byte
	right     access.Right
	namespace string
}

// answer is a good one or, with an error, that the token is no good.
type answer[T any] struct {
	value T
	err   error
	until time.Time
}

// NewRemembered makes it. asked and now may be nil.
func NewRemembered(from Source, asked Asked, now func() time.Time) *Remembered {
	return newRemembered(from, asked, now, rememberedMax)
}

func newRemembered(from Source, asked Asked, now func() time.Time, most int) *Remembered {
	if asked == nil {
		asked = func(bool, error) {}
	}
	if now == nil {
		now = time.Now
	}
	r := &Remembered{from: from, asked: asked, now: now}
	r.users, _ = simplelru.NewLRU[[sha256.Size]byte, answer[string]](most, nil) // most is more than 0: it never fails
	r.bad, _ = simplelru.NewLRU[[sha256.Size]byte, answer[string]](most, nil)
	r.rights, _ = simplelru.NewLRU[question, answer[bool]](most, nil)
	return r
}

// Who is the name of the user whose token it is.
func (r *Remembered) Who(ctx context.Context, token string) (string, error) {
	sum := sha256.Sum256([]byte(token))
	if known, ok := recall(r, r.bad, sum); ok {
		return "", known.err
	}
	return once(ctx, r, "who "+string(sum[:]), r.users, r.bad, sum, func(ctx context.Context) (string, error) {
		name, err := r.from.Who(ctx, token)
		r.asked(err == nil, err)
		return name, err
	})
}

// May tells whether the bearer of a token has a right in a namespace; "" is everywhere.
func (r *Remembered) May(ctx context.Context, token string, right access.Right, namespace string) (bool, error) {
	q := question{sha256.Sum256([]byte(token)), right, namespace}
	flight := "may " + string(q.token[:]) + right.Verb + " " + right.Subresource + " " + strconv.FormatBool(right.Metrics) + " " + namespace
	return once(ctx, r, flight, r.rights, r.rights, q, func(ctx context.Context) (bool, error) {
		allowed, err := r.from.May(ctx, token, right, namespace)
		r.asked(allowed, err)
		return allowed, err
	})
}

// once has a question answered from memory, by who asks it at this moment, or by the source.
func once[K comparable, V any](ctx context.Context, r *Remembered, flight string, good, bad *simplelru.LRU[K, answer[V]], key K, ask func(context.Context) (V, error)) (V, error) {
	if known, ok := recall(r, good, key); ok {
		return known.value, known.err
	}
	// Others wait for the answer, so that it does not end with the one who asked first.
	done := r.flights.DoChan(flight, func() (any, error) {
		value, err := ask(context.WithoutCancel(ctx))
		found := answer[V]{value, err, r.now().Add(rememberedFor)}
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case err == nil:
			good.Add(key, found)
		case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Forbidden):
			bad.Add(key, found)
		}
		return found, nil
	})
	select {
	case result := <-done:
		found := result.Val.(answer[V]) //nolint:forcetypeassert // made above
		return found.value, found.err
	case <-ctx.Done():
		var none V
		return none, unanswered(ctx.Err())
	}
}

func recall[K comparable, V any](r *Remembered, memory *simplelru.LRU[K, answer[V]], key K) (answer[V], bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := memory.Get(key)
	if ok && !r.now().Before(known.until) {
		memory.Remove(key)
		return answer[V]{}, false
	}
	return known, ok
}

// Published is what the API server publishes of the issuer of service-account tokens. When it does not answer, what
// it published last goes on to count.
func (r *Remembered) Published(ctx context.Context) (identity.Published, error) {
	r.mu.Lock()
	kept := r.keys
	r.mu.Unlock()
	if r.now().Before(kept.until) {
		return kept.value, nil
	}
	done := r.flights.DoChan("keys", func() (any, error) {
		published, err := r.from.Published(context.WithoutCancel(ctx))
		if err != nil {
			return kept.value, err
		}
		r.mu.Lock()
		r.keys = answer[identity.Published]{value: published, until: r.now().Add(keysFor)}
		r.mu.Unlock()
		return published, nil
	})
	select {
	case result := <-done:
		if result.Err != nil && kept.value.Issuer != "" {
			return kept.value, nil
		}
		return result.Val.(identity.Published), result.Err //nolint:forcetypeassert,wrapcheck // made above
	case <-ctx.Done():
		return kept.value, ctx.Err()
	}
}
