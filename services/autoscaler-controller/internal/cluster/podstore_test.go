package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

var theApp, otherApp = fleet.Key{Namespace: "ns", Deployment: "app"}, fleet.Key{Namespace: "ns", Deployment: "other"}

// podOf is a pod of an application as it is kept.
func podOf(k fleet.Key, name, uid string, version uint64) *pod {
	return &pod{of: k, name: name, uid: uid, version: version, shape: &shape{}}
}

// storeOf is a store of pods that are watched already, and what it asks to be listed and tells.
func storeOf(wanted ...fleet.Key) (s *podStore, asked *[]*podSet, told *[]fleet.Key) {
	s, asked, told = newPodStore(), new([]*podSet), new([]fleet.Key)
	s.list = func(sets []*podSet) { *asked = append(*asked, sets...) }
	s.news = func(keys []fleet.Key) { *told = append(*told, keys...) }
	s.begin()
	s.Replace(nil, 1)
	for _, k := range wanted {
		s.want(k)
	}
	return s, asked, told
}

// names are the pods of an application with their versions; "not whole" when these may not be all.
func names(s *podStore, k fleet.Key) []string {
	pods, whole := s.of(k)
	if !whole {
		return []string{"not whole"}
	}
	list := make([]string, len(pods))
	for i, p := range pods {
		list[i] = fmt.Sprint(p.name, "@", p.version)
	}
	return list
}

// A list and the watch come together, whatever came first.
func TestPodStore_TheListAndTheWatchComeTogether(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(s *podStore) // while the list is under way
		listed    []*pod
		version   uint64
		after     func(s *podStore)
		want      []string
	}{
		"nothing happens": {nil, []*pod{podOf(theApp, "a", "1", 5)}, 10, nil, []string{"a@5"}},
		"one is deleted, which the list still has": {
			func(s *podStore) { s.Remove(podOf(theApp, "a", "1", 11)) }, []*pod{podOf(theApp, "a", "1", 5)}, 10, nil, []string{},
		},
		"it is deleted and made anew": {
			func(s *podStore) {
				s.Remove(podOf(theApp, "a", "1", 11))
				s.Put(podOf(theApp, "a", "2", 12))
			}, []*pod{podOf(theApp, "a", "1", 5)}, 10, nil, []string{"a@12"},
		},
		"the watch is ahead": {
			func(s *podStore) { s.Put(podOf(theApp, "a", "1", 11)) }, []*pod{podOf(theApp, "a", "1", 5)}, 10, nil, []string{"a@11"},
		},
		"one was made after the list": {
			func(s *podStore) { s.Put(podOf(theApp, "b", "2", 11)) }, []*pod{podOf(theApp, "a", "1", 5)}, 10, nil, []string{"a@5", "b@11"},
		},
		"the watch is behind, and brings one back that has gone": {
			nil, nil, 10, func(s *podStore) { s.Put(podOf(theApp, "a", "1", 9)) }, []string{},
		},
		"the watch is behind, and says less of one": {
			nil, []*pod{podOf(theApp, "a", "1", 8)}, 10, func(s *podStore) { s.Put(podOf(theApp, "a", "1", 7)) }, []string{"a@8"},
		},
		"the watch had one that the list knows to be gone": {
			func(s *podStore) { s.Put(podOf(theApp, "a", "1", 7)) }, nil, 10, nil, []string{},
		},
		"a newer list of all came before": {
			func(s *podStore) { s.Replace([]*pod{podOf(theApp, "b", "2", 12)}, 15) }, []*pod{podOf(theApp, "a", "1", 5)}, 10, nil, []string{"b@12"},
		},
		"an older list of all comes after": {
			nil, []*pod{podOf(theApp, "a", "1", 9)}, 10, func(s *podStore) { s.Replace([]*pod{podOf(theApp, "b", "2", 4)}, 8) }, []string{"a@9"},
		},
		"a newer list of all comes after": {
			nil, []*pod{podOf(theApp, "a", "1", 9)}, 10, func(s *podStore) { s.Replace([]*pod{podOf(theApp, "b", "2", 14)}, 18) }, []string{"b@14"},
		},
		"another one of its name was deleted long ago": {
			nil, []*pod{podOf(theApp, "a", "2", 9)}, 10, func(s *podStore) { s.Remove(podOf(theApp, "a", "1", 6)) }, []string{"a@9"},
		},
		"versions that are no numbers": {
			func(s *podStore) { s.Remove(podOf(theApp, "b", "2", 0)) }, []*pod{podOf(theApp, "a", "1", 0), podOf(theApp, "b", "2", 0)}, 0,
			func(s *podStore) { s.Put(podOf(theApp, "c", "3", 0)) }, []string{"a@0", "c@0"},
		},
		"its labels changed hands": {
			nil, []*pod{podOf(theApp, "a", "1", 9)}, 10, func(s *podStore) { s.Put(podOf(fleet.Key{Namespace: "ns"}, "a", "1", 11)) }, []string{},
		},
	} {
		s, asked, _ := storeOf(theApp)
		if got := names(s, theApp); !slices.Equal(got, []string{"not whole"}) || len(*asked) != 1 {
			t.Errorf("%s: before the list it has %v, and asks for %d", name, got, len(*asked))
		}
		if c.meanwhile != nil {
			c.meanwhile(s)
		}
		if s.merge((*asked)[0], c.listed, c.version) {
			t.Errorf("%s: it is to be listed again", name)
		}
		if c.after != nil {
			c.after(s)
		}
		if diff := cmp.Diff(c.want, names(s, theApp)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPodStore_KeepsNoPodThatNobodyAskedFor(t *testing.T) {
	s, asked, told := storeOf()
	s.Put(podOf(theApp, "a", "1", 5))
	s.Put(&pod{of: theApp, name: "b", uid: "2", version: 6, dismissed: true})
	if len(s.pods) != 0 || len(*told) != 0 {
		t.Errorf("it keeps %d and tells %v", len(s.pods), *told)
	}
	s.want(theApp)
	s.merge((*asked)[0], []*pod{podOf(theApp, "a", "1", 5)}, 10)
	if s.drop(theApp); len(s.pods)+len(s.sets) != 0 {
		t.Errorf("of an application that is not asked for any more it keeps %d, %d", len(s.pods), len(s.sets))
	}
	// What was asked for before counts for nothing: what has happened between is not known.
	s.want(theApp)
	s.merge((*asked)[0], []*pod{podOf(theApp, "a", "1", 5)}, 10)
	if got := names(s, theApp); !slices.Equal(got, []string{"not whole"}) || len(s.pods) != 0 {
		t.Errorf("an old list is taken for a new one: %v, %v", got, s.pods)
	}
}

// A list of all that began before an application was asked for says too little of it.
func TestPodStore_ListsAgainWhatAListOfAllHasDismissed(t *testing.T) {
	dismissed := []*pod{{of: theApp, name: "a", uid: "1", version: 5, dismissed: true}}
	s, asked, _ := storeOf(theApp)
	s.Replace(dismissed, 15)
	if !s.merge((*asked)[0], nil, 10) || !slices.Equal(names(s, theApp), []string{"not whole"}) {
		t.Errorf("a list that is older than what was dismissed is taken: %v", names(s, theApp))
	}
	if s.merge((*asked)[0], []*pod{podOf(theApp, "a", "1", 5)}, 16) || !slices.Equal(names(s, theApp), []string{"a@5"}) {
		t.Errorf("the next list is not taken: %v", names(s, theApp))
	}
	s.Replace(dismissed, 20)
	if len(*asked) != 2 || !slices.Equal(names(s, theApp), []string{"a@5"}) {
		t.Errorf("%d lists are asked for; meanwhile it has %v", len(*asked), names(s, theApp))
	}
}

func TestPodStore_TellsBothWhomAPodLeavesAndWhomItJoins(t *testing.T) {
	s, asked, told := storeOf(theApp, otherApp)
	s.merge((*asked)[0], []*pod{podOf(theApp, "a", "1", 5)}, 10)
	s.merge((*asked)[1], nil, 10)
	*told = nil
	s.Put(podOf(otherApp, "a", "1", 11))
	if diff := cmp.Diff([]fleet.Key{theApp, otherApp}, *told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	*told = nil
	s.Put(podOf(otherApp, "a", "1", 12))
	if len(*told) != 0 || names(s, otherApp)[0] != "a@12" {
		t.Errorf("another version that says the same is told to %v, kept is %v", *told, names(s, otherApp))
	}
}

func TestPodStore_PodsOfOneTemplateShareIt(t *testing.T) {
	s, asked, _ := storeOf(theApp)
	var listed []*pod
	for i := range 10 {
		p := podOf(theApp, fmt.Sprint("p", i), fmt.Sprint(i), 5)
		p.shape = &shape{ports: []namedPort{{"web", 8080}}}
		listed = append(listed, p)
	}
	s.merge((*asked)[0], listed, 10)
	pods, _ := s.of(theApp)
	for _, p := range pods {
		if p.shape != pods[0].shape {
			t.Errorf("%s has a shape of its own", p.name)
		}
	}
}

// server is an API server: every change of a pod with its version, and what a list of a version says.
type server struct {
	log []podEvent
	now map[string]*pod // by name
}

type podEvent struct {
	pod     *pod
	deleted bool
}

func (a *server) version() uint64 { return uint64(len(a.log)) + 1 }

func (a *server) change(chance *rand.Rand) {
	name := fmt.Sprint("p", chance.IntN(5))
	before, there := a.now[name]
	key := []fleet.Key{theApp, otherApp, {Namespace: "ns", Deployment: "third"}}[chance.IntN(3)]
	next := podOf(key, name, fmt.Sprint("uid", a.version()), a.version()+1)
	switch {
	case there && chance.IntN(2) == 0:
		gone := podOf(before.of, name, before.uid, next.version)
		delete(a.now, name)
		a.log = append(a.log, podEvent{gone, true})
		return
	case there:
		next.uid = before.uid
		if chance.IntN(3) > 0 {
			next.of = before.of
		}
	}
	a.now[name] = next
	a.log = append(a.log, podEvent{next, false})
}

// read is what the store keeps of a pod that it is brought just now.
func read(s *podStore, p *pod) *pod {
	one := *p
	one.dismissed = !s.wanted(p.of)
	return &one
}

// listing is a list on its way.
type listing struct {
	set     *podSet // nil: of all
	pods    []*pod
	version uint64
}

// Whatever the order in which the watch, its relists and the lists of applications come in, a pod that was
// seen to go does not come back, and in the end everything is as the API server has it.
func TestPodStore_IsInTheEndAsTheServerHasIt(t *testing.T) {
	for seed := range uint64(400) {
		chance := rand.New(rand.NewPCG(seed, 3))
		api := &server{now: map[string]*pod{}}
		s, asked, _ := storeOf()
		at, relist := 0, (*listing)(nil) // where the watch is; a relist on its way ends the watch until it is there
		var lists []listing
		gone := map[string]bool{}
		before := map[fleet.Key][]*pod{}
		look := func() {
			for _, k := range []fleet.Key{theApp, otherApp} {
				pods, whole := s.of(k)
				if !whole {
					continue
				}
				for _, p := range pods {
					if gone[k.Deployment+p.uid] {
						t.Fatalf("seed %d: %s %s came back to %v", seed, p.name, p.uid, k)
					}
				}
				for _, p := range before[k] {
					if !slices.ContainsFunc(pods, func(q *pod) bool { return q.uid == p.uid }) && api.now[p.name] == nil {
						gone[k.Deployment+p.uid] = true
					}
				}
				before[k] = pods
			}
		}
		step := func(what int) {
			switch {
			case what == 0:
				api.change(chance)
			case what == 1 && relist == nil && at < len(api.log):
				e := api.log[at]
				at++
				if e.deleted {
					s.Remove(read(s, e.pod))
				} else {
					s.Put(read(s, e.pod))
				}
			case what == 2 && relist == nil && chance.IntN(4) == 0:
				relist = &listing{version: api.version()}
				for _, p := range api.now {
					relist.pods = append(relist.pods, read(s, p))
				}
				at = len(api.log)
			case what == 3 && relist != nil:
				s.Replace(relist.pods, relist.version)
				relist = nil
			case what == 4 && len(*asked) > 0:
				l := listing{set: (*asked)[0], version: api.version()}
				*asked = (*asked)[1:]
				for _, p := range api.now {
					if p.of == l.set.key {
						one := *p
						l.pods = append(l.pods, &one)
					}
				}
				lists = append(lists, l)
			case what == 5 && len(lists) > 0:
				l := lists[0]
				lists = lists[1:]
				if s.merge(l.set, l.pods, l.version) {
					*asked = append(*asked, l.set)
				}
			case what == 6 && chance.IntN(3) == 0:
				k := []fleet.Key{theApp, otherApp}[chance.IntN(2)]
				if s.wanted(k) && chance.IntN(2) == 0 {
					s.drop(k)
					delete(before, k)
				} else {
					s.want(k)
				}
			}
			look()
		}
		for range 150 {
			step(chance.IntN(7))
		}
		s.want(theApp)
		s.want(otherApp)
		for relist != nil || at < len(api.log) || len(*asked) > 0 || len(lists) > 0 {
			for what := range []int{1, 3, 4, 5} {
				step([]int{1, 3, 4, 5}[what])
			}
		}
		for _, k := range []fleet.Key{theApp, otherApp} {
			want := map[string]string{}
			for _, p := range api.now {
				if p.of == k {
					want[p.name] = p.uid
				}
			}
			got := map[string]string{}
			pods, whole := s.of(k)
			for _, p := range pods {
				got[p.name] = p.uid
			}
			if !whole || !maps.Equal(want, got) {
				t.Fatalf("seed %d: %v is whole: %v\n%s", seed, k, whole, cmp.Diff(want, got))
			}
		}
	}
}
