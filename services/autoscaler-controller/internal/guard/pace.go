package guard

import (
	"crypto/sha256"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/pace"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

// Pace is how many calls a second somebody may make, and how many at once after a rest.
type Pace pace.Pace

// Paces are those of the kinds of callers, each for each of them. A pace of nothing is none.
//
// Reviews is that of a service which asks about others (reviewAccess). It is apart from what the service does by
// itself: who comes to a load balancer's admin port with tokens that nobody knows must not keep it from starting
// applications and reporting.
type Paces struct{ Balancers, Collectors, Pods, People, Reviews Pace }

// Services are what services need and ten times more: a load balancer has a start for each application that wakes,
// and they may wake all at once; a pod pushes every few seconds, and at once on command.
func Services(people Pace) Paces {
	return Paces{Balancers: Pace{1000, 10_000}, Collectors: Pace{100, 500}, Pods: Pace{10, 50}, People: people, Reviews: Pace{100, 500}}
}

// reviewAccess is the operation by which services ask about others.
const reviewAccess = "reviewAccess"

// maxPaced is how many callers that have not rested are known to the limits; beyond it one that soon will have begins anew.
const maxPaced = 100_000

// paced is a caller to the limits: a service by its pod too.
type paced struct {
	name, pod string
	reviews   bool // it asks about others
}

// buckets hold what each caller has left.
type buckets struct {
	paces Paces
	now   func() time.Time
	known *pace.Paces[paced]
}

func newBuckets(p Paces, now func() time.Time, most int) *buckets {
	if now == nil {
		now = time.Now
	}
	return &buckets{paces: p, now: now, known: pace.New[paced](most)}
}

func (p *Paces) of(operation string, c *access.Caller) Pace {
	switch {
	case operation == reviewAccess && (c.Balancer || c.Collector):
		return p.Reviews
	case c.Kind == access.Person:
		return p.People
	case c.Balancer:
		return p.Balancers
	case c.Collector, c.Controller:
		return p.Collectors
	}
	return p.Pods
}

// take takes one call of a caller's, or refuses it. Who has no token is nobody, and has no bucket.
func (b *buckets) take(operation string, c *access.Caller) error {
	if c.Kind == access.Unnamed {
		return nil
	}
	return b.one(b.paces.of(operation, c), paced{c.Name, c.Pod, operation == reviewAccess}, c.Name)
}

// pass takes one call of those that are passed on to the API server: of who calls, else of the token, else of the
// address that it comes from. Where none of them is known there is no bucket.
func (b *buckets) pass(operation string, c *access.Caller, token, from string) error {
	switch {
	case c.Kind != access.Unnamed:
		return b.take(operation, c)
	case token != "":
		sum := sha256.Sum256([]byte(token))
		return b.one(b.paces.People, paced{name: "token " + string(sum[:])}, "the bearer of the token")
	case from != "":
		return b.one(b.paces.People, paced{name: "from " + from}, "the address "+from)
	}
	return nil
}

func (b *buckets) one(p Pace, key paced, who string) error {
	if p.PerSecond <= 0 || b.known.Take(key, pace.Pace(p), b.now()) {
		return nil
	}
	return fault.New(fault.TooMany, "%s makes more than %g calls a second", who, p.PerSecond).After(wait(p))
}

// wait is how long it takes until the next call is there, in whole seconds, as it is told.
func wait(p Pace) time.Duration {
	return max(time.Second, time.Duration(float64(time.Second)/p.PerSecond))
}
