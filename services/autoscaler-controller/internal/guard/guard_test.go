package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

// Tokens of the tests: those of services say so, as real ones do.
const (
	serviceBase = "e30.eyJhdWQiOlsibmVtZXNpcyJdfQ." // {"aud":["nemesis"]}
	balancer    = serviceBase + "balancer"
	sidecar     = serviceBase + "sidecar"
	jane        = "e30.eyJhdWQiOiJrdWJlcm5ldGVzIn0.jane" // {"aud":"kubernetes"}
	opaque      = "opaque"
)

// world is who there is and what they may.
type world struct {
	mu     sync.Mutex
	rights map[string]bool // "list decisions shop"
	down   bool
	asked  []string
}

func (w *world) Verify(_ context.Context, token string) (identity.Identity, error) {
	switch token {
	case balancer:
		return identity.Identity{Name: "system:serviceaccount:nemesis-system:load-balancer", Namespace: "nemesis-system", Account: "load-balancer", Pod: "lb-1", PodUID: "uid-lb-1"}, nil
	case sidecar:
		return identity.Identity{Name: "system:serviceaccount:shop:default", Namespace: "shop", Account: "default", Pod: "cart-1", PodUID: "uid-cart-1"}, nil
	case serviceBase + "nokeys":
		return identity.Identity{}, fault.New(fault.Unavailable, "no keys")
	}
	return identity.Identity{}, fault.New(fault.Unauthenticated, "the token is for another audience")
}

func (w *world) Who(_ context.Context, token string) (string, error) {
	switch {
	case w.down:
		return "", fault.New(fault.Unavailable, "the Kubernetes API server does not answer").Because(errors.New("refused"))
	case token == jane:
		return "jane", nil
	case token == opaque:
		return "omar", nil
	}
	return "", fault.New(fault.Unauthenticated, "the Kubernetes API server does not take the token")
}

func (w *world) May(_ context.Context, _ string, r access.Right, namespace string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	question := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", r.Verb, r.Subresource, namespace)), " ")
	w.asked = append(w.asked, question)
	if w.down {
		return false, fault.New(fault.Unavailable, "down")
	}
	return w.rights[question], nil
}

func (w *world) Published(context.Context) (identity.Published, error) {
	if w.down {
		return identity.Published{}, errors.New("refused")
	}
	return identity.Published{Issuer: "https://kubernetes", JWKS: []byte(`{"keys":[{"kid":"a"}]}`)}, nil
}

func (w *world) guard(change func(*Options)) *Guard {
	o := Options{Services: w, People: w, Keys: w, Balancers: []access.Account{{Namespace: "nemesis-system", Name: "load-balancer"}}}
	if change != nil {
		change(&o)
	}
	return New(o)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func TestJudge_FindsOutWhoCallsAndWhatItMay(t *testing.T) {
	for _, c := range []struct {
		name, operation, token, namespace string
		rights                            string
		code                              fault.Code // "": let in
		says                              string
	}{
		{"a load balancer", "startApplication", balancer, "shop", "", "", ""},
		{"a sidecar where balancers are", "startApplication", sidecar, "shop", "", fault.Forbidden, "for load balancers"},
		{"a person where balancers are", "startApplication", jane, "shop", "", fault.Forbidden, "jane has another token"},
		{"a token for somebody else where services are", "submitPodMetrics", "e30.eyJhdWQiOiJ2YXVsdCJ9.x", "", "", fault.Unauthenticated, "does not take the token"},
		{"a bad token of ours", "submitPodMetrics", serviceBase + "bad", "", "", fault.Unauthenticated, "another audience"},
		{"a sidecar", "submitPodMetrics", sidecar, "", "", "", ""},
		{"keys that are not known", "submitPodMetrics", serviceBase + "nokeys", "", "", fault.Unavailable, "no keys"},
		{"a person with the right", "getApplication", jane, "shop", "get shop", "", ""},
		{"a person with it elsewhere", "getApplication", jane, "shop", "get other", fault.Forbidden, "jane may not get customautoscalers.autoscaler-group.autoscaler in the namespace shop"},
		{"an opaque token", "putBalancerSettings", opaque, "", "update settings", "", ""},
		{"without the right to settings", "putBalancerSettings", opaque, "", "get settings", fault.Forbidden, "omar may not update customautoscalers/settings"},
		{"a list of one namespace", "listPods", jane, "shop", "list shop", "", ""},
		{"a list of another's", "listPods", jane, "shop", "list other", fault.Forbidden, "in the namespace shop"},
		{"a list of all, narrowed", "listPods", jane, "", "", "", ""},
		{"the routes", "watchRoutes", jane, "", "get routes", "", ""},
		{"no token", "listPods", "", "", "", fault.Unauthenticated, "send a token"},
		{"a service where people are", "listPods", balancer, "", "", fault.Forbidden, "send one for the Kubernetes API server"},
		{"a namespace that cannot be", "listPods", jane, strings.Repeat("n", 64), "", fault.Invalid, ""},
		{"one with letters that no name has", "listPods", jane, "×ø\u009b", "list ×ø\u009b", fault.Invalid, ""},
		{"one that ends with a hyphen", "getApplication", jane, "shop-", "get shop-", fault.Invalid, ""},
		{"what has no rule", "makeCoffee", balancer, "", "", fault.Forbidden, "nobody may"},
		{"who passes it on", "deleteCustomAutoscaler", "", "shop", "", "", ""},
		{"health", "getLiveness", "", "", "", "", ""},
	} {
		var refused []string
		g := (&world{rights: map[string]bool{c.rights: true}}).guard(func(o *Options) {
			o.Refused = func(_ context.Context, r Refusal) { refused = append(refused, r.Operation+" "+string(r.Code)) }
		})
		header := http.Header{}
		if c.token != "" {
			header = bearer(c.token)
		}
		_, err := g.Judge(t.Context(), c.operation, header, c.namespace)
		if c.code == "" {
			if err != nil || refused != nil {
				t.Errorf("%s: %v %v", c.name, err, refused)
			}
			continue
		}
		if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) || !slices.Equal(refused, []string{c.operation + " " + string(c.code)}) {
			t.Errorf("%s: %v %v, want %s: %s", c.name, err, refused, c.code, c.says)
		}
	}
}

func TestJudge_AnAPIServerThatIsDownIsNeverAYes(t *testing.T) {
	for operation, rule := range access.All() {
		if rule.Open || rule.Passed {
			continue
		}
		g := (&world{down: true}).guard(nil)
		if _, err := g.Judge(t.Context(), operation, bearer(jane), "shop"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s by a person: %v", operation, err)
		}
		if _, err := g.Judge(t.Context(), operation, bearer(balancer), "shop"); fault.Is(err, fault.Unavailable) {
			t.Errorf("%s by a service needs an API server: %v", operation, err)
		}
	}
}

func TestJudge_OptionalServesThoseOfBefore(t *testing.T) {
	w := &world{}
	g := w.guard(func(o *Options) { o.Optional = true })
	for operation := range access.All() {
		grant, err := g.Judge(t.Context(), operation, http.Header{}, "")
		if err != nil || !grant.Everywhere() || !grant.Caller.SeesProbeHeaders() || !grant.Caller.Measures("any", "pod") || !grant.Caller.SpeaksFor("lb") {
			t.Errorf("%s without a token: %v %+v", operation, err, grant)
		}
	}
	if _, err := g.Judge(t.Context(), "startApplication", bearer(sidecar), "shop"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("with a token: %v", err)
	}
	if _, err := g.Judge(t.Context(), "startApplication", bearer(serviceBase+"bad"), "shop"); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("with a bad one: %v", err)
	}
	if _, err := g.Judge(t.Context(), "submitPodMetrics", bearer(serviceBase+"nokeys"), ""); err != nil {
		t.Errorf("with one that nobody can judge now: %v", err)
	}
}

func TestJudge_OpenMetricsIsForAnybody(t *testing.T) {
	w := &world{}
	if _, err := w.guard(nil).Judge(t.Context(), "getMetrics", http.Header{}, ""); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("closed: %v", err)
	}
	open := w.guard(func(o *Options) { o.OpenMetrics = true })
	if _, err := open.Judge(t.Context(), "getMetrics", http.Header{}, ""); err != nil {
		t.Errorf("open: %v", err)
	}
	if _, err := open.Judge(t.Context(), "listPods", http.Header{}, ""); err == nil {
		t.Error("more than the metrics is open")
	}
}

func TestJudge_WithOneNamespaceAloneEverywhereIsThere(t *testing.T) {
	w := &world{rights: map[string]bool{"update settings team": true, "list team": true}}
	g := w.guard(func(o *Options) { o.Watched = "team" })
	if _, err := g.Judge(t.Context(), "putBalancerSettings", bearer(jane), ""); err != nil {
		t.Error(err)
	}
	if grant, err := g.Judge(t.Context(), "listPods", bearer(jane), ""); err != nil || !grant.Everywhere() {
		t.Error(err)
	}
}

func TestSees_OnlyTheNamespacesOfWhoAsks(t *testing.T) {
	w := &world{rights: map[string]bool{"list shop": true, "list search": true}}
	grant, err := w.guard(nil).Judge(t.Context(), "listApplications", bearer(jane), "")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := grant.Sees(t.Context(), []string{"bank", "shop", "shop", "tax", "search"})
	if diff := cmp.Diff(map[string]bool{"shop": true, "search": true}, seen); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if len(w.asked) != 5 { // everywhere, and each of the four
		t.Errorf("asked %v", w.asked)
	}
	one, err := w.guard(nil).Judge(t.Context(), "listApplications", bearer(jane), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := one.Sees(t.Context(), []string{"bank"}); err != nil || seen["bank"] || !seen["shop"] {
		t.Errorf("of one namespace: %v %v", seen, err)
	}
	w.down = true
	if seen, err := grant.Sees(t.Context(), []string{"shop"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("half an answer: %v %v", seen, err)
	}
	w.down = false
	many := make([]string, maxNamespaces+1)
	for i := range many {
		many[i] = fmt.Sprintf("n%d", i)
	}
	if _, err := grant.Sees(t.Context(), many); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("of too many: %v", err)
	}
	all := All()
	if seen, err := all.Sees(t.Context(), many); seen != nil || err != nil {
		t.Errorf("who sees all: %v %v", seen, err)
	}
	if none, err := (&Grant{}).Sees(t.Context(), []string{"shop"}); none == nil || none["shop"] || err != nil {
		t.Errorf("whom nobody has judged: %v %v", none, err)
	}
}

func TestReview_SaysWhatTheBearerMay(t *testing.T) {
	w := &world{rights: map[string]bool{"list state shop": true, "list state search": true, "get": true}}
	g := w.guard(nil)
	state := access.Right{Verb: access.List, Subresource: "state"}
	asked := []string{"tax", "shop", "search", "bank"}
	for name, c := range map[string]struct {
		token string
		right access.Right
		want  Review
	}{
		"some":        {jane, state, Review{Authenticated: true, User: "jane", Namespaces: []string{"shop", "search"}}},
		"everywhere":  {jane, access.Right{Verb: access.Get}, Review{Authenticated: true, User: "jane", Everywhere: true, Namespaces: asked}},
		"metrics":     {jane, access.Right{Verb: access.Create, Metrics: true}, Review{Authenticated: true, User: "jane"}},
		"a service":   {sidecar, state, Review{Authenticated: true, User: "system:serviceaccount:shop:default"}},
		"a bad one":   {"nonsense", state, Review{Reason: "the Kubernetes API server does not take the token"}},
		"bad of ours": {serviceBase + "bad", state, Review{Reason: "the token is for another audience"}},
	} {
		got, err := g.Review(t.Context(), c.token, c.right, asked)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	w.down = true
	if got, err := g.Review(t.Context(), jane, state, asked); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an API server that is down: %+v %v", got, err)
	}
}

func TestPublished_ShowsTheKeysOrSaysThatThereAreNone(t *testing.T) {
	w := &world{}
	issuer, keys, err := w.guard(nil).Published(t.Context())
	if issuer != "https://kubernetes" || len(keys) != 1 || err != nil {
		t.Errorf("%s %s %v", issuer, keys, err)
	}
	w.down = true
	if _, _, err := w.guard(nil).Published(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func TestToken_OfWhichHeader(t *testing.T) {
	for _, c := range []struct {
		header http.Header
		token  string
		given  bool
		bad    bool
	}{
		{http.Header{}, "", false, false},
		{http.Header{"Authorization": {"Bearer t"}}, "t", true, false},
		{http.Header{"Authorization": {"bearer  t "}}, "t", true, false},
		{http.Header{"Authorization": {"Basic dTpw"}}, "", false, false}, // somebody else's
		{http.Header{"Authorization": {"Bearer"}}, "", true, true},
		{http.Header{"Authorization": {"Bearer "}}, "", true, true},
		{http.Header{"Authorization": {"Bearer a", "Bearer b"}}, "", true, true},
		{http.Header{"Authorization": {"Basic dTpw"}, "Nemesis-Authorization": {"Bearer t"}}, "t", true, false},
		{http.Header{"Authorization": {"Bearer a"}, "Nemesis-Authorization": {"Bearer t"}}, "t", true, false},
		{http.Header{"Authorization": {"Bearer a"}, "Nemesis-Authorization": {"Basic t"}}, "", true, true}, // never the other one then
		{http.Header{"Authorization": {"Bearer a"}, "Nemesis-Authorization": {""}}, "", true, true},
	} {
		token, given, err := Token(c.header)
		if token != c.token || given != c.given || (err != nil) != c.bad || c.bad && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%v: %q %v %v", c.header, token, given, err)
		}
	}
}

// Whatever stands in the headers: who is let in as somebody has sent that one's token.
func FuzzJudge_NobodyIsLetInByAHeaderThatIsNone(f *testing.F) {
	for _, text := range []string{"", "Bearer", "Bearer " + jane, "bearer\t" + balancer, "Basic " + balancer, "Bearer " + serviceBase, "Bearer e30..", "Bearer .e.", "Bearer \x00", "Bearer " + balancer + " " + jane} {
		f.Add(text, text)
		f.Add(text, "")
	}
	f.Fuzz(func(t *testing.T, authorization, own string) {
		header := http.Header{}
		if authorization != "" {
			header.Set("Authorization", authorization)
		}
		if own != "" {
			header.Set("Nemesis-Authorization", own)
		}
		w := &world{rights: map[string]bool{"update settings": true}}
		grant, err := w.guard(nil).Judge(t.Context(), "startApplication", header, "shop")
		sent := authorization
		if own != "" {
			sent = own
		}
		if err == nil && (!grant.Caller.Balancer || !strings.HasSuffix(strings.TrimSpace(sent), balancer)) {
			t.Errorf("%q %q is %+v", authorization, own, grant.Caller)
		}
		if code := fault.From(err).Code; err != nil && code != fault.Unauthenticated && code != fault.Forbidden {
			t.Errorf("%q %q: %v", authorization, own, err)
		}
	})
}

func BenchmarkJudge_ASidecar(b *testing.B) {
	g := (&world{}).guard(nil)
	header := bearer(sidecar)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Judge(b.Context(), "submitPodMetrics", header, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// dead are the uids of pods that are no more.
type dead map[string]bool

func (d dead) Gone(namespace, name, uid string) bool { return d[namespace+"/"+name+"/"+uid] }

func TestJudge_RefusesTheTokenOfAPodThatIsGone(t *testing.T) {
	w := &world{}
	pods := dead{}
	g := w.guard(func(o *Options) { o.Pods = []Pods{dead{}, pods} })
	for _, c := range []struct{ operation, token, pod string }{
		{"submitPodMetrics", sidecar, "shop/cart-1/uid-cart-1"}, {"startApplication", balancer, "nemesis-system/lb-1/uid-lb-1"},
	} {
		if _, err := g.Judge(t.Context(), c.operation, bearer(c.token), "shop"); err != nil {
			t.Fatal(err)
		}
		pods[c.pod] = true
		if _, err := g.Judge(t.Context(), c.operation, bearer(c.token), "shop"); !fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), "that is gone") {
			t.Errorf("%s: %v", c.operation, err)
		}
	}
}
