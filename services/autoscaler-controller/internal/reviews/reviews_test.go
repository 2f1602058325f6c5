package reviews

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// answers is an API server that writes down what is asked.
type answers struct {
	status int
	body   string
	asked  []string // method, path, whose token, body
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.asked = append(a.asked, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Authorization"), string(body)}, " "))
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func server(t *testing.T, handler http.Handler) *Server {
	t.Helper()
	api := httptest.NewServer(handler)
	t.Cleanup(api.Close)
	clients, err := kube.Connect(&rest.Config{Host: api.URL, BearerToken: "controller"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(clients)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMay_AsksWithTheCallersOwnToken(t *testing.T) {
	for want, c := range map[string]struct {
		right     access.Right
		namespace string
	}{
		`"resourceAttributes":{"namespace":"shop","verb":"list","group":"autoscaler-group.autoscaler","resource":"customautoscalers","subresource":"decisions"}`: {access.Right{Verb: access.List, Subresource: "decisions"}, "shop"},
		`"resourceAttributes":{"verb":"get","group":"autoscaler-group.autoscaler","resource":"customautoscalers"}`:                                               {access.Right{Verb: access.Get}, ""},
		`"nonResourceAttributes":{"path":"/metrics","verb":"get"}`:                                                                                               {access.Right{Verb: access.Get, Metrics: true}, ""},
	} {
		a := &answers{status: http.StatusCreated, body: `{"status":{"allowed":true}}`}
		allowed, err := server(t, a).May(t.Context(), "jane", c.right, c.namespace)
		if !allowed || err != nil {
			t.Errorf("%v %v", allowed, err)
		}
		if len(a.asked) != 1 || !strings.HasPrefix(a.asked[0], "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews Bearer jane ") || !strings.Contains(a.asked[0], want) {
			t.Errorf("asked %q, want %s", a.asked, want)
		}
	}
}

// A load balancer asks about what its own caller sent, which no header may be able to carry on.
func TestWho_WhatNoHeaderCanCarryIsNoToken(t *testing.T) {
	a := &answers{status: http.StatusCreated, body: `{"status":{"userInfo":{"username":"jane"}}}`}
	for _, token := range []string{"jane\n", "\x00", "ja ne", "j\x7f", "jané", "\xff"} {
		if _, err := server(t, a).Who(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", token, err)
		}
		if _, err := server(t, a).May(t.Context(), token, access.Right{Verb: access.Get}, ""); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", token, err)
		}
	}
	if len(a.asked) > 0 {
		t.Errorf("asked %q", a.asked)
	}
}

// Who sends one false token after the other has the API server asked of a hundred at once, and then of ten a second;
// people from elsewhere are answered meanwhile, and so is whoever a load balancer asks about.
func TestWho_FalseTokensOfOneAddressKeepNobodyElseOut(t *testing.T) {
	var asked atomic.Int32
	s := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.Header.Get("Authorization") == "Bearer jane" {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"status":{"userInfo":{"username":"jane"}}}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	s.share = newShare(func() time.Time { return time.Unix(1000, 0) })
	from := fairshare.From(t.Context(), "10.0.0.1:1")
	refused := 0
	for i := range 300 {
		if _, err := s.Who(from, fmt.Sprint("none", i)); fault.Is(err, fault.TooMany) {
			refused++
		} else if !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
	}
	if asked.Load() != 10*badOfOne || refused != 300-10*badOfOne {
		t.Errorf("%d asked, %d refused", asked.Load(), refused)
	}
	if name, err := s.Who(fairshare.From(t.Context(), "10.0.0.2:1"), "jane"); name != "jane" || err != nil {
		t.Errorf("%q %v", name, err)
	}
	about := fairshare.For(t.Context(), "lb-1")
	for i := range 120 {
		if _, err := s.Who(about, fmt.Sprint("other", i)); !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
	}
}

func TestMay_ReadsEachAnswer(t *testing.T) {
	for _, c := range []struct {
		status  int
		body    string
		allowed bool
		code    fault.Code
	}{
		{201, `{"status":{"allowed":true}}`, true, ""},
		{200, `{"status":{"allowed":true}}`, true, ""},
		{201, `{"status":{"allowed":false}}`, false, ""},
		{201, `{"status":{"allowed":true,"denied":true}}`, false, ""},
		{201, `{}`, false, ""},
		{401, `{"kind":"Status"}`, false, fault.Unauthenticated},
		{403, `{"kind":"Status"}`, false, fault.Forbidden},
		{404, `{"kind":"Status"}`, false, fault.Unavailable},
		{429, `{"kind":"Status"}`, false, fault.Unavailable},
		{500, `secret`, false, fault.Unavailable},
		{201, `<html>`, false, fault.Unavailable},
		{302, ``, false, fault.Unavailable},
	} {
		allowed, err := server(t, &answers{status: c.status, body: c.body}).May(t.Context(), "jane", access.Right{Verb: access.Get}, "")
		if allowed != c.allowed || (err == nil) != (c.code == "") || err != nil && !fault.Is(err, c.code) {
			t.Errorf("%d %s: %v %v", c.status, c.body, allowed, err)
		}
		if err != nil && strings.Contains(fault.From(err).Detail, "secret") {
			t.Errorf("the client is shown %v", fault.From(err).Detail)
		}
	}
	s := server(t, http.NotFoundHandler())
	s.base.Host = "127.0.0.1:1"
	if allowed, err := s.May(t.Context(), "jane", access.Right{}, ""); allowed || !fault.Is(err, fault.Unavailable) {
		t.Errorf("down: %v %v", allowed, err)
	}
}

func TestWho_IsTheNameThatTheAPIServerHas(t *testing.T) {
	a := &answers{status: http.StatusCreated, body: `{"status":{"userInfo":{"username":"jane"}}}`}
	if name, err := server(t, a).Who(t.Context(), "jane"); name != "jane" || err != nil || !strings.HasPrefix(a.asked[0], "POST /apis/authentication.k8s.io/v1/selfsubjectreviews Bearer jane ") {
		t.Errorf("%q %v %q", name, err, a.asked)
	}
	a.body = `{}`
	if name, err := server(t, a).Who(t.Context(), "jane"); name != "" || !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("without a name: %q %v", name, err)
	}
}

func TestReview_TakesTokensForOurAudienceAlone(t *testing.T) {
	for _, c := range []struct {
		body string
		want identity.Identity
		code fault.Code
	}{
		{
			`{"status":{"authenticated":true,"audiences":["nemesis"],"user":{"username":"system:serviceaccount:shop:default","extra":{"authentication.kubernetes.io/pod-name":["cart-1"],"authentication.kubernetes.io/pod-uid":["u"],"authentication.kubernetes.io/node-name":["n"]}}}}`,
			identity.Identity{Name: "system:serviceaccount:shop:default", Namespace: "shop", Account: "default", Pod: "cart-1", PodUID: "u", Node: "n"}, "",
		},
		{`{"status":{"authenticated":true,"audiences":["nemesis"],"user":{"username":"system:serviceaccount:shop:default"}}}`, identity.Identity{Name: "system:serviceaccount:shop:default", Namespace: "shop", Account: "default"}, ""},
		{`{"status":{"authenticated":true,"audiences":["kubernetes"],"user":{"username":"system:serviceaccount:shop:default"}}}`, identity.Identity{}, fault.Unauthenticated},
		{`{"status":{"authenticated":true,"user":{"username":"system:serviceaccount:shop:default"}}}`, identity.Identity{}, fault.Unauthenticated},
		{`{"status":{"authenticated":false,"audiences":["nemesis"]}}`, identity.Identity{}, fault.Unauthenticated},
		{`{"status":{"authenticated":true,"audiences":["nemesis"],"user":{"username":"jane"}}}`, identity.Identity{}, fault.Unauthenticated},
		{`{"status":{"authenticated":true,"audiences":["nemesis"],"user":{"username":"system:serviceaccount:shop"}}}`, identity.Identity{}, fault.Unauthenticated},
	} {
		a := &answers{status: http.StatusCreated, body: c.body}
		got, err := server(t, a).Review(t.Context(), "T")
		if got != c.want || (err == nil) != (c.code == "") || err != nil && !fault.Is(err, c.code) {
			t.Errorf("%s: %+v %v", c.body, got, err)
		}
		if !strings.HasPrefix(a.asked[0], "POST /apis/authentication.k8s.io/v1/tokenreviews Bearer controller ") || !strings.Contains(a.asked[0], `"spec":{"token":"T","audiences":["nemesis"]}`) {
			t.Errorf("asked %q", a.asked)
		}
	}
	if _, err := server(t, &answers{status: http.StatusForbidden}).Review(t.Context(), "T"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the right: %v", err)
	}
}

func TestPublished_IsIssuerAndKeys(t *testing.T) {
	pages := map[string]string{"/.well-known/openid-configuration": `{"issuer":"https://kubernetes"}`, "/openid/v1/jwks": `{"keys":[]}`}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok || r.Header.Get("Authorization") != "Bearer controller" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, page)
	})
	got, err := server(t, api).Published(t.Context())
	if err != nil || got.Issuer != "https://kubernetes" || string(got.JWKS) != `{"keys":[]}` {
		t.Errorf("%+v %v", got, err)
	}
	for path := range pages {
		kept := pages[path]
		delete(pages, path)
		if got, err := server(t, api).Published(t.Context()); err == nil {
			t.Errorf("without %s: %+v", path, got)
		}
		pages[path] = kept
	}
	pages["/openid/v1/jwks"] = strings.Repeat("x", maxAnswer+1)
	if _, err := server(t, api).Published(t.Context()); err == nil {
		t.Error("keys without an end")
	}
}

// source is asked, and counts.
type source struct {
	who, may, keys atomic.Int32
	fails          atomic.Pointer[fault.Error]
	gate           chan struct{} // nil: there is none
}

func (s *source) err() error {
	if s.gate != nil {
		<-s.gate
	}
	if e := s.fails.Load(); e != nil {
		return e
	}
	return nil
}

func (s *source) Who(context.Context, string) (string, error) {
	s.who.Add(1)
	return "jane", s.err()
}

func (s *source) May(context.Context, string, access.Right, string) (bool, error) {
	s.may.Add(1)
	return true, s.err()
}

func (s *source) Published(context.Context) (identity.Published, error) {
	s.keys.Add(1)
	return identity.Published{Issuer: fmt.Sprint("i", s.keys.Load())}, s.err()
}

type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time            { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration)      { c.at.Add(int64(d)) }
func refusal(code fault.Code) *fault.Error { return fault.New(code, "no") }

func TestRemembered_AnAnswerCountsForTenSeconds(t *testing.T) {
	s, now := &source{}, &clock{}
	asked := 0
	r := NewRemembered(s, func(bool, error) { asked++ }, now.now)
	right := access.Right{Verb: access.List}
	ask := func() {
		t.Helper()
		if name, err := r.Who(t.Context(), "T"); name != "jane" || err != nil {
			t.Errorf("%q %v", name, err)
		}
		if allowed, err := r.May(t.Context(), "T", right, "shop"); !allowed || err != nil {
			t.Errorf("%v %v", allowed, err)
		}
	}
	ask()
	now.pass(rememberedFor - 1)
	s.fails.Store(refusal(fault.Unavailable)) // what is known goes on to count while the API server is down
	ask()
	if s.who.Load() != 1 || s.may.Load() != 1 || asked != 2 {
		t.Errorf("asked %d and %d times, counted %d", s.who.Load(), s.may.Load(), asked)
	}
	now.pass(1)
	if _, err := r.Who(t.Context(), "T"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after it: %v", err)
	}
	if allowed, err := r.May(t.Context(), "T", right, "shop"); allowed && err == nil || !fault.Is(err, fault.Unavailable) {
		t.Errorf("after it: %v %v", allowed, err)
	}
	s.fails.Store(nil)
	ask() // that it was down is not remembered
}

func TestRemembered_ARefusalCountsAsLong(t *testing.T) {
	s, now := &source{}, &clock{}
	r := NewRemembered(s, nil, now.now)
	s.fails.Store(refusal(fault.Unauthenticated))
	for range 3 {
		if _, err := r.Who(t.Context(), "T"); !fault.Is(err, fault.Unauthenticated) {
			t.Error(err)
		}
	}
	if s.who.Load() != 1 {
		t.Errorf("asked %d times", s.who.Load())
	}
	s.fails.Store(nil)
	now.pass(rememberedFor)
	if _, err := r.Who(t.Context(), "T"); err != nil {
		t.Error(err)
	}
}

func TestRemembered_EachQuestionIsOneOfItsOwn(t *testing.T) {
	s := &source{}
	r := NewRemembered(s, nil, (&clock{}).now)
	for _, token := range []string{"T", "U"} {
		for _, right := range []access.Right{{Verb: "get"}, {Verb: "list"}, {Verb: "list", Subresource: "state"}, {Verb: "get", Metrics: true}} {
			for _, namespace := range []string{"", "shop"} {
				for range 2 {
					if _, err := r.May(t.Context(), token, right, namespace); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if got := s.may.Load(); got != 16 {
		t.Errorf("asked %d times, want 16", got)
	}
}

func TestRemembered_IsBoundedAndBadTokensPushNoGoodOnesOut(t *testing.T) {
	s := &source{}
	r := newRemembered(s, nil, (&clock{}).now, 10)
	_, _ = r.Who(t.Context(), "good")
	s.fails.Store(refusal(fault.Unauthenticated))
	for i := range 100 {
		_, _ = r.Who(t.Context(), fmt.Sprint("bad", i))
	}
	s.fails.Store(nil)
	before := s.who.Load()
	_, _ = r.Who(t.Context(), "good")
	if s.who.Load() != before {
		t.Error("a good token was forgotten for bad ones")
	}
	for i := range 100 {
		_, _ = r.May(t.Context(), "good", access.Right{}, fmt.Sprint(i))
	}
	if r.rights.Len() != 10 || r.bad.Len() != 10 || r.users.Len() != 1 {
		t.Errorf("%d rights, %d bad and %d good tokens are kept", r.rights.Len(), r.bad.Len(), r.users.Len())
	}
}

func TestRemembered_OneQuestionIsAskedOnceAtATime(t *testing.T) {
	s := &source{gate: make(chan struct{})}
	r := NewRemembered(s, nil, (&clock{}).now)
	gone, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := r.Who(gone, "T")
		first <- err
	}()
	testwait.Until(t, "the first one asks", func() bool { return s.who.Load() == 1 })
	leave() // who asked first goes: the others wait for the answer all the same
	if err := <-first; !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if name, err := r.Who(t.Context(), "T"); name != "jane" || err != nil {
				t.Errorf("%q %v", name, err)
			}
		})
	}
	close(s.gate)
	asking.Wait()
	if got := s.who.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

func TestRemembered_KeysAreShownOnWhileTheAPIServerIsAway(t *testing.T) {
	s, now := &source{}, &clock{}
	r := NewRemembered(s, nil, now.now)
	for range 3 {
		if got, err := r.Published(t.Context()); got.Issuer != "i1" || err != nil {
			t.Errorf("%+v %v", got, err)
		}
	}
	now.pass(keysFor)
	s.fails.Store(refusal(fault.Unavailable))
	if got, err := r.Published(t.Context()); got.Issuer != "i1" || err != nil {
		t.Errorf("while it is away: %+v %v", got, err)
	}
	s.fails.Store(nil)
	if got, err := r.Published(t.Context()); got.Issuer != "i3" || err != nil {
		t.Errorf("after it: %+v %v", got, err)
	}
	s.fails.Store(refusal(fault.Unavailable))
	if got, err := NewRemembered(s, nil, now.now).Published(t.Context()); err == nil {
		t.Errorf("keys that were never seen: %+v", got)
	}
}

func TestQuestions_AreJSONOfKubernetes(t *testing.T) {
	a := &answers{status: http.StatusCreated, body: `{"status":{"userInfo":{"username":"jane"}}}`}
	_, _ = server(t, a).Who(t.Context(), "T")
	_, body, _ := strings.Cut(a.asked[0], "Bearer T ")
	var sent struct{ APIVersion, Kind string }
	if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.Kind != "SelfSubjectReview" || sent.APIVersion != "authentication.k8s.io/v1" {
		t.Errorf("%+v %v", sent, err)
	}
}
