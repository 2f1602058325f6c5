package claims

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// world is what an Index is compared with: all objects, resolved together, each address with each other.
type world struct {
	objects map[fleet.Autoscaler]Object
	policy  Policy
}

// had is an address that is had in a world.
type had struct {
	Object
	target int
	address
}

// overlaps says, in a word each, why a younger address cannot be had beside an older one.
func overlaps(older, younger had) bool {
	home := func(h had) bool { return within(h.prefix, "/"+h.Namespace) }
	switch {
	case older.Namespace == younger.Namespace || !within(older.prefix, younger.prefix) && !within(younger.prefix, older.prefix):
		return false
	case younger.host != "" && older.host != "":
		return younger.host == older.host
	case younger.host == "" && older.host != "":
		return false
	case home(younger):
		return false
	case younger.host == "" && home(older):
		return younger.prefix != "/"
	}
	return true
}

func (w world) resolve() (map[fleet.Key]Claim, map[fleet.Autoscaler][]string, []had) {
	type claim struct {
		Object
		i   int
		age time.Time
	}
	var ordered []claim
	for _, o := range w.objects {
		for i, t := range o.Targets {
			age := o.Created
			if t.Since.After(age) {
				age = t.Since
			}
			ordered = append(ordered, claim{o, i, age})
		}
	}
	slices.SortFunc(ordered, func(a, b claim) int {
		return cmp.Or(a.age.Compare(b.age), compare(a.Autoscaler, b.Autoscaler), cmp.Compare(a.i, b.i))
	})
	owners, refused := map[fleet.Key]Claim{}, map[fleet.Autoscaler]map[int]string{}
	var all []had
targets:
	for _, o := range ordered {
		i, t := o.i, o.Targets[o.i]
		no := func(format string, args ...any) {
			if refused[o.Autoscaler] == nil {
				refused[o.Autoscaler] = map[int]string{}
			}
			refused[o.Autoscaler][i] = fmt.Sprintf(format, args...)
		}
		k := fleet.Key{Namespace: o.Namespace, Deployment: t.Deployment}
		if c, owned := owners[k]; owned && c.By != o.Autoscaler {
			no("the Deployment %s belongs to the CustomAutoscaler %s, which is older", t.Deployment, c.By.Name)
			continue
		}
		for _, h := range all { // in the order in which they were had
			if h.Namespace == o.Namespace && slices.Contains(slices.Collect(t.addresses()), h.address) {
				if h.Autoscaler == o.Autoscaler {
					no("%s: apiPrefix %s is given twice, for the same hosts", t.Deployment, t.Prefix)
				} else {
					no("%s: apiPrefix %s belongs to the CustomAutoscaler %s/%s, which is older", t.Deployment, t.Prefix, h.Namespace, h.Name)
				}
				continue targets
			}
		}
		for a := range t.addresses() {
			if w.policy.says(o.Namespace, a) == denied {
				no("%s: apiPrefix %s%s is given to other namespaces by a ClaimPolicy", t.Deployment, t.Prefix, t.on())
				continue targets
			}
		}
		for a := range t.addresses() {
			me, said := had{o.Object, i, a}, w.policy.says(o.Namespace, a)
			taken := slices.ContainsFunc(all, func(h had) bool {
				return h.Namespace != o.Namespace && (h.address == a || said == silent && overlaps(h, me))
			})
			if taken || said == silent && w.belongs(me) {
				no("%s: apiPrefix %s%s overlaps what an application of another namespace holds; /%s and what is below it is this namespace's own, more is given by a ClaimPolicy",
					t.Deployment, t.Prefix, t.on(), o.Namespace)
				continue targets
			}
		}
		c := owners[k]
		owners[k] = Claim{By: o.Autoscaler, Targets: slices.Sorted(slices.Values(append(c.Targets, i)))}
		for a := range t.addresses() {
			all = append(all, had{o.Object, i, a})
		}
	}
	lists := map[fleet.Autoscaler][]string{}
	for a, texts := range refused {
		for _, i := range slices.Sorted(maps.Keys(texts)) {
			lists[a] = append(lists[a], texts[i])
		}
	}
	return owners, lists, all
}

// belongs tells whether a namespace asks for something below its own name that meets an address of another.
func (w world) belongs(me had) bool {
	for _, o := range w.objects {
		for i, t := range o.Targets {
			for a := range t.addresses() {
				own := had{o, i, a}
				if me.host == "" && a.host == "" && o.Namespace != me.Namespace && a.isOf(o.Namespace) && me.isOf(o.Namespace) && (within(me.prefix, own.prefix) || within(own.prefix, me.prefix)) {
					return true
				}
			}
		}
	}
	return false
}

// randomly is an object of a small world, in which objects meet often.
func randomly(chance *rand.Rand) Object {
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	o := object(pick("n", "m", "o"), pick("p", "q", "r"), time.Duration(chance.IntN(6)))
	for range chance.IntN(4) {
		t := at(pick("a", "b", "c"), pick("/", "/x", "/x/y", "/x/y/z", "/xy", "/n", "/n/a", "/m", "/m/b/c"))
		for range chance.IntN(3) * chance.IntN(2) {
			t.Hosts = append(t.Hosts, pick("h", "g.i", "k.i"))
		}
		if chance.IntN(3) == 0 {
			t.Since = day.Add(time.Duration(chance.IntN(9)) - 6) // before the object was made, too
		}
		o.Targets = append(o.Targets, t)
	}
	return o
}

func randomPolicy(chance *rand.Rand) Policy {
	var p Policy
	for range max(0, chance.IntN(6)-2) {
		pick := func(of ...string) []string {
			return slices.DeleteFunc([]string{of[chance.IntN(len(of))]}, func(s string) bool { return s == "" })
		}
		p.Rules = append(p.Rules, Rule{Hosts: pick("", "", "h", "*.i"), Prefixes: pick("", "/x", "/x/y", "/n"), From: only(pick("n", "m", "*", "z")...)})
	}
	return p
}

// What it says after any sequence of changes is what the world says of all, and it tells what has changed.
func TestIndex_SaysWhatAWorldSaysOfAll(t *testing.T) {
	for seed := range uint64(300) {
		chance := rand.New(rand.NewPCG(seed, 7))
		x, w := NewIndex(), world{objects: map[fleet.Autoscaler]Object{}}
		for step := range 40 {
			before := world{maps.Clone(w.objects), w.policy}
			var set []Object
			var drop []fleet.Autoscaler
			for range 1 + chance.IntN(3) {
				o := randomly(chance)
				if slices.ContainsFunc(set, func(s Object) bool { return s.Autoscaler == o.Autoscaler }) || slices.Contains(drop, o.Autoscaler) {
					continue
				}
				if chance.IntN(3) == 0 {
					drop = append(drop, o.Autoscaler)
					delete(w.objects, o.Autoscaler)
					continue
				}
				set = append(set, o)
				w.objects[o.Autoscaler] = o
			}
			var change Change
			alone := len(set) == 1 && before.objects[set[0].Autoscaler].Targets == nil && len(drop) == 0 && !asksAtHome(set[0]) && len(set[0].parts()) == 1
			var would []string
			if alone {
				would = texts(x.Would(set[0]))
				same(t, fmt.Sprintf("seed %d, step %d, after a question", seed, step), x, before)
			}
			if step%10 == 9 && seed%2 == 1 {
				w = world{before.objects, randomPolicy(chance)}
				change = x.Govern(w.policy)
			} else {
				change = x.Update(set, drop)
			}
			if got := x.Refused(first(set)); alone && step%10 != 9 && !slices.Equal(would, texts(got)) {
				t.Errorf("seed %d, step %d: a new one would be refused %q, and was %q", seed, step, would, texts(got))
			}
			same(t, fmt.Sprintf("seed %d, step %d", seed, step), x, w)
			tells(t, fmt.Sprintf("seed %d, step %d", seed, step), change, before, w)
			if t.Failed() {
				return
			}
		}
		for a := range w.objects {
			x.Update(nil, []fleet.Autoscaler{a})
		}
		if len(x.objects)+len(x.at)+len(x.wanted)+len(x.owners)+len(x.register) > 0 {
			t.Fatalf("seed %d: of nothing it keeps %+v", seed, x)
		}
	}
}

func asksAtHome(o Object) bool {
	for _, t := range o.Targets {
		for a := range t.addresses() {
			if a.isOf(o.Namespace) {
				return true
			}
		}
	}
	return false
}

// first names the first object of a list.
func first(list []Object) fleet.Autoscaler {
	if len(list) == 0 {
		return fleet.Autoscaler{}
	}
	return list[0].Autoscaler
}

// same compares an index with a world.
func same(t *testing.T, when string, x *Index, w world) {
	t.Helper()
	owners, refused, all := w.resolve()
	if !maps.EqualFunc(owners, claimsOf(x), func(a, b Claim) bool { return a.By == b.By && slices.Equal(a.Targets, b.Targets) }) {
		t.Errorf("%s: owners are %v, want %v", when, claimsOf(x), owners)
	}
	for a := range w.objects {
		if got := texts(x.Refused(a)); !slices.Equal(got, refused[a]) {
			t.Errorf("%s: %v is refused %q, want %q", when, a, got, refused[a])
		}
	}
	var want []string
	for _, h := range all {
		want = append(want, h.Namespace+":"+h.host+h.prefix)
	}
	slices.Sort(want)
	if got := has(x); !slices.Equal(got, want) {
		t.Errorf("%s: had is %v, want %v", when, got, want)
	}
}

// tells looks whether a change tells of everything that has changed.
func tells(t *testing.T, when string, c Change, before, after world) {
	t.Helper()
	ownersBefore, refusedBefore, _ := before.resolve()
	ownersAfter, refusedAfter, _ := after.resolve()
	for k := range ownersBefore {
		if _, owned := ownersAfter[k]; !owned && !slices.Contains(c.Keys, k) {
			t.Errorf("%s: it does not tell that nobody has %v", when, k)
		}
	}
	for k, now := range ownersAfter {
		was := ownersBefore[k]
		a, b := before.objects[now.By], after.objects[now.By]
		if (was.By != now.By || !slices.Equal(was.Targets, now.Targets) || !sameClaims(&a, &b)) && !slices.Contains(c.Keys, k) {
			t.Errorf("%s: it does not tell that %v is %v's", when, k, now)
		}
	}
	for _, a := range slices.Concat(slices.Collect(maps.Keys(before.objects)), slices.Collect(maps.Keys(after.objects))) {
		told, as := slices.Contains(c.Refused, a), slices.Equal(refusedBefore[a], refusedAfter[a])
		if !told && !as || told && as && len(refusedAfter[a]) == 0 { // it may be for somebody else's sake now
			t.Errorf("%s: of %v it tells %v: before %q, after %q", when, a, told, refusedBefore[a], refusedAfter[a])
		}
	}
}

// claimsOf are all claims of an index.
func claimsOf(x *Index) map[fleet.Key]Claim {
	all := map[fleet.Key]Claim{}
	for k := range x.owners {
		all[k], _ = x.Claim(k)
	}
	return all
}

// holdings are all addresses that are had in an index.
func holdings(x *Index) []*holding {
	var all []*holding
	for _, o := range x.objects {
		for _, e := range o.parts {
			all = append(all, e.held...)
		}
	}
	return all
}

func texts(list []Refusal) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.Text)
	}
	return out
}

// No request that lies within what somebody has goes to another namespace, unless that one is older, or has
// it below its own name. This is asked of requests, by the load balancers' rule, not of the rule above.
func TestIndex_NoRequestGoesToAYoungerOneOfAnotherNamespace(t *testing.T) {
	requests := []address{}
	for _, host := range []string{"h", "g.i", "k.i", "elsewhere"} {
		for _, path := range []string{"/", "/x", "/x/q", "/x/y", "/x/y/z/1", "/xy", "/n", "/n/a/1", "/m/b", "/m/b/c/d", "/o"} {
			requests = append(requests, address{host, path})
		}
	}
	for seed := range uint64(300) {
		chance := rand.New(rand.NewPCG(seed, 11))
		x := NewIndex()
		for range 25 {
			x.Update([]Object{randomly(chance)}, nil)
		}
		all := holdings(x)
		for _, r := range requests {
			var first *holding
			for _, h := range all {
				if h.takes(r) && (first == nil || h.beats(first)) {
					first = h
				}
			}
			for _, h := range all {
				if !h.takes(r) || h.of.Namespace == first.of.Namespace || first.of.before(h.of) || first.isOf(first.of.Namespace) && h.host == "" {
					continue
				}
				t.Fatalf("seed %d: %v goes to %s:%v, which is younger than %s:%v", seed, r, first.of.Namespace, first.address, h.of.Namespace, h.address)
			}
		}
	}
}

func (h *holding) takes(r address) bool {
	return (h.host == "" || h.host == r.host) && within(r.prefix, h.prefix)
}

// beats is the load balancers' rule: a host by name, then the longest prefix.
func (h *holding) beats(other *holding) bool {
	if (h.host == "") != (other.host == "") {
		return h.host != ""
	}
	return len(h.prefix) > len(other.prefix)
}

func TestAddress_PrefixesEndAtASlash(t *testing.T) {
	for _, c := range []struct {
		prefix, outer string
		want          bool
	}{{"/a", "/", true}, {"/", "/a", false}, {"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false}} {
		if got := within(c.prefix, c.outer); got != c.want {
			t.Errorf("within(%s, %s) = %v", c.prefix, c.outer, got)
		}
	}
	if got := slices.Collect(shorter("/a/b/c")); strings.Join(got, " ") != "/a/b /a /" || len(slices.Collect(shorter("/"))) != 0 {
		t.Errorf("shorter are %v", got)
	}
	for prefix, want := range map[string]string{"/": "/", "/a": "/a", "/1/2/3/4/5/6/7/8": "/1/2/3/4/5/6/7/8", "/1/2/3/4/5/6/7/8/9/10": "/1/2/3/4/5/6/7/8"} {
		if got := cut(prefix); got != want {
			t.Errorf("cut(%s) = %s, want %s", prefix, got, want)
		}
	}
	for prefix, want := range map[string]string{"": "/", "/": "/", "//": "/", "/a/": "/a", "/a": "/a"} {
		if got := clean(prefix); got != want {
			t.Errorf("clean(%q) = %s", prefix, got)
		}
	}
}
