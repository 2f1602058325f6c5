// Package reviews asks the API server whose a token is and what its bearer may, and what it publishes of the keys
// of service-account tokens.
//
// A person is judged by its own token: the API server is asked with it who that is (SelfSubjectReview) and whether
// it may (SelfSubjectAccessReview). Every user of a cluster may ask that about itself (the ClusterRole
// system:basic-user), so the controller needs no right for it, where TokenReview and SubjectAccessReview would
// give it one over the whole cluster and could not be had by Roles alone. What is asked counts among the caller's
// own calls (priority and fairness, audit), and what a token is restricted by, be it its audience, its scopes or
// its groups, the API server knows without being told. A token that it would not take is no good here either.
//
// The tokens of services are for our own audience, which the API server does not take: it publishes their keys,
// which every service account may read (system:service-account-issuer-discovery). Where it does not, they are left
// to TokenReview, if the controller has that right.
package reviews

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	group       = "autoscaler-group.autoscaler"
	resource    = "customautoscalers"
	metricsPath = "/metrics"

	maxAnswer = 512 << 10 // bytes; keys are the most of it
	inFlight  = 64        // questions of one replica at a time; more wait
	ofOne     = 8         // of them, of those who call from one address, or of one load balancer that asks about others
	waitOfOne = 1000      // and that wait for these
	badOfOne  = 10        // tokens that are no good, from one address, of which is asked in a second
)

// Server is the API server, as it is asked about tokens.
type Server struct {
	base   *url.URL
	caller *http.Client // no credentials of its own
	self   *http.Client // the controller's own account
	share  *fairshare.Share
}

// New makes it. It does not speak to the API server yet.
func New(c *kube.Clients) (*Server, error) {
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	caller, err := rest.HTTPClientFor(rest.AnonymousClientConfig(c.Config))
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	self, err := rest.HTTPClientFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	return &Server{base: base, caller: caller, self: self, share: newShare(nil)}, nil
}

func newShare(now func() time.Time) *fairshare.Share {
	return fairshare.New(fairshare.Options{
		Places: inFlight, Each: ofOne, Waiting: waitOfOne, BadPerSecond: badOfOne, BadAtOnce: 10 * badOfOne, Now: now,
	})
}

// Who is the name of the user whose token it is. Errors are those of pkg/fault: Unauthenticated, Forbidden where the
// user may not even ask that, Unavailable; TooMany where the address that the context names (fairshare.From) has more
// than its share.
func (s *Server) Who(ctx context.Context, token string) (string, error) {
	if err := s.share.Patience(ctx); err != nil {
		return "", err //nolint:wrapcheck // it says that it is for too many
	}
	var answer authenticationv1.SelfSubjectReview
	err := s.ask(ctx, token, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &authenticationv1.SelfSubjectReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "SelfSubjectReview"},
	}, &answer)
	if fault.Is(err, fault.Unauthenticated) {
		s.share.Bad(ctx)
	}
	if err == nil && answer.Status.UserInfo.Username == "" {
		err = fault.New(fault.Unauthenticated, "the Kubernetes API server has no name for whose token this is")
	}
	return answer.Status.UserInfo.Username, err
}

// May tells whether the bearer of a token has a right in a namespace; "" is everywhere. Errors are those of Who.
func (s *Server) May(ctx context.Context, token string, right access.Right, namespace string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
	}
	if right.Metrics {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: metricsPath, Verb: right.Verb}
	} else {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: right.Verb, Group: group, Resource: resource, Subresource: right.Subresource,
		}
	}
	var answer authorizationv1.SelfSubjectAccessReview
	if err := s.ask(ctx, token, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &answer); err != nil {
		return false, err
	}
	return answer.Status.Allowed && !answer.Status.Denied, nil
}

// Review says whose the token of a service is, by the controller's own right to ask that (TokenReview).
func (s *Server) Review(ctx context.Context, token string) (identity.Identity, error) {
	var answer authenticationv1.TokenReview
	err := s.send(ctx, s.self, "", "/apis/authentication.k8s.io/v1/tokenreviews", &authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{identity.Audience}},
	}, &answer)
	switch {
	case err != nil:
		return identity.Identity{}, fault.New(fault.Unavailable, "tokens of services cannot be verified now: neither are the keys of their issuer known, nor is a TokenReview answered").
			Because(err).After(time.Second)
	case !answer.Status.Authenticated || !slices.Contains(answer.Status.Audiences, identity.Audience):
		return identity.Identity{}, fault.New(fault.Unauthenticated, "the Kubernetes API server does not take the token for one for the audience %s", identity.Audience)
	}
	return identityOf(answer.Status.User)
}

// ask asks with the caller's own token.
func (s *Server) ask(ctx context.Context, token, path string, question, answer any) error {
	if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }) { // which no header can carry to it
		return fault.New(fault.Unauthenticated, "the token has letters that none can have: none but visible ones of ASCII")
	}
	return s.send(ctx, s.caller, token, path, question, answer)
}

func (s *Server) send(ctx context.Context, client *http.Client, token, path string, question, answer any) error {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	free, err := s.share.Take(ctx)
	if err != nil {
		return err //nolint:wrapcheck // it says that it is for too many
	}
	defer free()
	text, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("review: %w", err)
	}
	at := *s.base
	at.Path = path
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("review: %w", err)
	}
	out.Header.Set("Content-Type", "application/json")
	out.Header.Set("Accept", "application/json")
	if token != "" {
		out.Header.Set("Authorization", "Bearer "+token)
	}
	return receive(client, out, answer)
}

func receive(client *http.Client, out *http.Request, answer any) error {
	response, err := client.Do(out)
	if err != nil {
		return unanswered(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := httpclient.ReadAll(response.Body, maxAnswer)
	if err != nil {
		return unanswered(err)
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated:
	case http.StatusUnauthorized:
		return fault.New(fault.Unauthenticated, "the Kubernetes API server does not take the token: it has expired, is for another audience, or is none of this cluster's")
	case http.StatusForbidden:
		return fault.New(fault.Forbidden, "the Kubernetes API server does not let the bearer of the token ask what it may (the ClusterRole system:basic-user does)")
	default:
		return unanswered(fmt.Errorf("%s: %.200q", response.Status, body))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return unanswered(err)
	}
	return nil
}

func unanswered(err error) error {
	return fault.New(fault.Unavailable, "the Kubernetes API server does not answer what the bearer of the token may").Because(err).After(time.Second)
}

// Published is what the API server publishes of the issuer of service-account tokens.
func (s *Server) Published(ctx context.Context) (identity.Published, error) {
	var about struct {
		Issuer string `json:"issuer"`
	}
	text, err := s.get(ctx, "/.well-known/openid-configuration")
	if err == nil {
		err = json.Unmarshal(text, &about)
	}
	if err != nil {
		return identity.Published{}, fmt.Errorf("the issuer of service-account tokens: %w", err)
	}
	keys, err := s.get(ctx, "/openid/v1/jwks")
	if err != nil {
		return identity.Published{}, fmt.Errorf("the keys of service-account tokens: %w", err)
	}
	return identity.Published{Issuer: about.Issuer, JWKS: keys}, nil
}

func (s *Server) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	at := *s.base
	at.Path = path
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says of what
	}
	response, err := s.self.Do(out)
	if err != nil {
		return nil, err //nolint:wrapcheck // likewise
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
		return nil, fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return httpclient.ReadAll(response.Body, maxAnswer) //nolint:wrapcheck // likewise
}
