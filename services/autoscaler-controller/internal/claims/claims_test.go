package claims

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func object(namespace, name string, age time.Duration, targets ...Target) Object {
	return Object{Autoscaler: fleet.Autoscaler{Namespace: namespace, Name: name}, Created: day.Add(-age), Targets: targets}
}

func at(deployment, prefix string, hosts ...string) Target {
	return Target{Deployment: deployment, Prefix: prefix, Hosts: hosts}
}

// Owners are told as namespace/name and the targets at which a Deployment is reached.
func TestIndex_GivesEachToOne(t *testing.T) {
	type owner struct {
		By      string
		Targets []int
	}
	for name, c := range map[string]struct {
		objects []Object
		owners  map[string]owner
		refused map[string][]string
	}{
		"nothing": {nil, map[string]owner{}, map[string][]string{}},
		"the oldest has the Deployment, whatever the order": {
			[]Object{object("ns", "young", 1, at("app", "/other"), at("free", "/free")), object("ns", "old", 2, at("app", "/app"))},
			map[string]owner{"ns/app": {"ns/old", []int{0}}, "ns/free": {"ns/young", []int{1}}},
			map[string][]string{"ns/young": {"the Deployment app belongs to the CustomAutoscaler old, which is older"}},
		},
		"a Deployment of another namespace is another one": {
			[]Object{object("a", "x", 1, at("app", "/a")), object("b", "x", 1, at("app", "/b"))},
			map[string]owner{"a/app": {"a/x", []int{0}}, "b/app": {"b/x", []int{0}}}, map[string][]string{},
		},
		"a prefix is one over all namespaces": {
			[]Object{object("ns", "young", 1, at("app2", "/x")), object("ns2", "old", 3, at("app", "/x"))},
			map[string]owner{"ns2/app": {"ns2/old", []int{0}}},
			map[string][]string{"ns/young": {"app2: apiPrefix /x overlaps what an application of another namespace holds; /ns and what is below it is this namespace's own, more is given by a ClaimPolicy"}},
		},
		"hosts keep a prefix apart, and one in common does not": {
			[]Object{object("n", "every", 4, at("e", "/x")), object("n", "a", 3, at("a", "/x", "a")), object("n", "b", 2, at("b", "/x", "b")), object("n", "ab", 1, at("c", "/x", "c", "a"))},
			map[string]owner{"n/e": {"n/every", []int{0}}, "n/a": {"n/a", []int{0}}, "n/b": {"n/b", []int{0}}},
			map[string][]string{"n/ab": {"c: apiPrefix /x belongs to the CustomAutoscaler n/a, which is older"}},
		},
		"as old: the name that comes first": {
			[]Object{object("n", "b", 1, at("app", "/x")), object("n", "a", 1, at("app", "/x"))},
			map[string]owner{"n/app": {"n/a", []int{0}}},
			map[string][]string{"n/b": {"the Deployment app belongs to the CustomAutoscaler a, which is older"}},
		},
		"a Deployment at several addresses": {
			[]Object{object("n", "o", 1, at("app", "/api"), at("other", "/other"), at("app", "/ui"), at("app", "/api", "admin.example"))},
			map[string]owner{"n/app": {"n/o", []int{0, 2, 3}}, "n/other": {"n/o", []int{1}}}, map[string][]string{},
		},
		"an address that is taken takes the others not with it": {
			[]Object{object("n", "old", 2, at("first", "/api")), object("n", "young", 1, at("app", "/api"), at("app", "/ui"))},
			map[string]owner{"n/first": {"n/old", []int{0}}, "n/app": {"n/young", []int{1}}},
			map[string][]string{"n/young": {"app: apiPrefix /api belongs to the CustomAutoscaler n/old, which is older"}},
		},
		"an address twice in one object": {
			[]Object{object("n", "o", 1, at("app", "/x", "a"), at("app", "/x", "b", "a"))},
			map[string]owner{"n/app": {"n/o", []int{0}}},
			map[string][]string{"n/o": {"app: apiPrefix /x is given twice, for the same hosts"}},
		},
		"of a Deployment that another has, no address is taken": {
			[]Object{object("n", "old", 3, at("app", "/a")), object("n", "young", 2, at("app", "/b")), object("n", "last", 1, at("free", "/b"))},
			map[string]owner{"n/app": {"n/old", []int{0}}, "n/free": {"n/last", []int{0}}},
			map[string][]string{"n/young": {"the Deployment app belongs to the CustomAutoscaler old, which is older"}},
		},
	} {
		for range 3 { // whatever the order
			rand.Shuffle(len(c.objects), func(i, j int) { c.objects[i], c.objects[j] = c.objects[j], c.objects[i] })
			x := NewIndex()
			x.Update(c.objects, nil)
			owners, texts := map[string]owner{}, map[string][]string{}
			for k, claim := range claimsOf(x) {
				owners[k.String()] = owner{claim.By.Namespace + "/" + claim.By.Name, claim.Targets}
			}
			for a := range x.objects {
				for _, r := range x.Refused(a) {
					texts[a.Namespace+"/"+a.Name] = append(texts[a.Namespace+"/"+a.Name], r.Text)
				}
			}
			if diff := cmp.Diff(c.owners, owners) + cmp.Diff(c.refused, texts); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}
