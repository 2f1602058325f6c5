package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/access"
	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/admin"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/controller"
)

// IdentitySettings are who this load balancer is, and whom it serves beside clients.
type IdentitySettings struct {
	TokenFile      string // this replica's token for the controller and for other load balancers; "" sends none
	Authentication string // required or optional
	OpenMetrics    bool   // GET /metrics is anybody's
	CallsPerSecond int    // of one person at the admin port; 0: any number
	Accounts       string // service accounts of other load balancers; "" is this one's own
}

func (i *IdentitySettings) declare(set *settings.Set) {
	set.String(&i.TokenFile, "token-file", bearer.DefaultFile, "a projected service-account token for the audience nemesis, which is sent to the controller and to other load balancers; empty sends none, and a file that is missing is said in the log")
	set.Choice(&i.Authentication, "authentication", authentication.Required, "whether callers of the admin port and other load balancers must bring a token; optional serves those without one as 0.1.0 did, for a rollout", authentication.Required, authentication.Optional)
	set.Bool(&i.OpenMetrics, "open-metrics", false, "serve GET /metrics to anybody, and not only to who may get /metrics in the cluster")
	set.Int(&i.CallsPerSecond, "calls-per-second", 100, 0, 1_000_000, "calls of one person to the admin port that are served, four times as many at once; 0: any number")
	set.String(&i.Accounts, "balancer-accounts", "", "service accounts of other load balancers, as namespace/name with commas between; by default the one of this load balancer's own token")
}

func (i *IdentitySettings) validate() error {
	if _, err := authentication.Accounts(i.Accounts); err != nil {
		return fmt.Errorf("balancer-accounts: %w", err)
	}
	return nil
}

// identities know who this load balancer is, and who its callers are.
type identities struct {
	settings IdentitySettings
	token    *bearer.Token
	keys     *identity.Follower
	gate     *identity.Gate
	others   *peerTokens
	peers    *prometheus.CounterVec
	admin    *prometheus.CounterVec
	reviews  *prometheus.CounterVec
	calls    *authentication.Calls
}

func newIdentities(a *App) *identities {
	s := a.settings.Identities
	i := &identities{settings: s, token: bearer.New(bearer.Options{File: s.TokenFile, Log: a.log})}
	i.keys = identity.NewFollower(func(ctx context.Context) (identity.Published, error) { return a.controller.IdentityKeys(ctx) }, a.log)
	i.others = newPeerTokens(func(ctx context.Context, token string) (access.Answer, error) {
		return a.controller.ReviewAccess(ctx, access.Question{Token: token, Verb: "get", Resource: "customautoscalers"})
	})
	i.peers = counter(a, "nemesis_lb_peer_tokens_total", "Exchanges that other load balancers asked for, by how their tokens were judged.", "outcome")
	i.peers.WithLabelValues(peerGone)
	i.admin = counter(a, "nemesis_lb_admin_calls_total", "Calls of the admin port that want a right, by what became of them.", "judgement")
	i.reviews = counter(a, "nemesis_lb_access_reviews_total", "Questions what a caller may do, by whether the controller was asked.", "result")
	for _, j := range admin.Judgements {
		i.admin.WithLabelValues(string(j))
	}
	verifier := identity.NewVerifier(identity.Options{
		Keys: identity.NewKeys(i.keys.Fetch, a.log), Known: knownPeers, Log: a.log,
		Judged: func(o identity.Outcome) { i.peers.WithLabelValues(string(o)).Inc() },
	})
	i.gate = &identity.Gate{Verifier: verifier, Ready: i.keys.Known, Optional: s.Authentication == authentication.Optional}
	i.calls = authentication.Measure(a.telemetry.Registry, i.gate.Optional)
	i.gate.WithoutToken = i.calls.WithoutToken
	a.telemetry.Registry.MustRegister(telemetry.Figures(i.token.Figures))
	for _, text := range i.open() {
		a.log.Warn(text)
	}
	return i
}

// knownPeers is how many verified tokens are remembered: some of each other load balancer.
const knownPeers = 4096

func counter(a *App, name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	a.telemetry.Registry.MustRegister(c)
	return c
}

// open is what is served to everybody, and should not be for long.
func (i *identities) open() (all []string) {
	if i.settings.Authentication == authentication.Optional {
		all = append(all, "authentication is optional: the admin port and other load balancers' port serve callers without a token; "+
			"set it to required once all services are of a version that sends one")
	}
	return all
}

// trouble is what people should look at.
func (i *identities) trouble() []string { return append(i.open(), i.token.Trouble()...) }

// guard is before the admin port.
func (i *identities) guard(asker *controller.Client) (*admin.Guard, error) {
	reviewer, err := access.NewReviewer(asker, func(r access.Result) { i.reviews.WithLabelValues(string(r)).Inc() })
	if err != nil {
		return nil, err
	}
	return admin.NewGuard(admin.GuardOptions{
		Access: reviewer, Optional: i.gate.Optional, OpenMetrics: i.settings.OpenMetrics, CallsPerSecond: i.settings.CallsPerSecond, WithoutToken: i.calls.WithoutToken,
		Judged: func(j admin.Judgement) { i.admin.WithLabelValues(string(j)).Inc() },
	})
}

// peer is the load balancer that a request comes from, by its pod; "" where that is not known and does not
// matter. It is one by its service account.
func (i *identities) peer(ctx context.Context, h http.Header) (pod string, err error) {
	who, known, err := i.gate.Caller(ctx, h)
	if err != nil || !known {
		return "", err
	}
	accounts, err := i.accounts(ctx)
	switch {
	case err != nil && i.gate.Optional:
		return "", nil
	case err != nil:
		return "", err
	case who.Pod == "" || !slices.Contains(accounts, who.Namespace+"/"+who.Account):
		return "", fault.New(fault.Forbidden, "%s is no load balancer's service account, or its token is not a pod's: this port is for load balancers alone", who.Name)
	}
	token, _ := bearer.Of(h)
	if why := i.others.refusal(ctx, token); why != "" {
		i.peers.WithLabelValues(peerGone).Inc()
		return "", fault.New(fault.Unauthenticated, "the autoscaler-controller does not take this token any more: %s", why)
	}
	return who.Pod, nil
}

// peerGone is the outcome of a token that is good by the keys, and that the controller takes no more.
const peerGone = "gone"

// accounts are those of load balancers.
func (i *identities) accounts(ctx context.Context) ([]string, error) {
	if i.settings.Accounts != "" {
		list, err := authentication.Accounts(i.settings.Accounts)
		all := make([]string, len(list))
		for at, one := range list {
			all[at] = one.String()
		}
		return all, err
	}
	own, err := i.gate.Verifier.Verify(ctx, i.token.Text())
	if err != nil {
		return nil, fault.New(fault.Unavailable, "this load balancer does not know by which service account it knows others: its own token is missing or not good").
			After(time.Second).Because(err)
	}
	return []string{own.Namespace + "/" + own.Account}, nil
}
