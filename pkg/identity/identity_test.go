package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

const issuer = "https://kubernetes.default.svc.cluster.local"

var begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// authority is an issuer of tokens, of which a test says what it publishes.
type authority struct {
	mu        sync.Mutex
	published []jose.JSONWebKey
	fails     error
	fetches   atomic.Int32
}

func (a *authority) fetch(context.Context) (Published, error) {
	a.fetches.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails != nil {
		return Published{}, a.fails
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: a.published})
	return Published{Issuer: issuer, JWKS: text}, err
}

func (a *authority) publish(err error, keys ...signer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fails, a.published = err, nil
	for _, k := range keys {
		a.published = append(a.published, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Use: "sig", Algorithm: string(k.algorithm)})
	}
}

// signer is a key of an issuer.
type signer struct {
	id        string
	algorithm jose.SignatureAlgorithm
	key       crypto.Signer
}

func newSigner(tb testing.TB, id string, algorithm jose.SignatureAlgorithm) signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	if algorithm == jose.RS256 {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return signer{id, algorithm, key}
}

// token is what the kubelet hands to a pod, but for the changes.
func (s signer) token(tb testing.TB, change func(map[string]any)) string {
	tb.Helper()
	c := map[string]any{
		"iss": issuer, "aud": []string{Audience}, "sub": "system:serviceaccount:shop:default",
		"iat": begin.Unix(), "nbf": begin.Unix(), "exp": begin.Add(time.Hour).Unix(), "jti": "1",
		"kubernetes.io": map[string]any{
			"namespace": "shop", "node": map[string]any{"name": "node-a", "uid": "n"},
			"pod":            map[string]any{"name": "cart-1", "uid": "p"},
			"serviceaccount": map[string]any{"name": "default", "uid": "s"},
		},
	}
	if change != nil {
		change(c)
	}
	with, err := jose.NewSigner(jose.SigningKey{Algorithm: s.algorithm, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := jwt.Signed(with).Claims(c).Serialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// clock is the time of a test.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time                  { return begin.Add(time.Duration(c.Load())) }
func (c *clock) pass(d time.Duration)            { c.Add(int64(d)) }
func quiet() *slog.Logger                        { return slog.New(slog.DiscardHandler) }
func set(k string, v any) func(m map[string]any) { return func(m map[string]any) { m[k] = v } }
func kubernetes(k string, v any) func(m map[string]any) {
	return func(m map[string]any) { m["kubernetes.io"].(map[string]any)[k] = v } //nolint:forcetypeassert // token makes it
}

func verifier(tb testing.TB, a *authority, c *clock, change func(*Options)) *Verifier {
	tb.Helper()
	o := Options{Keys: NewKeys(a.fetch, quiet()), Log: quiet(), Now: c.now}
	if change != nil {
		change(&o)
	}
	return NewVerifier(o)
}

func TestVerify_NamesAccountPodAndNode(t *testing.T) {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		key, a := newSigner(t, "one", algorithm), &authority{}
		a.publish(nil, key)
		got, err := verifier(t, a, &clock{}, nil).Verify(t.Context(), key.token(t, nil))
		want := Identity{
			Name: "system:serviceaccount:shop:default", Namespace: "shop", Account: "default",
			Pod: "cart-1", PodUID: "p", Node: "node-a", Expires: begin.Add(time.Hour + leeway),
		}
		got.Expires = got.Expires.UTC()
		if err != nil || got != want {
			t.Errorf("%s: %+v %v", algorithm, got, err)
		}
		if !got.Is("shop", "default") || got.Is("shop", "other") || got.Is("other", "default") || (Identity{}).Is("", "") {
			t.Errorf("%s: Is", algorithm)
		}
	}
}

func TestVerify_RefusesAndSaysWhy(t *testing.T) {
	key, stranger, a := newSigner(t, "one", jose.ES256), newSigner(t, "one", jose.ES256), &authority{}
	a.publish(nil, key)
	good := key.token(t, nil)
	shared, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := jwt.Signed(shared).Claims(map[string]any{"iss": issuer}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	unknown := newSigner(t, "two", jose.ES256)
	for _, c := range []struct{ name, token, want string }{
		{"none", "", "send a token for the audience nemesis"},
		{"not a token", "nonsense", "not a signed JSON Web Token"},
		{"too long", strings.Repeat("x", maxToken+1), "has 8193 bytes: at most 8192"},
		{"a shared secret", secret, "not a signed JSON Web Token"},
		{"without a signature", good[:strings.LastIndex(good, ".")+1], "signature is not its issuer's"},
		{"another's key of the same ID", stranger.token(t, nil), "signature is not its issuer's"},
		{"a key that is not published", unknown.token(t, nil), "a key that its issuer does not publish"},
		{"another issuer", key.token(t, set("iss", "https://elsewhere")), "of another issuer"},
		{"the API server's audience", key.token(t, set("aud", []string{issuer})), "for the audience " + issuer + ": must be for nemesis"},
		{"no audience", key.token(t, set("aud", []string{})), "for the audience of nobody"},
		{"expired", key.token(t, set("exp", begin.Add(-leeway).Unix())), "expired at 2026-11-01T11:59:50Z"},
		{"for ever", key.token(t, func(m map[string]any) { delete(m, "exp") }), "never expires"},
		{"not yet", key.token(t, set("nbf", begin.Add(leeway+time.Second).Unix())), "not valid before 2026-11-01T12:00:11Z"},
		{"a person", key.token(t, set("sub", "jane")), "names no service account"},
		{"another's name", key.token(t, kubernetes("namespace", "other")), "names no service account"},
		{"no account", key.token(t, kubernetes("serviceaccount", map[string]any{})), "names no service account"},
	} {
		var outcome Outcome
		v := verifier(t, a, &clock{}, func(o *Options) { o.Judged = func(x Outcome) { outcome = x } })
		who, err := v.Verify(t.Context(), c.token)
		if !fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), c.want) || who != (Identity{}) || outcome != Refused {
			t.Errorf("%s: %v %v, want %q", c.name, outcome, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), good) {
			t.Errorf("%s: the answer has the token", c.name)
		}
	}
}

func TestVerify_ATokenIsVerifiedOnceAndNoLongerThanItLives(t *testing.T) {
	key, a, now := newSigner(t, "one", jose.ES256), &authority{}, &clock{}
	a.publish(nil, key)
	counts := map[Outcome]int{}
	v := verifier(t, a, now, func(o *Options) { o.Judged = func(x Outcome) { counts[x]++ } })
	token := key.token(t, nil)
	for range 10 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if counts[Verified] != 1 || counts[Known] != 9 || a.fetches.Load() != 1 {
		t.Errorf("%v, %d fetches", counts, a.fetches.Load())
	}
	now.pass(time.Hour + leeway)
	if _, err := v.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after its end: %v", err)
	}
}

func TestVerify_WhatIsRememberedIsBounded(t *testing.T) {
	key, a := newSigner(t, "one", jose.ES256), &authority{}
	a.publish(nil, key)
	v := verifier(t, a, &clock{}, func(o *Options) { o.Known = 3 })
	for i := range 10 {
		if _, err := v.Verify(t.Context(), key.token(t, set("jti", fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.known) != 3 {
		t.Errorf("%d are remembered", len(v.known))
	}
}

func TestVerify_KeysRotate(t *testing.T) {
	first, second, a, now := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.RS256), &authority{}, &clock{}
	a.publish(nil, first)
	v := verifier(t, a, now, nil)
	try := func(s signer, id string) error {
		_, err := v.Verify(t.Context(), s.token(t, set("jti", id)))
		return err
	}
	if err := try(first, "a"); err != nil {
		t.Fatal(err)
	}
	a.publish(nil, first, second)
	if err := try(second, "b"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that is not known is looked for at most every %v: %v", retryAfter, err)
	}
	now.pass(retryAfter)
	if err := errors.Join(try(second, "c"), try(first, "d")); err != nil {
		t.Errorf("the new key: %v", err)
	}
	a.publish(nil, second)
	now.pass(refetchAfter)
	if err := try(first, "e"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that was withdrawn: %v", err)
	}
	a.publish(errors.New("away"))
	now.pass(refetchAfter)
	if err := try(second, "f"); err != nil {
		t.Errorf("the issuer is away, and its keys are known: %v", err)
	}
	before := a.fetches.Load()
	for i := range 50 {
		_ = try(first, fmt.Sprint("g", i))
	}
	if n := a.fetches.Load() - before; n > 0 {
		t.Errorf("tokens by a key that is not known made %d fetches", n)
	}
}

// review is an API server that knows one token.
type review struct {
	token string
	calls atomic.Int32
	err   error
}

func (r *review) Review(_ context.Context, token string) (Identity, error) {
	r.calls.Add(1)
	switch {
	case r.err != nil:
		return Identity{}, r.err
	case token != r.token:
		return Identity{}, fault.New(fault.Unauthenticated, "not known")
	}
	return Identity{Name: "system:serviceaccount:shop:default", Namespace: "shop", Account: "default"}, nil
}

func TestVerify_WithoutKeysTheAPIServerIsAsked(t *testing.T) {
	key, a, now := newSigner(t, "one", jose.ES256), &authority{}, &clock{}
	a.publish(errors.New("404"))
	token := key.token(t, nil)
	r := &review{token: token}
	counts := map[Outcome]int{}
	v := verifier(t, a, now, func(o *Options) {
		o.Review, o.Judged = r, func(x Outcome) { counts[x]++ }
	})
	for range 5 {
		if who, err := v.Verify(t.Context(), token); err != nil || who.Account != "default" {
			t.Fatal(who, err)
		}
	}
	if r.calls.Load() != 1 || counts[Known] != 4 || counts[Reviewed] != 1 {
		t.Errorf("%d calls, %v", r.calls.Load(), counts)
	}
	now.pass(reviewedFor)
	if _, err := v.Verify(t.Context(), token); err != nil || r.calls.Load() != 2 {
		t.Errorf("the API server's word counts %v: %d calls, %v", reviewedFor, r.calls.Load(), err)
	}
	if _, err := v.Verify(t.Context(), key.token(t, set("jti", "2"))); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("one it does not know: %v", err)
	}
	r.err = fault.New(fault.Unavailable, "away")
	if _, err := v.Verify(t.Context(), key.token(t, set("jti", "3"))); !fault.Is(err, fault.Unavailable) || counts[Failed] != 1 {
		t.Errorf("it is away: %v %v", err, counts)
	}
	a.publish(nil, key)
	now.pass(retryAfter)
	if _, err := v.Verify(t.Context(), key.token(t, set("jti", "4"))); err != nil || counts[Verified] != 1 {
		t.Errorf("the keys are there now: %v %v", err, counts)
	}
}

func TestVerify_WithoutKeysAndAPIServerIsUnavailable(t *testing.T) {
	key := newSigner(t, "one", jose.ES256)
	for name, p := range map[string]func(context.Context) (Published, error){
		"no answer": func(context.Context) (Published, error) { return Published{}, errors.New("away") },
		"no name":   func(context.Context) (Published, error) { return Published{JWKS: []byte(`{"keys":[]}`)}, nil },
		"no keys": func(context.Context) (Published, error) {
			return Published{Issuer: issuer, JWKS: []byte(`{"keys":[]}`)}, nil
		},
		"no JSON": func(context.Context) (Published, error) {
			return Published{Issuer: issuer, JWKS: []byte(`<html>`)}, nil
		},
		"too much": func(context.Context) (Published, error) {
			return Published{Issuer: issuer, JWKS: make([]byte, maxJWKS+1)}, nil
		},
		"a kind unknown": func(context.Context) (Published, error) {
			return Published{Issuer: issuer, JWKS: []byte(`{"keys":[{"kty":"new","kid":"one"}]}`)}, nil
		},
	} {
		v := NewVerifier(Options{Keys: NewKeys(p, quiet()), Log: quiet(), Now: (&clock{}).now})
		if _, err := v.Verify(t.Context(), key.token(t, nil)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerify_ManyAtOnceFetchOnce(t *testing.T) {
	for range 20 {
		key, a := newSigner(t, "one", jose.ES256), &authority{}
		a.publish(nil, key)
		v := verifier(t, a, &clock{}, nil)
		var all sync.WaitGroup
		for i := range 16 {
			token := key.token(t, set("jti", fmt.Sprint(i)))
			all.Go(func() {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := a.fetches.Load(); n != 1 {
			t.Fatalf("%d fetches", n)
		}
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER  abc ": "abc", "abc": "", "Basic abc": "", "": "", "Bearer": "", "Bearer ": "",
	} {
		if got := Bearer(header); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

// Nobody comes but who is known: the keys are looked at all the same, and nobody waits for it.
func TestVerify_WhatIsKnownEndsWithItsKeyWhoeverElseComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stolen, other, a, now := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.ES256), &authority{}, &clock{}
		a.publish(nil, stolen, other)
		v := verifier(t, a, now, nil)
		forged := stolen.token(t, set("exp", begin.AddDate(10, 0, 0).Unix()))
		verify := func() error {
			_, err := v.Verify(t.Context(), forged)
			synctest.Wait()
			return err
		}
		if err := verify(); err != nil {
			t.Fatal(err)
		}
		a.publish(errors.New("away"))
		now.pass(refetchAfter)
		for range 3 {
			if err := verify(); err != nil {
				t.Errorf("while the issuer is away: %v", err)
			}
		}
		if n := a.fetches.Load(); n != 2 {
			t.Errorf("%d fetches", n)
		}
		a.publish(nil, other)
		now.pass(retryAfter)
		if err := verify(); err != nil { // it is the one that has them looked at
			t.Error(err)
		}
		if err := verify(); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("by a key that was withdrawn: %v", err)
		}
		for range 3 {
			_ = verify()
		}
		if n := a.fetches.Load(); n != 3 {
			t.Errorf("%d fetches", n)
		}
	})
}

func FuzzVerify(f *testing.F) {
	key, a := newSigner(f, "one", jose.ES256), &authority{}
	a.publish(nil, key)
	v := verifier(f, a, &clock{}, nil)
	good := key.token(f, nil)
	f.Add(good)
	f.Add("a.b.c")
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, token string) {
		who, err := v.Verify(t.Context(), token)
		if (err == nil) != (who != Identity{}) {
			t.Errorf("%+v with %v", who, err)
		}
		// A signature has more than one spelling; what it signs has not.
		if err == nil && !strings.HasPrefix(token, good[:strings.LastIndex(good, ".")+1]) {
			t.Errorf("%q is taken", token)
		}
	})
}

// What a push pays for being who it is: a token that was seen before, and one that was not.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		key, a := newSigner(b, "one", algorithm), &authority{}
		a.publish(nil, key)
		token := key.token(b, nil)
		b.Run(string(algorithm)+"/known", func(b *testing.B) {
			v := verifier(b, a, &clock{}, nil)
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(algorithm)+"/new", func(b *testing.B) {
			k := NewKeys(a.fetch, quiet())
			for b.Loop() {
				if _, err := k.verify(b.Context(), token, begin); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Who has stolen a key makes a token that ends in ten years: it ends with the key, also where it is known.
func TestVerify_WhatIsKnownEndsWithItsKey(t *testing.T) {
	stolen, other, a, now := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.ES256), &authority{}, &clock{}
	a.publish(nil, stolen, other)
	v := verifier(t, a, now, nil)
	forged := stolen.token(t, set("exp", begin.AddDate(10, 0, 0).Unix()))
	for _, token := range []string{forged, other.token(t, nil)} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	a.publish(nil, newSigner(t, "one", jose.ES256), other) // another one of the same name
	now.pass(refetchAfter)
	if _, err := v.Verify(t.Context(), other.token(t, set("jti", "2"))); err != nil { // one that is not known has the keys looked at
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), forged); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("by a key that was withdrawn: %v", err)
	}
}
