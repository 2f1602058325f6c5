package claims

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// world is what an Index is compared with: all objects, resolved together each time.
type world map[fleet.Autoscaler]Object

func (w world) resolve() (map[fleet.Key]Claim, map[fleet.Autoscaler][]string) {
	return Resolve(slices.Collect(maps.Values(w)))
}

// randomly is an object of a small world, in which objects meet often.
func randomly(chance *rand.Rand) Object {
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	o := object(pick("n", "m"), pick("p", "q", "r", "s"), time.Duration(chance.IntN(5)))
	for range chance.IntN(4) {
		t := at(pick("a", "b", "c"), pick("/", "/x", "/y"))
		for range chance.IntN(3) {
			t.Hosts = append(t.Hosts, pick("h", "g", "i"))
		}
		o.Targets = append(o.Targets, t)
	}
	return o
}

// told is what a change must have told: whose claim or owner is another one, and who is refused otherwise.
func told(keysBefore, keysAfter map[fleet.Key]Claim, before, after world, refusedBefore, refusedAfter map[fleet.Autoscaler][]string) Change {
	var want Change
	for k, c := range keysAfter {
		b, owned := keysBefore[k]
		if !owned || !reflect.DeepEqual(b, c) || !reflect.DeepEqual(before[c.By], after[c.By]) {
			want.Keys = append(want.Keys, k)
		}
	}
	for k := range keysBefore {
		if _, owned := keysAfter[k]; !owned {
			want.Keys = append(want.Keys, k)
		}
	}
	for a := range after {
		if !slices.Equal(refusedBefore[a], refusedAfter[a]) {
			want.Refused = append(want.Refused, a)
		}
	}
	for a := range before {
		if _, there := after[a]; !there && len(refusedBefore[a]) > 0 {
			want.Refused = append(want.Refused, a)
		}
	}
	slices.SortFunc(want.Keys, fleet.Key.Compare)
	slices.SortFunc(want.Refused, compare)
	return want
}

// What it says after any sequence of changes is what Resolve says of all, and it tells what has changed.
func TestIndex_SaysWhatResolveSaysOfAll(t *testing.T) {
	for seed := range uint64(100) {
		chance := rand.New(rand.NewPCG(seed, 7))
		x, w := NewIndex(), world{}
		for range 40 {
			before := maps.Clone(w)
			claimsBefore, refusedBefore := w.resolve()
			var set []Object
			var drop []fleet.Autoscaler
			for range 1 + chance.IntN(3) {
				o := randomly(chance)
				if slices.ContainsFunc(set, func(s Object) bool { return s.Autoscaler == o.Autoscaler }) || slices.Contains(drop, o.Autoscaler) {
					continue
				}
				if chance.IntN(3) == 0 {
					drop = append(drop, o.Autoscaler)
					delete(w, o.Autoscaler)
					continue
				}
				set = append(set, o)
				w[o.Autoscaler] = o
			}
			change := x.Update(set, drop)
			claims, refused := w.resolve()
			if diff := cmp.Diff(claims, x.claims) + cmp.Diff(refused, x.refused); diff != "" {
				t.Fatalf("seed %d (-Resolve +index):\n%s", seed, diff)
			}
			want := told(claimsBefore, claims, before, w, refusedBefore, refused)
			missing := func(want, got []fleet.Key) bool {
				return slices.ContainsFunc(want, func(k fleet.Key) bool { return !slices.Contains(got, k) })
			}
			if missing(want.Keys, change.Keys) || !cmp.Equal(want.Refused, change.Refused, cmpopts.EquateEmpty()) {
				t.Fatalf("seed %d: told %+v, want %+v", seed, change, want)
			}
		}
		for a := range w {
			x.Update(nil, []fleet.Autoscaler{a})
		}
		if len(x.objects)+len(x.at)+len(x.claims)+len(x.refused) > 0 {
			t.Fatalf("seed %d: of nothing it keeps %+v", seed, x)
		}
	}
}

// Ten thousand applications at one prefix, each for its own host, do not meet.
func TestIndex_HostsKeepApartWhoIsResolved(t *testing.T) {
	x := NewIndex()
	var objects []Object
	for i := range 10_000 {
		objects = append(objects, object(fmt.Sprint("ns", i%100), fmt.Sprint("ca", i), time.Duration(i), at(fmt.Sprint("app", i), "/", fmt.Sprint("host", i))))
	}
	x.Update(objects, nil)
	near := map[fleet.Autoscaler]struct{}{objects[5].Autoscaler: {}}
	if n := len(x.component(near)); n != 1 {
		t.Errorf("one that meets nobody is resolved with %d", n)
	}
	change := x.Update([]Object{object("ns7", "late", 0, at("app", "/", "host5"))}, nil)
	if len(change.Keys) != 0 || len(change.Refused) != 1 || x.Refused(change.Refused[0]) == nil {
		t.Errorf("one that is refused changes %+v", change)
	}
	change = x.Update(nil, []fleet.Autoscaler{objects[5].Autoscaler})
	want := Change{
		Keys:    []fleet.Key{{Namespace: "ns5", Deployment: "app5"}, {Namespace: "ns7", Deployment: "app"}},
		Refused: []fleet.Autoscaler{{Namespace: "ns7", Name: "late"}},
	}
	if diff := cmp.Diff(want, change); diff != "" {
		t.Errorf("the older goes (-want +got):\n%s", diff)
	}
	if c, owned := x.Claim(fleet.Key{Namespace: "ns7", Deployment: "app"}); !owned || c.By.Name != "late" {
		t.Errorf("its address is %+v's", c)
	}
}

func BenchmarkIndex(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := NewIndex()
			var objects []Object
			for i := range n {
				objects = append(objects, object("ns", fmt.Sprint("ca", i), time.Duration(i), at(fmt.Sprint("app", i), "/", fmt.Sprint("host", i))))
			}
			x.Update(objects, nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				x.Update(objects[i%n:i%n+1], nil)
			}
		})
	}
}
