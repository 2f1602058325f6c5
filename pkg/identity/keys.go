package identity

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Published is what an issuer of tokens publishes: its name, and its keys as JSON (RFC 7517).
type Published struct {
	Issuer string
	JWKS   []byte
}

// Fetch reads what the issuer publishes now: from the API server (/openid/v1/jwks), or from who has read
// it there.
type Fetch func(ctx context.Context) (Published, error)

// The times of the keys: a rotation shows a new key before it signs by it, so that none of these matters
// to those who come with a good token.
const (
	refetchAfter = 5 * time.Minute  // also those that were withdrawn are forgotten
	retryAfter   = 10 * time.Second // after a failure, and for a key that is not known
	fetchTimeout = 5 * time.Second
	leeway       = 10 * time.Second // clocks may differ by
	maxKeys      = 64               // of one issuer
	maxJWKS      = 256 << 10        // bytes
)

// algorithms are those by which an API server signs (--service-account-signing-key-file); never none,
// and none with a shared secret.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// Keys are the public keys of an issuer, fetched when they are needed and kept. What was fetched goes on
// to count when the issuer does not answer.
type Keys struct {
	fetch Fetch
	log   *slog.Logger
	gate  chan struct{} // who fetches holds it; the others wait for what comes

	withdrawn atomic.Uint64 // how often a key was, that had been published before

	mu      sync.Mutex
	issuer  string
	keys    map[string]jose.JSONWebKey // by their ID
	fetched time.Time                  // the last time that it went well
	tried   time.Time
	failed  error
	looking bool // they are read anew while nobody waits for it
}

// NewKeys makes a set that is fetched when a token is to be verified.
func NewKeys(fetch Fetch, log *slog.Logger) *Keys {
	return &Keys{fetch: fetch, log: log, gate: make(chan struct{}, 1)}
}

// errNoKeys is that no key of the issuer is known.
var errNoKeys = errors.New("the issuer's keys are not known")

// claims are what a token of Kubernetes says, beside what all say.
type claims struct {
	jwt.Claims
	Kubernetes struct {
		Namespace      string `json:"namespace"`
		ServiceAccount struct {
			Name string `json:"name"`
		} `json:"serviceaccount"`
		Pod struct {
			Name string `json:"name"`
			UID  string `json:"uid"`
		} `json:"pod"`
		Node struct {
			Name string `json:"name"`
		} `json:"node"`
	} `json:"kubernetes.io"`
}

// verify says whose token this is. errNoKeys: that cannot be said now.
func (k *Keys) verify(ctx context.Context, token string, now time.Time) (Identity, error) {
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return Identity{}, fault.New(fault.Unauthenticated, "the token is not a signed JSON Web Token of a service account").Because(err)
	}
	if len(parsed.Headers) != 1 {
		return Identity{}, fault.New(fault.Unauthenticated, "the token has %d signatures: must be 1", len(parsed.Headers))
	}
	key, issuer, err := k.key(ctx, parsed.Headers[0].KeyID, now)
	if err != nil {
		return Identity{}, err
	}
	var c claims
	if err := parsed.Claims(key.Key, &c); err != nil {
		return Identity{}, fault.New(fault.Unauthenticated, "the token's signature is not its issuer's").Because(err)
	}
	if err := fits(c, issuer, now); err != nil {
		return Identity{}, err
	}
	return whose(c)
}

// fits tells why a token that is signed well is not for us, or not now.
func fits(c claims, issuer string, now time.Time) error {
	switch {
	case c.Issuer != issuer:
		return fault.New(fault.Unauthenticated, "the token is of another issuer than this cluster's")
	case !slices.Contains(c.Audience, Audience):
		return fault.New(fault.Unauthenticated, "the token is for the audience %s: must be for %s", shown(strings.Join(c.Audience, ", ")), Audience)
	case c.Expiry == nil:
		return fault.New(fault.Unauthenticated, "the token never expires: must be a projected one, which does")
	case !now.Before(c.Expiry.Time().Add(leeway)):
		return fault.New(fault.Unauthenticated, "the token expired at %s", c.Expiry.Time().UTC().Format(time.RFC3339))
	case c.NotBefore != nil && now.Add(leeway).Before(c.NotBefore.Time()):
		return fault.New(fault.Unauthenticated, "the token is not valid before %s", c.NotBefore.Time().UTC().Format(time.RFC3339))
	}
	return nil
}

// whose is the identity that a token's claims name.
func whose(c claims) (Identity, error) {
	k := c.Kubernetes
	if k.Namespace == "" || k.ServiceAccount.Name == "" || c.Subject != "system:serviceaccount:"+k.Namespace+":"+k.ServiceAccount.Name {
		return Identity{}, fault.New(fault.Unauthenticated, "the token names no service account")
	}
	return Identity{
		Name: c.Subject, Namespace: k.Namespace, Account: k.ServiceAccount.Name,
		Pod: k.Pod.Name, PodUID: k.Pod.UID, Node: k.Node.Name, Expires: c.Expiry.Time().Add(leeway),
	}, nil
}

// shown bounds what a token can put into an answer.
func shown(text string) string {
	const most = 100
	if len(text) > most {
		return text[:most] + "…"
	}
	if text == "" {
		return "of nobody"
	}
	return text
}

// key is the issuer's key of an ID.
func (k *Keys) key(ctx context.Context, id string, now time.Time) (jose.JSONWebKey, string, error) {
	for range 2 {
		key, issuer, wanted, err := k.have(id, now)
		if !wanted {
			return key, issuer, err
		}
		if err := k.refresh(ctx, id, now); err != nil {
			return jose.JSONWebKey{}, "", fmt.Errorf("%w: %w", errNoKeys, err)
		}
	}
	key, issuer, _, err := k.have(id, now)
	return key, issuer, err
}

// have is the key of an ID, and whether a fetch is wanted first.
func (k *Keys) have(id string, now time.Time) (key jose.JSONWebKey, issuer string, wanted bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, found := k.keys[id]
	old := now.Sub(k.fetched) >= refetchAfter
	if (!found || old) && now.Sub(k.tried) >= retryAfter {
		return key, k.issuer, true, nil
	}
	switch {
	case found:
		return key, k.issuer, false, nil
	case len(k.keys) == 0:
		return jose.JSONWebKey{}, "", false, fmt.Errorf("%w: %w", errNoKeys, k.failed)
	}
	return jose.JSONWebKey{}, "", false, fault.New(fault.Unauthenticated, "the token is signed by a key that its issuer does not publish")
}

// look has the keys read anew when that is due, while nobody waits for it: who sends nothing but tokens that are known
// already would otherwise never hear that a key was withdrawn.
func (k *Keys) look(ctx context.Context, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.looking || len(k.keys) == 0 || now.Sub(k.fetched) < refetchAfter || now.Sub(k.tried) < retryAfter {
		return
	}
	k.looking = true
	go func() {
		_ = k.refresh(context.WithoutCancel(ctx), "", now) // it says itself what went wrong
		k.mu.Lock()
		defer k.mu.Unlock()
		k.looking = false
	}()
}

// refresh fetches, unless another did meanwhile.
func (k *Keys) refresh(ctx context.Context, id string, now time.Time) error {
	select {
	case k.gate <- struct{}{}:
		defer func() { <-k.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, _, wanted, _ := k.have(id, now); !wanted {
		return nil
	}
	// Others wait for what comes, so that it does not end with the one who asked first.
	fetching, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	published, err := k.fetch(fetching)
	var keys map[string]jose.JSONWebKey
	if err == nil {
		keys, err = read(published)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failed = now, err
	if err != nil {
		k.log.Warn("the keys of the tokens' issuer could not be read; those read before count on", "keys", len(k.keys), "error", err)
		return nil
	}
	if k.issuer != "" && (k.issuer != published.Issuer || !holdAll(keys, k.keys)) {
		k.withdrawn.Add(1)
	}
	k.issuer, k.keys, k.fetched = published.Issuer, keys, now
	return nil
}

// holdAll tells whether each of some keys is among others.
func holdAll(all, some map[string]jose.JSONWebKey) bool {
	for id, key := range some {
		now, found := all[id]
		if public, ok := now.Key.(interface{ Equal(crypto.PublicKey) bool }); !found || !ok || !public.Equal(key.Key) {
			return false
		}
	}
	return true
}

// read reads the keys that verify signatures; a key of a kind that is not known is left out.
func read(p Published) (map[string]jose.JSONWebKey, error) {
	if p.Issuer == "" {
		return nil, errors.New("the issuer has no name")
	}
	if len(p.JWKS) > maxJWKS {
		return nil, fmt.Errorf("the issuer's keys have %d bytes: at most %d are read", len(p.JWKS), maxJWKS)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(p.JWKS, &set); err != nil {
		return nil, fmt.Errorf("the issuer's keys: %w", err)
	}
	keys := map[string]jose.JSONWebKey{}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(text); err != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("the issuer has more than %d keys", maxKeys)
		}
		keys[key.KeyID] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer publishes no key that verifies signatures")
	}
	return keys, nil
}
