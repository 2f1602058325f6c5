package claims

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Ten thousand applications at one prefix, each for its own host, do not meet.
func TestIndex_HostsKeepApartWhoIsResolved(t *testing.T) {
	x := NewIndex()
	var objects []Object
	for i := range 10_000 {
		objects = append(objects, object(fmt.Sprint("ns", i%100), fmt.Sprint("ca", i), time.Duration(i), at(fmt.Sprint("app", i), "/", fmt.Sprint("host", i))))
	}
	x.Update(objects, nil)
	r := newRun(x)
	r.set(object(objects[5].Namespace, objects[5].Name, 5, objects[5].Targets[0], at("more", "/x", "host5")))
	if n := len(r.queue); n != 1 {
		t.Errorf("one that meets nobody is resolved with %d", n)
	}
	r.finish()
	x.Update(objects[5:6], nil)
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

// What an event costs must not grow with the number of applications: not where each has its host at "/",
// not where each is below its namespace's name, and not where both stand beside a "/" for every host.
func BenchmarkIndex(b *testing.B) {
	ns := func(i int) string { return fmt.Sprint("ns", i/100) }
	shapes := []struct {
		name   string
		target func(i, turn int) Target
	}{
		{"hosts", func(i, turn int) Target {
			return at(fmt.Sprint("app", i), fmt.Sprint("/", turn), fmt.Sprint("host", i))
		}},
		{"own", func(i, turn int) Target {
			return at(fmt.Sprint("app", i), fmt.Sprint("/", ns(i), "/app", i, "/", turn))
		}},
		{"mixed", func(i, turn int) Target {
			if i%2 == 0 {
				return at(fmt.Sprint("app", i), fmt.Sprint("/", ns(i), "/app", i, "/", turn))
			}
			return at(fmt.Sprint("app", i), "/", fmt.Sprint("host", i, ".", turn))
		}},
	}
	for _, shape := range shapes {
		for _, n := range []int{100, 1_000, 10_000} {
			x := NewIndex()
			one := func(i, turn int) Object {
				age := time.Duration(i) // of the mixed ones the hosts are older: none is refused
				if i%2 == 1 {
					age += 20_000
				}
				return object(ns(i), fmt.Sprint("ca", i), age, shape.target(i, turn))
			}
			objects := []Object{object("catch", "all", 0, at("all", "/"))}
			for i := range n {
				objects = append(objects, one(i, 0))
			}
			x.Update(objects, nil)
			if shape.name != "hosts" && len(x.Refused(objects[n/2].Autoscaler)) > 0 {
				b.Fatal(x.Refused(objects[n/2].Autoscaler))
			}
			turns := make([]int, n)
			for _, what := range []string{"claims", "rest"} {
				b.Run(fmt.Sprint(shape.name, "/", what, "/", n), func(b *testing.B) {
					b.ReportAllocs()
					var took []time.Duration
					for i := 0; b.Loop(); i++ {
						if what == "claims" {
							turns[i%n] = 1 - turns[i%n]
						}
						o := []Object{one(i%n, turns[i%n])}
						began := time.Now()
						x.Update(o, nil)
						took = append(took, time.Since(began))
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2]), "median-ns/op") // what a busy machine does besides is not in it
				})
			}
		}
	}
}
