package identity

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func TestFollower_HearsAtOnceAndKeepsWhatItHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, a := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.ES256), &authority{}
		a.publish(errors.New("away"))
		f := NewFollower(a.fetch, quiet())
		if _, err := f.Fetch(t.Context()); err == nil || f.Known() {
			t.Error("it knows what it has not heard")
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		time.Sleep(time.Second)
		if _, err := f.Fetch(t.Context()); err == nil || err.Error() != "away" {
			t.Errorf("while nobody answers: %v", err)
		}
		a.publish(nil, first)
		time.Sleep(20 * time.Second)
		if got, err := f.Fetch(t.Context()); err != nil || got.Issuer != issuer || !f.Known() {
			t.Errorf("then: %v, %v", got, err)
		}
		a.publish(errors.New("away again"))
		time.Sleep(time.Hour)
		if _, err := f.Fetch(t.Context()); err != nil {
			t.Errorf("what was heard counts no more: %v", err)
		}
		a.publish(nil) // an answer without a key is none
		time.Sleep(time.Minute)
		if _, err := f.Fetch(t.Context()); err != nil {
			t.Errorf("nothing took the place of something: %v", err)
		}
		a.publish(nil, first, second)
		time.Sleep(time.Minute)
		before := a.fetches.Load()
		time.Sleep(10 * time.Minute)
		if n := a.fetches.Load() - before; n < 9 || n > 11 {
			t.Errorf("it asked %d times within ten minutes", n)
		}
		end()
		<-done
	})
}

// Who meets a key that is not known has it looked for soon, and not as often as he meets it.
func TestFollower_AsksSoonForAKeyThatIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, a := newSigner(t, "one", jose.ES256), newSigner(t, "two", jose.ES256), &authority{}
		a.publish(nil, first)
		f := NewFollower(a.fetch, quiet())
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go f.Run(ctx)
		time.Sleep(10 * time.Second)
		a.publish(nil, first, second)
		v := NewVerifier(Options{Keys: NewKeys(f.Fetch, quiet()), Log: quiet()})
		fresh := func(m map[string]any) {
			m["iat"], m["nbf"], m["exp"] = time.Now().Unix(), time.Now().Unix(), time.Now().Add(time.Hour).Unix()
		}
		before := a.fetches.Load()
		if _, err := v.Verify(ctx, first.token(t, fresh)); err != nil { // it has them asked for already
			t.Fatal(err)
		}
		token := second.token(t, fresh)
		var err error
		for range 100 {
			time.Sleep(300 * time.Millisecond)
			_, err = v.Verify(ctx, token)
		}
		if n := a.fetches.Load() - before; err != nil || n < 1 || n > 7 {
			t.Errorf("after half a minute: %v, asked %d times", err, n)
		}
	})
}

func TestGate_LetsThroughWhomItShould(t *testing.T) {
	key, a := newSigner(t, "one", jose.ES256), &authority{}
	a.publish(nil, key)
	good, expired := key.token(t, nil), key.token(t, set("exp", begin.Add(-time.Hour).Unix()))
	const refused, away = fault.Unauthenticated, fault.Unavailable
	for name, c := range map[string]struct {
		header             http.Header
		keys               bool
		required, optional fault.Code // "": let through
		known              bool
	}{
		"nobody":                  {nil, true, refused, "", false},
		"a good token":            {http.Header{"Authorization": {"Bearer " + good}}, true, "", "", true},
		"in the other header":     {http.Header{"Nemesis-Authorization": {"Bearer " + good}}, true, "", "", true},
		"a bad one before a good": {http.Header{"Nemesis-Authorization": {"Bearer " + expired}, "Authorization": {"Bearer " + good}}, true, refused, refused, false},
		"expired":                 {http.Header{"Authorization": {"Bearer " + expired}}, true, refused, refused, false},
		"no token of ours":        {http.Header{"Authorization": {"Basic YTpi"}}, true, refused, refused, false},
		"good, and no keys":       {http.Header{"Authorization": {"Bearer " + good}}, false, away, "", false},
		"nobody, and no keys":     {nil, false, refused, "", false},
		"no token, and no keys":   {http.Header{"Authorization": {"Basic YTpi"}}, false, refused, refused, false},
	} {
		for optional, want := range map[bool]fault.Code{false: c.required, true: c.optional} {
			var ready atomic.Bool
			ready.Store(c.keys)
			g := Gate{Verifier: verifier(t, a, &clock{}, nil), Ready: ready.Load, Optional: optional}
			who, known, err := g.Caller(t.Context(), c.header)
			if want == "" && (err != nil || known != c.known || known && who.Pod != "cart-1") || want != "" && (!fault.Is(err, want) || known) {
				t.Errorf("%s, optional %v: %+v %v %v", name, optional, who, known, err)
			}
		}
	}
}
