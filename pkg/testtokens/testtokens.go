// Package testtokens is an issuer of service-account tokens for tests: what it signs looks as the kubelet
// hands it to a pod, and is verified by the keys that it publishes.
package testtokens

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/nemesis-scaling/nemesis/pkg/identity"
)

// Name is the issuer's.
const Name = "https://kubernetes.default.svc.cluster.local"

// Issuer signs tokens.
type Issuer struct{ key *ecdsa.PrivateKey }

// New makes one with a key of its own.
func New(tb testing.TB) *Issuer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &Issuer{key}
}

// Published is what it publishes.
func (i *Issuer) Published(tb testing.TB) identity.Published {
	tb.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "one", Use: "sig", Algorithm: string(jose.ES256)}}}
	text, err := json.Marshal(set)
	if err != nil {
		tb.Fatal(err)
	}
	return identity.Published{Issuer: Name, JWKS: text}
}

// Keys are the published ones as a list of objects.
func (i *Issuer) Keys(tb testing.TB) []map[string]any {
	tb.Helper()
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(i.Published(tb).JWKS, &set); err != nil {
		tb.Fatal(err)
	}
	return set.Keys
}

// Token is that of a pod, for an hour from now, but for what is changed in its claims. A pod "" is a token
// that is bound to none.
func (i *Issuer) Token(tb testing.TB, namespace, account, pod string, change ...func(claims map[string]any)) string {
	tb.Helper()
	now := time.Now()
	kubernetes := map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": account, "uid": "s"}}
	if pod != "" {
		kubernetes["pod"] = map[string]any{"name": pod, "uid": "p"}
	}
	claims := map[string]any{
		"iss": Name, "aud": []string{identity.Audience}, "sub": "system:serviceaccount:" + namespace + ":" + account,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "kubernetes.io": kubernetes,
	}
	for _, c := range change {
		c(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "one"}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}
