package batching

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/access"
	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/pkg/pace"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/judge"
)

// callers are the sidecars that push, and who reads the metrics.
type callers struct {
	gate  *identity.Gate
	keys  *identity.Follower
	open  bool // the metrics are everybody's
	may   *access.Reviewer
	calls *authentication.Calls

	strangers *fairshare.Share // of tokens that are no good
	paces     *pace.Paces[batch.Pod]
}

// A pod pushes every few seconds, and at once on command; so many pods that have not rested have a pace each, and
// beyond them one that soon will have begins anew. Of tokens that are no good some are looked at in a second from each address.
const (
	pacedPods    = 20_000
	badPerSecond = 10
	badAtOnce    = 100
)

var pushes = pace.Pace{PerSecond: 10, Burst: 50}

func newCallers(c *Collector, s Settings, asked *judge.Controller) (*callers, error) {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_collector_tokens_total", Help: "Pushes of sidecars, by how their tokens were judged.",
	}, []string{"outcome"})
	c.telemetry.Registry.MustRegister(outcomes)
	a := &callers{
		keys: identity.NewFollower(asked.IdentityKeys, c.log), open: s.OpenMetrics,
		strangers: fairshare.New(fairshare.Options{Places: 1, Each: 1, BadPerSecond: badPerSecond, BadAtOnce: badAtOnce}),
		paces:     pace.New[batch.Pod](pacedPods),
	}
	verifier := identity.NewVerifier(identity.Options{
		Keys: identity.NewKeys(a.keys.Fetch, c.log), Log: c.log,
		Judged: func(o identity.Outcome) { outcomes.WithLabelValues(string(o)).Inc() },
	})
	a.gate = &identity.Gate{Verifier: verifier, Ready: a.keys.Known, Optional: s.Authentication == authentication.Optional}
	a.calls = authentication.Measure(c.telemetry.Registry, a.gate.Optional)
	a.gate.WithoutToken = a.calls.WithoutToken
	var err error
	if a.may, err = access.NewReviewer(asked, func(access.Result) {}); err != nil {
		return nil, err
	}
	for _, text := range a.trouble() {
		c.log.Warn(text)
	}
	return a, nil
}

// trouble is what is served to everybody, and should not be for long.
func (a *callers) trouble() []string {
	if a.gate.Optional {
		return []string{"authentication is optional: pushes without a token are taken, for any pod; set it to required once all sidecars are of a version that sends one"}
	}
	return nil
}

// pod is the one that a push comes from; known is false where that is not known and does not matter.
func (a *callers) pod(ctx context.Context, h http.Header) (pod batch.Pod, known bool, err error) {
	if err := a.strangers.Patience(ctx); err != nil {
		return pod, false, err
	}
	who, known, err := a.gate.Caller(ctx, h)
	switch {
	case fault.Is(err, fault.Unauthenticated):
		a.strangers.Bad(ctx)
	case known && who.Pod == "":
		return pod, false, fault.New(fault.Forbidden, "the token of %s is bound to no pod, and measurements are a pod's own", who.Name)
	}
	pod = batch.Pod{Namespace: who.Namespace, Name: who.Pod}
	if known && !a.paces.Take(pod, pushes, time.Now()) {
		return pod, false, fault.New(fault.TooMany, "the pod %s pushes more than %g times a second", who.Pod, pushes.PerSecond).After(time.Second)
	}
	return pod, known, err
}

// metrics tells why somebody may not read the metrics; nil: he may.
func (a *callers) metrics(ctx context.Context, h http.Header) error {
	token, given := bearer.Of(h)
	switch {
	case a.open:
		return nil
	case !given && a.gate.Optional:
		a.calls.WithoutToken()
		return nil
	case !given:
		return fault.New(fault.Unauthenticated, "send a token in the header %s, as: Bearer TOKEN", bearer.Header)
	}
	answer, err := a.may.Review(ctx, access.Question{Token: token, Verb: "get", Resource: "metrics"})
	switch {
	case a.gate.Optional && fault.Is(err, fault.Unavailable):
		return nil
	case err != nil:
		return err
	case !answer.Authenticated:
		return fault.New(fault.Unauthenticated, "the token is not good: %s", answer.Reason)
	case !answer.Everywhere:
		return fault.New(fault.Forbidden, "%s may not get /metrics", answer.User)
	}
	return nil
}
