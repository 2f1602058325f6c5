package app

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/reviews"
)

// knownTokens is how many tokens of sidecars are verified once in an hour and not with each push: some 20 MB when
// there are as many.
const knownTokens = 100_000

// callsAtOnce is how many seconds' worth of calls a person may make at once.
const callsAtOnce = 4

// newGuard makes what judges who calls.
func newGuard(clients *kube.Clients, log *slog.Logger, s *Settings, counted *judgements, named *audit, pods ...guard.Pods) (*guard.Guard, error) {
	server, err := reviews.New(clients)
	if err != nil {
		return nil, err
	}
	people := reviews.NewRemembered(server, counted.asked, nil)
	services := identity.NewVerifier(identity.Options{
		Keys: identity.NewKeys(people.Published, log), Review: server, Known: knownTokens, Judged: counted.judged, Log: log,
	})
	return guard.New(guard.Options{
		Services: services, People: people, Keys: people,
		Balancers: s.accounts(s.BalancerAccounts, "load-balancer"), Collectors: s.accounts(s.CollectorAccounts, "metrics-collector"),
		Pods: pods, Controllers: s.accounts(s.ControllerAccounts, serviceName),
		Watched: s.WatchNamespace, Optional: s.Authentication == authentication.Optional, OpenMetrics: s.OpenMetrics,
		WithoutToken: counted.calls.WithoutToken,
		Refused: func(ctx context.Context, r guard.Refusal) {
			counted.refused(r.Operation, r.Code)
			named.Refused(ctx, r)
		},
		Paces: guard.Services(guard.Pace{PerSecond: float64(s.CallsPerSecond), Burst: callsAtOnce * s.CallsPerSecond}),
	}), nil
}

// accounts are those that are named or, where none is, the one of this name in the controller's own namespace.
func (s *Settings) accounts(named, otherwise string) []access.Account {
	list, _ := authentication.Accounts(named) // Load has looked at them
	if len(list) == 0 {
		return []access.Account{{Namespace: s.Namespace, Name: otherwise}}
	}
	out := make([]access.Account, len(list))
	for i, one := range list {
		out[i] = access.Account(one)
	}
	return out
}

// open is what people should know of who is let in without a word.
func (s *Settings) open() []string {
	if s.Authentication != authentication.Optional {
		return nil
	}
	return []string{"authentication is optional: whoever sends no token may do everything; set authentication to " + authentication.Required + " when all services send one"}
}

func (s *Settings) warn(ctx context.Context, log *slog.Logger) {
	for _, one := range s.open() {
		log.WarnContext(ctx, one, "setting", "authentication")
	}
}

// judgements count how calls were judged.
type judgements struct {
	tokens    *prometheus.CounterVec
	questions *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	calls     *authentication.Calls
}

func newJudgements(registry prometheus.Registerer, isOptional bool) *judgements {
	j := &judgements{
		calls: authentication.Measure(registry, isOptional),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_service_tokens_total", Help: "Tokens of services that were judged: verified by the issuer's keys, known (verified before), reviewed by the API server, refused, or failed (nobody could say).",
		}, []string{"outcome"}),
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_access_questions_total", Help: "Questions to the API server whose a person's token is and what it allows, by its answer; what is remembered is not asked.",
		}, []string{"answer"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_calls_refused_total", Help: "Calls that were refused for who made them, by the operation and the code of the refusal.",
		}, []string{"operation", "code"}),
	}
	for _, outcome := range []identity.Outcome{identity.Verified, identity.Known, identity.Reviewed, identity.Refused, identity.Failed} {
		j.tokens.WithLabelValues(string(outcome))
	}
	for _, answer := range []string{answerAllowed, answerRefused, answerFailed} {
		j.questions.WithLabelValues(answer)
	}
	for operation, rule := range access.All() {
		if rule.Open {
			continue
		}
		for _, code := range []fault.Code{fault.Unauthenticated, fault.Forbidden, fault.TooMany} {
			j.refusals.WithLabelValues(operation, string(code))
		}
	}
	registry.MustRegister(j.tokens, j.questions, j.refusals)
	return j
}

// What the API server says of a person.
const (
	answerAllowed = "allowed"
	answerRefused = "refused"
	answerFailed  = "failed"
)

func (j *judgements) judged(o identity.Outcome) { j.tokens.WithLabelValues(string(o)).Inc() }

func (j *judgements) asked(allowed bool, err error) {
	answer := answerRefused
	switch {
	case allowed:
		answer = answerAllowed
	case err != nil && !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.Forbidden):
		answer = answerFailed
	}
	j.questions.WithLabelValues(answer).Inc()
}

func (j *judgements) refused(operation string, code fault.Code) {
	j.refusals.WithLabelValues(operation, string(code)).Inc()
}
