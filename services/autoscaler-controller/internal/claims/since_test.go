package claims

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// hour is the time at which things happen that are younger than all objects.
func hour(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }

// edits is an object that is edited at a time: what it had is known.
func edits(x *Index, at time.Time, o Object) Change {
	s := Seen{Object: o, Edited: true}
	if known, there := x.objects[o.Autoscaler]; there {
		s.Known = known.Targets
	}
	return sees(x, at, s)
}

func sees(x *Index, at time.Time, list ...Seen) Change {
	x.Date(list, at)
	objects := make([]Object, len(list))
	for i, s := range list {
		objects[i] = s.Object
	}
	return x.Update(objects, nil)
}

// reads is what another process makes of what was written of an index.
func reads(x *Index, at time.Time) *Index {
	var all []Seen
	for _, o := range x.objects {
		all = append(all, Seen{Object: o.Object, Known: o.Targets, Edited: true})
	}
	y := NewIndex()
	sees(y, at, all...)
	return y
}

// The object of b is older than that of a. Whatever b's is edited to, a keeps what it has.
func TestIndex_AnEditTakesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		held, before, after []string
		want                []string
	}{
		"the same prefix":               {[]string{"/shop"}, []string{"/b/own"}, []string{"/shop"}, []string{"a:/shop"}},
		"a longer prefix":               {[]string{"/shop"}, []string{"/b/own"}, []string{"/shop/login"}, []string{"a:/shop"}},
		"a shorter prefix":              {[]string{"/shop/login"}, []string{"/mine"}, []string{"/shop"}, []string{"a:/shop/login"}},
		"an entry more":                 {[]string{"/shop"}, []string{"/mine"}, []string{"/mine", "/shop/login"}, []string{"a:/shop", "b:/mine"}},
		"an entry more, before others":  {[]string{"/shop"}, []string{"/mine", "/more"}, []string{"/shop", "/more", "/mine"}, []string{"a:/shop", "b:/mine", "b:/more"}},
		"a host":                        {[]string{"h/"}, []string{"g/"}, []string{"h/"}, []string{"a:h/"}},
		"a host more in an entry":       {[]string{"h/"}, []string{"g/"}, []string{"g,h/"}, []string{"a:h/"}},
		"its host out of every host":    {[]string{"/shop"}, []string{"/mine"}, []string{"/mine", "h/shop"}, []string{"a:/shop", "b:/mine"}},
		"every host instead of one":     {[]string{"/shop"}, []string{"g/x"}, []string{"/"}, []string{"a:/shop"}},
		"one host of those it had":      {[]string{"/shop"}, []string{"g,k/x"}, []string{"g/x"}, []string{"a:/shop", "b:g/x"}},
		"its hosts in another order":    {[]string{"/shop"}, []string{"g,k/x"}, []string{"k,g/x"}, []string{"a:/shop", "b:g/x", "b:k/x"}},
		"a slash at the end, no more":   {[]string{"/shop"}, []string{"/mine"}, []string{"/mine/"}, []string{"a:/shop", "b:/mine"}},
		"what is free":                  {[]string{"/shop"}, []string{"/mine"}, []string{"/free", "/b/x"}, []string{"a:/shop", "b:/b/x", "b:/free"}},
		"below its own name, of course": {[]string{"/b/x"}, []string{"/mine"}, []string{"/mine", "/b"}, []string{"b:/b", "b:/mine"}},
	} {
		x := NewIndex()
		theirs, mine := wants("b", 9, c.before...), wants("a", 1, c.held...)
		mine.Name, theirs.Name = "mine", "theirs"
		sees(x, hour(0), Seen{Object: mine}, Seen{Object: theirs})
		after := wants("b", 9, c.after...)
		after.Name = theirs.Name
		for i := range after.Targets {
			after.Targets[i].Deployment = "app"
		}
		for i := range theirs.Targets {
			theirs.Targets[i].Deployment = "app" // it is the addresses that are edited
		}
		edits(x, hour(0), theirs)
		x.Update([]Object{theirs}, nil)
		edits(x, hour(1), after)
		for _, index := range []*Index{x, reads(x, hour(2))} {
			if diff := cmp.Diff(c.want, has(index)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		edits(x, hour(3), theirs) // and back again: these are new claims too, but nobody else's
		if got := has(x); !slices.ContainsFunc(got, func(s string) bool { return s[0] == 'b' }) {
			t.Errorf("%s, and back: %v", name, got)
		}
	}
}

// Within a namespace it is the same, for the very address and for a Deployment.
func TestIndex_AnEditTakesNothingWithinItsNamespace(t *testing.T) {
	x := NewIndex()
	old, young := object("n", "old", 9, at("free", "/free")), object("n", "young", 1, at("app", "/x"), at("more", "/y", "h"))
	sees(x, hour(0), Seen{Object: old}, Seen{Object: young})
	old.Targets = []Target{at("app", "/other"), at("free", "/free"), at("third", "/x"), at("fourth", "/y", "h", "g")}
	edits(x, hour(1), old)
	for _, index := range []*Index{x, reads(x, hour(2))} {
		if got := has(index); !slices.Equal(got, []string{"n:/free", "n:/x", "n:h/y"}) {
			t.Errorf("had is %v", got)
		}
		if c, _ := index.Claim(fleet.Key{Namespace: "n", Deployment: "app"}); c.By.Name != "young" {
			t.Errorf("the Deployment is %+v", c)
		}
		if c, _ := index.Claim(fleet.Key{Namespace: "n", Deployment: "free"}); c.By.Name != "old" || !slices.Equal(c.Targets, []int{1}) {
			t.Errorf("what it had is %+v", c)
		}
		want := []string{
			"the Deployment app belongs to the CustomAutoscaler young, which is older",
			"third: apiPrefix /x belongs to the CustomAutoscaler n/young, which is older",
			"fourth: apiPrefix /y belongs to the CustomAutoscaler n/young, which is older",
		}
		if diff := cmp.Diff(want, texts(index.Refused(old.Autoscaler))); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
	}
	x.Update(nil, []fleet.Autoscaler{young.Autoscaler})
	if c, _ := x.Claim(fleet.Key{Namespace: "n", Deployment: "app"}); c.By.Name != "old" || x.Refused(old.Autoscaler) != nil {
		t.Errorf("when the other one goes: %+v, %v", c, texts(x.Refused(old.Autoscaler)))
	}
}

// Claims of several ages are one object's: its Deployment is reached at all of them, and an address that it
// has twice is had by the older one.
func TestIndex_AnObjectOfSeveralAgesIsOne(t *testing.T) {
	x := NewIndex()
	o := object("n", "o", 9, at("app", "/b"))
	sees(x, hour(0), Seen{Object: o})
	o.Targets = []Target{at("app", "/a"), at("app", "/b"), at("other", "/b")}
	change := edits(x, hour(1), o)
	if c, _ := x.Claim(fleet.Key{Namespace: "n", Deployment: "app"}); !slices.Equal(c.Targets, []int{0, 1}) {
		t.Errorf("it is reached at %+v", c)
	}
	if got := texts(x.Refused(o.Autoscaler)); !slices.Equal(got, []string{"other: apiPrefix /b is given twice, for the same hosts"}) {
		t.Errorf("refused %q", got)
	}
	if diff := cmp.Diff(Change{Keys: []fleet.Key{{Namespace: "n", Deployment: "app"}}, Refused: []fleet.Autoscaler{o.Autoscaler}}, change); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	o.Targets = o.Targets[:1]
	edits(x, hour(2), o)
	if c, _ := x.Claim(fleet.Key{Namespace: "n", Deployment: "app"}); !slices.Equal(c.Targets, []int{0}) || x.Refused(o.Autoscaler) != nil {
		t.Errorf("without the older one: %+v", c)
	}
}

// Who drops a claim and asks for it again comes after those who asked meanwhile, or waited for it.
func TestIndex_WhoAsksAgainAsksAnew(t *testing.T) {
	x := NewIndex()
	sees(x, hour(0), Seen{Object: object("a", "o", 9, at("app", "/shop"), at("app", "/more"))}, Seen{Object: object("b", "o", 1, at("app", "/shop"))})
	edits(x, hour(1), object("a", "o", 9, at("app", "/more")))
	if got := has(x); !slices.Equal(got, []string{"a:/more", "b:/shop"}) {
		t.Fatalf("dropped: %v", got)
	}
	edits(x, hour(2), object("a", "o", 9, at("app", "/shop"), at("app", "/more")))
	for _, index := range []*Index{x, reads(x, hour(3))} {
		if got := has(index); !slices.Equal(got, []string{"a:/more", "b:/shop"}) {
			t.Errorf("asked for again: %v", got)
		}
	}
}

func TestDate_SaysSinceWhen(t *testing.T) {
	since := func(when time.Time, t Target) Target { t.Since = when; return t }
	now := hour(5).Add(1_234_567)
	fresh := hour(5).Add(time.Millisecond)
	for name, c := range map[string]struct {
		seen Seen
		want []time.Time
	}{
		"of a new one":                      {Seen{Object: object("n", "o", 0, at("app", "/x"))}, []time.Time{day}},
		"what is known":                     {Seen{Object: object("n", "o", 0, at("app", "/x")), Known: []Target{since(hour(1), at("app", "/x"))}, Edited: true}, []time.Time{hour(1)}},
		"older than the object":             {Seen{Object: object("n", "o", 0, at("app", "/x")), Known: []Target{since(hour(-1), at("app", "/x"))}, Edited: true}, []time.Time{day}},
		"known without a time":              {Seen{Object: object("n", "o", 0, at("app", "/x")), Known: []Target{at("app", "/x")}, Edited: true}, []time.Time{day}},
		"an edit of which nothing is known": {Seen{Object: object("n", "o", 0, at("app", "/x")), Edited: true}, []time.Time{fresh}},
		"another prefix, Deployment, host": {
			Seen{Object: object("n", "o", 0, at("app", "/x/y"), at("other", "/x"), at("app", "/x", "h"), at("app", "/x")), Known: []Target{since(hour(1), at("app", "/x"))}, Edited: true},
			[]time.Time{fresh, fresh, fresh, hour(1)},
		},
		"as young as its youngest host": {
			Seen{
				Object: object("n", "o", 0, at("app", "/", "a", "b"), at("app", "/", "a"), at("app", "/", "b", "c")),
				Known:  []Target{since(hour(2), at("app", "/", "b")), since(hour(1), at("app", "/", "a", "b")), since(hour(3), at("app", "/", "c"))}, Edited: true,
			},
			[]time.Time{hour(1), hour(1), hour(3)},
		},
	} {
		seen := []Seen{c.seen}
		NewIndex().Date(seen, now)
		var got []time.Time
		for _, t := range seen[0].Targets {
			got = append(got, t.Since)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Objects are dated by the API server's clock, which need not be this process's.
func TestDate_ANewClaimIsYoungerThanAllThatIsKnown(t *testing.T) {
	x := NewIndex()
	sees(x, hour(0), Seen{Object: object("z", "held", -time.Minute, at("app", "/shop"))}) // a minute ahead
	edit := func() Seen { return Seen{Object: object("a", "old", 9, at("app", "/shop")), Edited: true} }
	together := []Seen{edit(), {Object: object("z", "later", -time.Hour, at("b", "/x"))}, edit()}
	x.Date(together, hour(-1))
	if got := together[0].Targets[0].Since; !got.Equal(hour(1).Add(time.Millisecond)) || !got.Equal(together[2].Targets[0].Since) {
		t.Errorf("it is as old as %v and %v", got, together[2].Targets[0].Since)
	}
	sees(x, day, edit())
	if got := has(x); !slices.Equal(got, []string{"z:/shop"}) {
		t.Errorf("had is %v", got)
	}
	first := x.objects[edit().Autoscaler].Targets[0].Since
	sees(x, day, Seen{Object: object("a", "other", 9, at("app", "/y")), Edited: true})
	if second := x.objects[fleet.Autoscaler{Namespace: "a", Name: "other"}].Targets[0].Since; !second.After(first) {
		t.Errorf("the second edit is of %v, the first of %v", second, first)
	}
}

func TestDate_LeavesWhatItIsGiven(t *testing.T) {
	o := object("n", "o", 0, at("app", "/x"))
	NewIndex().Date([]Seen{{Object: o, Edited: true}}, hour(1))
	if !o.Targets[0].Since.IsZero() {
		t.Error("it writes into the list of who asks")
	}
}

// An edit takes no address and no Deployment from anybody, but what lies below its namespace's own name; and
// what of it was there before stays as it was.
func TestIndex_NoEditTakesAnythingFromAnybody(t *testing.T) {
	for seed := range uint64(100) {
		noEditTakes(t, seed, 20)
	}
}

func FuzzIndex_NoEditTakesAnythingFromAnybody(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { noEditTakes(t, seed, 15) })
}

func noEditTakes(t *testing.T, seed uint64, steps int) {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 13))
	x := NewIndex()
	for step := range steps {
		now := day.Add(time.Duration(chance.IntN(1000)) * time.Millisecond) // the clock is no good one
		o := randomly(chance)
		for i := range o.Targets {
			o.Targets[i].Since = time.Time{}
		}
		before, there := x.objects[o.Autoscaler]
		if !there {
			sees(x, now, Seen{Object: o})
			continue
		}
		// First what it drops, which may bring up others, and then what it adds.
		o.Created = before.Created
		kept := slices.DeleteFunc(slices.Clone(before.Targets), func(Target) bool { return chance.IntN(4) == 0 })
		chance.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] })
		added := o.Targets
		o.Targets = kept
		edits(x, now, o)
		owners, addresses, ownRefused := claimsOf(x), map[string]int{}, texts(x.Refused(o.Autoscaler))
		for _, a := range has(x) {
			addresses[a]++
		}
		o.Targets = slices.Concat(kept, added)
		would := texts(x.wouldEdit(now, o))
		edits(x, now, o)
		when := fmt.Sprintf("seed %d, step %d", seed, step)
		for _, a := range has(x) {
			addresses[a]--
		}
		home := asksAtHome(Object{Autoscaler: o.Autoscaler, Targets: added})
		for a, less := range addresses {
			if less > 0 && !home {
				t.Fatalf("%s: %s is gone by what %+v adds: %+v", when, a, o.Autoscaler, added)
			}
		}
		for k, was := range owners {
			if c, _ := x.Claim(k); !home && (c.By != was.By || !slices.Equal(c.Targets[:min(len(c.Targets), len(was.Targets))], was.Targets)) {
				t.Fatalf("%s: %v was %+v, and is %+v's", when, k, was, c)
			}
		}
		refused := texts(x.Refused(o.Autoscaler))
		if !home && !slices.Equal(refused[:min(len(refused), len(ownRefused))], ownRefused) || !home && !slices.Equal(would, refused) {
			t.Fatalf("%s: refused %q, before %q; it would be %q", when, refused, ownRefused, would)
		}
		if y := reads(x, now); !slices.Equal(has(x), has(y)) {
			t.Fatalf("%s: had is %v, and after a restart %v", when, has(x), has(y))
		}
	}
}

// wouldEdit is Would of an edit.
func (x *Index) wouldEdit(now time.Time, o Object) []Refusal {
	seen := []Seen{{Object: o, Known: x.objects[o.Autoscaler].Targets, Edited: true}}
	x.Date(seen, now)
	return x.Would(seen[0].Object)
}
