// Package access knows what the callers of a service may do, as the controller says it: an answer counts for
// ten seconds, also when the controller is away meanwhile. Which right an operation asks for is the service's
// business.
package access

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Question is what the bearer of a token wants to do, and in which namespaces; without any, everywhere.
type Question struct {
	Token, Verb, Resource string
	Namespaces            []string
}

// Answer is what he may.
type Answer struct {
	Authenticated bool
	User          string   // whose the token is
	Reason        string   // why the token is not good
	Everywhere    bool     // in all namespaces, also those that were not asked of
	Namespaces    []string // of the question, those in which he may
}

// Asker asks the controller. The error is a *fault.Error.
type Asker interface {
	ReviewAccess(ctx context.Context, q Question) (Answer, error)
}

// The bounds.
const (
	counts     = 10 * time.Second
	patience   = 5 * time.Second // for an answer
	mostGood   = 1000            // answers about good tokens that are kept
	mostBad    = 1000            // and about bad ones, which do not push out the others
	mostNames  = 50_000          // namespaces in answers that are kept
	mostAsked  = 1000            // namespaces of one question, as in the contract
	mostAsking = 32              // questions that are under way
	mostOfOne  = 4               // of them, of those who call from one address
	waitOfOne  = 60              // and that wait for these
	badOfOne   = 10              // tokens that are no good, from one address, of which is asked in a second
	maxToken   = 16384           // bytes, as in the contract
)

// Result is what became of a question; a label of a metric.
type Result string

// The results.
const (
	Known  Result = "known" // answered before
	Asked  Result = "asked"
	Failed Result = "failed" // nobody answered
	Full   Result = "full"   // too many are asked already
)

type key [sha256.Size]byte

type kept struct {
	answer Answer
	until  time.Time
}

// Reviewer answers questions. Any number of goroutines may use it at once.
type Reviewer struct {
	asker  Asker
	note   func(Result)
	flight singleflight.Group
	share  *fairshare.Share

	mu        sync.Mutex
	good, bad *simplelru.LRU[key, kept]
	names     int // in the good ones
}

// NewReviewer makes one; note is told each result.
func NewReviewer(asker Asker, note func(Result)) (*Reviewer, error) {
	r := &Reviewer{asker: asker, note: note, share: fairshare.New(fairshare.Options{
		Places: mostAsking, Each: mostOfOne, Waiting: waitOfOne, BadPerSecond: badOfOne, BadAtOnce: 10 * badOfOne,
	})}
	var err error
	if r.good, err = simplelru.NewLRU(mostGood, func(_ key, k kept) { r.names -= len(k.answer.Namespaces) }); err != nil {
		return nil, err
	}
	r.bad, err = simplelru.NewLRU[key, kept](mostBad, nil)
	return r, err
}

// Review says what the bearer of a token may do. The error is a *fault.Error: Unavailable when nobody can be
// asked, TooMany when the address that the context names (fairshare.From) asks for more than its share.
func (r *Reviewer) Review(ctx context.Context, q Question) (Answer, error) {
	if len(q.Token) > maxToken {
		return Answer{Reason: fmt.Sprintf("the token has %d bytes: at most %d are read", len(q.Token), maxToken)}, nil
	}
	if q.Token == "" {
		return Answer{Reason: "the header holds no token: it must be as Bearer TOKEN"}, nil
	}
	if len(q.Namespaces) <= mostAsked {
		return r.part(ctx, q)
	}
	var whole Answer
	for left := q.Namespaces; len(left) > 0; left = left[min(len(left), mostAsked):] {
		q.Namespaces = left[:min(len(left), mostAsked)]
		part, err := r.part(ctx, q)
		if err != nil || !part.Authenticated || part.Everywhere {
			return part, err
		}
		part.Namespaces = append(whole.Namespaces, part.Namespaces...)
		whole = part
	}
	return whole, nil
}

func keyOf(q Question) key {
	h := sha256.New()
	for _, part := range [][]string{{q.Token, q.Verb, q.Resource}, q.Namespaces} {
		for _, text := range part {
			_, _ = fmt.Fprintf(h, "%d %s\n", len(text), text) // never fails
		}
	}
	return key(h.Sum(nil))
}

// part answers a question that the contract has room for.
func (r *Reviewer) part(ctx context.Context, q Question) (Answer, error) {
	k := keyOf(q)
	if a, ok := r.known(k); ok {
		r.note(Known)
		return a, nil
	}
	// Others may wait for what comes, so that it does not end with the one who asked first.
	done := r.flight.DoChan(string(k[:]), func() (any, error) { return r.ask(context.WithoutCancel(ctx), k, q) })
	select {
	case got := <-done:
		if got.Err != nil {
			return Answer{}, got.Err
		}
		return got.Val.(Answer), nil //nolint:forcetypeassert // ask returns no other
	case <-ctx.Done():
		return Answer{}, fault.New(fault.Unavailable, "the caller did not wait for the controller's answer").Because(ctx.Err())
	}
}

func (r *Reviewer) ask(ctx context.Context, k key, q Question) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := r.share.Patience(ctx)
	free := func() {}
	if err == nil {
		free, err = r.share.Take(ctx)
	}
	if err != nil {
		r.note(Full)
		return Answer{}, err
	}
	defer free()
	a, err := r.asker.ReviewAccess(ctx, q)
	if err != nil {
		r.note(Failed)
		return Answer{}, err
	}
	if !a.Authenticated {
		r.share.Bad(ctx)
	}
	r.note(Asked)
	r.keep(k, a)
	return a, nil
}

func (r *Reviewer) known(k key) (Answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range []*simplelru.LRU[key, kept]{r.good, r.bad} {
		if have, ok := list.Get(k); ok {
			if time.Now().Before(have.until) {
				return have.answer, true
			}
			list.Remove(k)
		}
	}
	return Answer{}, false
}

func (r *Reviewer) keep(k key, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !a.Authenticated {
		r.bad.Add(k, kept{a, time.Now().Add(counts)})
		return
	}
	r.good.Remove(k) // else its names would be counted twice
	r.names += len(a.Namespaces)
	r.good.Add(k, kept{a, time.Now().Add(counts)})
	for r.names > mostNames && r.good.Len() > 1 {
		r.good.RemoveOldest()
	}
}
