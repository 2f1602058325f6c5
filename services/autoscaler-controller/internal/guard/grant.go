package guard

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

const (
	retryAfter = time.Second
	// maxNamespaces is of how many the API server is asked for one list.
	maxNamespaces = 1000
	// atOnce is how many questions of one list are under way at a time.
	atOnce = 16
)

// Grant is what a call that was let in may be shown.
type Grant struct {
	Caller     access.Caller
	everywhere bool
	namespace  string // the one alone; "": those that people may see
	people     People
	token      string
	right      access.Right
}

// All lets everything.
func All() Grant { return Grant{everywhere: true} }

// Everywhere tells whether all namespaces are seen.
func (g *Grant) Everywhere() bool { return g.everywhere }

// Sees tells of which of these namespaces the caller may be shown anything; nil: of all that there are.
func (g *Grant) Sees(ctx context.Context, namespaces []string) (map[string]bool, error) {
	switch {
	case g.everywhere:
		return nil, nil
	case g.namespace != "" || g.people == nil:
		return map[string]bool{g.namespace: true}, nil
	}
	return among(ctx, g.people, g.token, g.right, namespaces)
}

// SeesToo tells whether the caller has the right in another namespace than the one that the call is about. One of which
// that cannot be asked now is not seen.
func (g *Grant) SeesToo(ctx context.Context, namespace string) bool {
	switch {
	case g.everywhere || g.namespace == namespace:
		return true
	case g.people == nil:
		return false
	}
	may, err := g.people.May(ctx, g.token, g.right, namespace)
	return err == nil && may
}

// among are the namespaces in which the bearer of a token has a right.
func among(ctx context.Context, people People, token string, right access.Right, namespaces []string) (map[string]bool, error) {
	namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	if len(namespaces) > maxNamespaces {
		return nil, fault.New(fault.Invalid, "there are applications in more than %d namespaces, and you do not see all: name one", maxNamespaces).
			With("namespace", "", "one that you may see")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu     sync.Mutex
		failed error
		asking sync.WaitGroup
		seen   = map[string]bool{}
		slots  = make(chan struct{}, atOnce)
	)
	for _, one := range namespaces {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		asking.Go(func() {
			defer func() { <-slots }()
			allowed, err := people.May(ctx, token, right, one)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil && failed == nil:
				failed = err
				cancel() // half an answer is none
			case allowed:
				seen[one] = true
			}
		})
	}
	asking.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return seen, failed
}

type grantKey struct{}

type judged struct {
	Grant
	operation string
}

// With is a context of a call that was judged.
func With(ctx context.Context, operation string, g Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, &judged{g, operation})
}

// From is the grant of a call, and which operation it is for; nil: nobody has judged it.
func From(ctx context.Context) (g *Grant, operation string) {
	j, ok := ctx.Value(grantKey{}).(*judged)
	if !ok {
		return nil, ""
	}
	return &j.Grant, j.operation
}
