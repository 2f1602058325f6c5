package claims

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// only lets some namespaces, and "*" all.
func only(names ...string) func(string) bool {
	return func(namespace string) bool { return slices.Contains(names, namespace) || slices.Contains(names, "*") }
}

func TestPolicy_TheMostSpecificRuleDecides(t *testing.T) {
	p := Policy{Rules: []Rule{
		{From: only("platform")},
		{Prefixes: []string{"/shop", "/store"}, From: only("a", "b")},
		{Prefixes: []string{"/shop/login"}, From: only("login")},
		{Hosts: []string{"*.example"}, From: only("web")},
		{Hosts: []string{"*.b.example"}, From: only("b")},
		{Hosts: []string{"shop.b.example", "other"}, From: only("a")},
		{Hosts: []string{"shop.b.example"}, Prefixes: []string{"/login"}, From: only("login")},
		{Prefixes: []string{"/own/given"}, From: only("a")},
		{Prefixes: []string{"/store"}, From: only("c")},
	}}
	for _, c := range []struct {
		namespace, host, prefix string
		want                    verdict
	}{
		{"a", "", "/", denied}, {"platform", "", "/", granted}, {"platform", "h", "/x", granted}, {"a", "h", "/x", denied},
		{"a", "", "/shop", granted}, {"b", "", "/shop/x", granted}, {"platform", "", "/shop", denied}, {"a", "", "/shopping", denied},
		{"a", "", "/shop/login", denied}, {"login", "", "/shop/login/x", granted}, {"a", "h", "/shop", granted},
		{"c", "", "/store", granted}, {"a", "", "/store", granted}, {"d", "", "/store", denied},
		{"web", "x.example", "/", granted}, {"web", "example", "/", denied}, {"web", "x.b.example", "/", denied}, {"b", "x.y.b.example", "/", granted},
		{"a", "x.example", "/shop", denied}, // a host counts more than a prefix
		{"a", "shop.b.example", "/x", granted}, {"b", "shop.b.example", "/x", denied}, {"login", "shop.b.example", "/login", granted}, {"a", "shop.b.example", "/login", denied},
		{"web", "notexample", "/", denied},
		{"own", "", "/own", silent}, {"own", "", "/own/x", silent}, {"own", "h", "/own", silent}, {"own", "x.example", "/own", denied},
		{"own", "", "/own/given", denied}, {"a", "", "/own/given/x", granted}, {"shop", "", "/shop", denied},
	} {
		if got := p.says(c.namespace, address{c.host, c.prefix}); got != c.want {
			t.Errorf("of %s%s it says to %s %v, want %v", c.host, c.prefix, c.namespace, got, c.want)
		}
	}
	if got := (Policy{}).says("a", address{"", "/"}); got != silent {
		t.Errorf("no policy says %v", got)
	}
	if got := (Policy{Rules: p.Rules[1:2]}).says("a", address{"", "/"}); got != silent {
		t.Errorf("a rule of something else says %v", got)
	}
}

func TestIndex_APolicyGrantsAndReserves(t *testing.T) {
	objects := []Object{wants("a", 3, "/shop", "h/"), wants("b", 2, "/shop/login", "/shop", "g/"), wants("c", 1, "h/x", "/free")}
	for name, c := range map[string]struct {
		rules []Rule
		want  []string
	}{
		"none":                            {nil, []string{"a:/shop", "a:h/", "c:/free"}},
		"everything to everybody (0.1.0)": {[]Rule{{From: only("*")}}, []string{"a:/shop", "a:h/", "b:/shop/login", "b:g/", "c:/free", "c:h/x"}},
		"a prefix for two":                {[]Rule{{Prefixes: []string{"/shop"}, From: only("a", "b")}}, []string{"a:/shop", "a:h/", "b:/shop/login", "c:/free"}},
		"a prefix for the younger alone":  {[]Rule{{Prefixes: []string{"/shop"}, From: only("b")}}, []string{"a:h/", "b:/shop", "b:/shop/login", "b:g/", "c:/free"}},
		"a host for one":                  {[]Rule{{Hosts: []string{"g"}, From: only("b")}}, []string{"a:/shop", "a:h/", "b:g/", "c:/free"}},
		"a host for another":              {[]Rule{{Hosts: []string{"h"}, From: only("c")}}, []string{"a:/shop", "c:/free", "c:h/x"}},
		"nothing to anybody":              {[]Rule{{From: only()}}, nil},
	} {
		x := NewIndex()
		x.Update(objects, nil)
		change := x.Govern(Policy{Rules: c.rules})
		if diff := cmp.Diff(c.want, has(x)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if name == "none" && len(change.Keys)+len(change.Refused) > 0 {
			t.Errorf("no policy changes %+v", change)
		}
		if name == "nothing to anybody" {
			if r := x.Refused(objects[2].Autoscaler); len(r) != 2 || !r[0].Foreign || r[0].By != (fleet.Autoscaler{}) {
				t.Errorf("c is refused %+v", r)
			}
		}
		x.Govern(Policy{})
		if got := has(x); !slices.Equal(got, []string{"a:/shop", "a:h/", "c:/free"}) {
			t.Errorf("after %s: %v", name, got)
		}
	}
}

func TestIndex_ANamespaceThatBeginsToBeMeantIsReconsidered(t *testing.T) {
	x, meant := NewIndex(), map[string]bool{"a": true}
	x.Update([]Object{wants("a", 2, "/shop"), wants("b", 1, "/shop/login")}, nil)
	x.Govern(Policy{Rules: []Rule{{Prefixes: []string{"/shop"}, From: func(ns string) bool { return meant[ns] }}}})
	meant["b"] = true
	if got := has(x); !slices.Equal(got, []string{"a:/shop"}) {
		t.Errorf("before: %v", got)
	}
	x.Reconsider(map[string]struct{}{"b": {}})
	if got := has(x); !slices.Equal(got, []string{"a:/shop", "b:/shop/login"}) {
		t.Errorf("after: %v", got)
	}
}
