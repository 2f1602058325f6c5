package claims

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// has are the addresses that are had, as namespace:host+prefix, ordered.
func has(x *Index) []string {
	var list []string
	for _, h := range holdings(x) {
		list = append(list, h.of.Namespace+":"+h.host+h.prefix)
	}
	slices.Sort(list)
	return list
}

// wants is an object of a namespace with a Deployment of its own for each address, which is host/prefix.
func wants(namespace string, age time.Duration, addresses ...string) Object {
	var targets []Target
	for _, a := range addresses {
		host, prefix, _ := strings.Cut(a, "/")
		t := at("app-"+a, "/"+prefix)
		if host != "" {
			t.Hosts = strings.Split(host, ",")
		}
		targets = append(targets, t)
	}
	return object(namespace, strings.Join(addresses, " "), age, targets...)
}

// Older ones have higher numbers.
func TestIndex_BetweenNamespaces(t *testing.T) {
	for name, c := range map[string]struct {
		objects []Object
		want    []string
	}{
		"the same prefix":                               {[]Object{wants("a", 2, "/shop"), wants("b", 1, "/shop")}, []string{"a:/shop"}},
		"a longer prefix (K15)":                         {[]Object{wants("a", 2, "/shop"), wants("b", 1, "/shop/login")}, []string{"a:/shop"}},
		"a shorter prefix":                              {[]Object{wants("a", 2, "/shop/login"), wants("b", 1, "/shop")}, []string{"a:/shop/login"}},
		"/ beside what is older":                        {[]Object{wants("a", 2, "/shop"), wants("b", 1, "/")}, []string{"a:/shop"}},
		"what begins alike is another prefix":           {[]Object{wants("a", 2, "/shop"), wants("b", 1, "/shopping", "/sho", "/shop-x")}, []string{"a:/shop", "b:/sho", "b:/shop-x", "b:/shopping"}},
		"a host out of every host, with / (K15)":        {[]Object{wants("a", 2, "/shop"), wants("b", 1, "shop.example/")}, []string{"a:/shop"}},
		"a host out of every host, same prefix":         {[]Object{wants("a", 2, "/shop"), wants("b", 1, "shop.example/shop")}, []string{"a:/shop"}},
		"a host out of every host, longer":              {[]Object{wants("a", 2, "/shop"), wants("b", 1, "shop.example/shop/x")}, []string{"a:/shop"}},
		"a host out of every host, elsewhere":           {[]Object{wants("a", 2, "/shop"), wants("b", 1, "shop.example/x")}, []string{"a:/shop", "b:shop.example/x"}},
		"every host takes nothing from a host":          {[]Object{wants("a", 2, "h/"), wants("b", 1, "/shop")}, []string{"a:h/", "b:/shop"}},
		"the same host, shorter, longer":                {[]Object{wants("a", 2, "h/x"), wants("b", 1, "h/", "h/x/y", "h/y")}, []string{"a:h/x", "b:h/y"}},
		"other hosts":                                   {[]Object{wants("a", 2, "h/"), wants("b", 1, "g/")}, []string{"a:h/", "b:g/"}},
		"one host of several":                           {[]Object{wants("a", 2, "h/"), wants("b", 1, "g,h/x", "g/")}, []string{"a:h/", "b:g/"}},
		"within a namespace all as ever":                {[]Object{wants("a", 2, "/shop"), wants("a", 1, "/", "/shop/login", "h/", "h/shop")}, []string{"a:/", "a:/shop", "a:/shop/login", "a:h/", "a:h/shop"}},
		"below its own name, beside an older /":         {[]Object{wants("a", 2, "/"), wants("b", 1, "/b", "/b/x", "/c")}, []string{"a:/", "b:/b", "b:/b/x"}},
		"/ beside what is older and another's own":      {[]Object{wants("b", 2, "/b/x"), wants("a", 1, "/")}, []string{"a:/", "b:/b/x"}},
		"below another's name, older":                   {[]Object{wants("a", 2, "/b", "/b/x/y", "/b/z"), wants("b", 1, "/b/x")}, []string{"a:/b/z", "b:/b/x"}},
		"below another's name, who asks for nothing":    {[]Object{wants("a", 2, "/b/x"), wants("b", 1, "/shop")}, []string{"a:/b/x", "b:/shop"}},
		"a host, below its own name":                    {[]Object{wants("a", 2, "/"), wants("b", 1, "h/b", "h/c")}, []string{"a:/", "b:h/b"}},
		"another's host, below its own name":            {[]Object{wants("a", 2, "h/"), wants("b", 1, "h/b", "/b")}, []string{"a:h/", "b:/b"}},
		"a host out of what is another's own, younger":  {[]Object{wants("b", 2, "/b/x"), wants("a", 1, "h/", "h/b")}, []string{"b:/b/x"}},
		"a host beside what is another's own, older":    {[]Object{wants("a", 2, "h/"), wants("b", 1, "/b/x")}, []string{"a:h/", "b:/b/x"}},
		"who is refused holds nobody":                   {[]Object{wants("a", 3, "/x/y"), wants("b", 2, "/x"), wants("c", 1, "/x/z")}, []string{"a:/x/y", "c:/x/z"}},
		"each target for itself":                        {[]Object{wants("a", 2, "/x"), wants("b", 1, "/x/y", "/free", "/b/x")}, []string{"a:/x", "b:/b/x", "b:/free"}},
		"as old: the namespace that comes first":        {[]Object{wants("b", 1, "/x"), wants("a", 1, "/x/y")}, []string{"a:/x/y"}},
		"a slash at the end hides nothing":              {[]Object{wants("a", 2, "/shop/"), wants("b", 1, "/shop/login")}, []string{"a:/shop"}},
		"prefixes longer than are filed":                {[]Object{wants("a", 2, "/1/2/3/4/5/6/7/8/9/a"), wants("b", 1, "/1/2/3/4/5/6/7/8/9/b", "/1/2/3/4/5/6/7/8/9/a/c", "/1/2/3/4/5/6/7/8/9")}, []string{"a:/1/2/3/4/5/6/7/8/9/a", "b:/1/2/3/4/5/6/7/8/9/b"}},
		"a name below which others' names do not begin": {[]Object{wants("a", 2, "/"), wants("b", 1, "/b-x")}, []string{"a:/"}},
	} {
		slices.Sort(c.want)
		for range 3 {
			x := NewIndex()
			for _, o := range c.objects {
				x.Update([]Object{o}, nil)
			}
			if diff := cmp.Diff(c.want, has(x)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			slices.Reverse(c.objects)
		}
	}
}

// The text stands in the status and in events of the one who is refused.
func TestIndex_ARefusalNamesNobodyOfAnotherNamespace(t *testing.T) {
	x := NewIndex()
	x.Update([]Object{
		object("secret-team", "secret-name", 3, at("secret-app", "/shop")),
		object("mine", "older", 2, at("own", "/own")),
		object("mine", "ca", 1, at("app", "/shop/login"), at("app", "/own"), at("app", "/", "h")),
	}, nil)
	refused := x.Refused(fleet.Autoscaler{Namespace: "mine", Name: "ca"})
	if len(refused) != 3 {
		t.Fatalf("refused: %+v", refused)
	}
	for _, i := range []int{0, 2} {
		r := refused[i]
		if !r.Foreign || r.By.Name != "secret-name" || strings.Contains(r.Text, "secret") || !strings.Contains(r.Text, "another namespace") || !strings.Contains(r.Text, "/mine ") {
			t.Errorf("refused: %+v", r)
		}
	}
	if !strings.Contains(refused[2].Text, "/ of the host h ") {
		t.Errorf("it does not say of which host: %s", refused[2].Text)
	}
	if own := refused[1]; own.Foreign || !strings.Contains(own.Text, "mine/older") {
		t.Errorf("in its own namespace: %+v", own)
	}
}

// Two keep a third from the same, and the one that is named goes: the other one is named.
func TestIndex_WhoKeepsAnotherIsNamedAnew(t *testing.T) {
	x := NewIndex()
	x.Update([]Object{
		object("a", "first", 2, at("app", "/shop/a")), object("b", "second", 1, at("app", "/shop/b")), object("c", "late", 0, at("app", "/shop")),
	}, nil)
	late, by := fleet.Autoscaler{Namespace: "c", Name: "late"}, map[string]bool{}
	before := x.Refused(late)
	if len(before) != 1 || !before[0].Foreign || before[0].Place != 0 {
		t.Fatalf("it is refused %+v", before)
	}
	by[before[0].By.Namespace] = true
	change := x.Update(nil, []fleet.Autoscaler{before[0].By})
	after := x.Refused(late)
	if len(after) != 1 || after[0].Text != before[0].Text || after[0].By.Name == "" || by[after[0].By.Namespace] {
		t.Errorf("it is refused %+v, and was %+v", after, before)
	}
	if !slices.Equal(change.Refused, []fleet.Autoscaler{late}) {
		t.Errorf("told is %+v", change)
	}
}

// Who was refused comes up at once when the other one goes, asks for something else, or gets a younger date
// by being made again.
func TestIndex_WhoIsRefusedComesUp(t *testing.T) {
	for name, c := range map[string]struct {
		set  []Object
		drop []fleet.Autoscaler
	}{
		"deleted":     {nil, []fleet.Autoscaler{{Namespace: "a", Name: "o"}}},
		"elsewhere":   {[]Object{object("a", "o", 2, at("app", "/other"))}, nil},
		"made anew":   {[]Object{object("a", "o", 0, at("app", "/shop"))}, nil},
		"another one": {[]Object{object("a", "renamed", 0, at("app", "/shop"))}, []fleet.Autoscaler{{Namespace: "a", Name: "o"}}},
	} {
		x := NewIndex()
		x.Update([]Object{object("a", "o", 2, at("app", "/shop")), object("b", "late", 1, at("app", "/shop/login")), object("c", "host", 1, at("app", "/shop/x", "shop"))}, nil)
		if got := has(x); !slices.Equal(got, []string{"a:/shop"}) {
			t.Fatalf("before: %v", got)
		}
		change := x.Update(c.set, c.drop)
		got := has(x)
		if !slices.Contains(got, "b:/shop/login") || !slices.Contains(got, "c:shop/shop/x") || slices.Contains(got, "a:/shop") {
			t.Errorf("%s: %v", name, got)
		}
		for _, a := range []fleet.Autoscaler{{Namespace: "b", Name: "late"}, {Namespace: "c", Name: "host"}} {
			if !slices.Contains(change.Refused, a) || x.Refused(a) != nil || !slices.Contains(change.Keys, fleet.Key{Namespace: a.Namespace, Deployment: "app"}) {
				t.Errorf("%s: told %+v", name, change)
			}
		}
	}
}
