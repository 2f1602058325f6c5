package election

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube/kubetest"
)

// scene is replicas of any layout on one board, and who leads what: of each namespace there must never be
// two leaders, whatever the layouts.
type scene struct {
	t     *testing.T
	board *kubetest.Board

	mu       sync.Mutex
	leads    map[string][]string // by namespace, who
	awaited  map[string][]string // by replica and shard, at its last term
	terms    int
	replicas map[string]*replica
}

// replica is one that can be ended.
type replica struct {
	*kubetest.Client
	shards *Shards  // nil without shards
	single *Elector // nil with
	stop   context.CancelFunc
	ended  chan struct{}
}

var namespaces = []string{"a", "b", "c", "d", "e", "f", "g", "default", "models", "team-1"}

func stage(t *testing.T, play func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, board: kubetest.NewBoard(), leads: map[string][]string{}, awaited: map[string][]string{}, replicas: map[string]*replica{}}
		play(s)
		for name := range s.replicas {
			s.end(name)
		}
	})
}

// begin starts a replica with so many shards, to which these load balancers report.
func (s *scene) begin(name string, of int, balancers ...string) {
	r := &replica{Client: s.board.Client(), ended: make(chan struct{})}
	s.mu.Lock()
	s.replicas[name] = r
	s.mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	log := slog.New(slog.DiscardHandler)
	leads := make([]func(context.Context), of)
	report := make([]func() ([]string, bool), of)
	var led sync.Map
	for i := range of {
		report[i] = func() ([]string, bool) { _, leading := led.Load(i); return balancers, leading }
		leads[i] = func(term context.Context) {
			led.Store(i, true)
			s.term(term, name, i, of)
			led.Delete(i)
		}
	}
	if of == 1 {
		r.single = New(r.Clients(), log, Options{Name: name, Address: name + ":1", Balancers: report[0]})
		go func() { _ = r.single.Run(ctx, leads[0]); close(r.ended) }()
		return
	}
	r.shards = NewShards(r.Clients(), log, ShardsOptions{Name: name, Address: name + ":1", Balancers: report, Joins: func() bool { return true }})
	go func() { _ = r.shards.Run(ctx, leads); close(r.ended) }()
}

// term is the work of a leader: it ends a moment after it is told to.
func (s *scene) term(ctx context.Context, name string, i, of int) {
	s.mu.Lock()
	s.terms++
	r := s.replicas[name]
	e := r.single
	if e == nil {
		e = r.shards.Elector(i)
	}
	s.awaited[fmt.Sprintf("%s/%d", name, i)] = e.Awaited()
	for _, ns := range namespaces {
		if shard.Of(ns, of) == i {
			if s.leads[ns] = append(s.leads[ns], fmt.Sprintf("%s/%d", name, i)); len(s.leads[ns]) > 1 {
				s.t.Errorf("%s is led by %v", ns, s.leads[ns])
			}
		}
	}
	s.mu.Unlock()
	<-ctx.Done()
	time.Sleep(300 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ns := range namespaces {
		s.leads[ns] = slices.DeleteFunc(s.leads[ns], func(o string) bool { return o == fmt.Sprintf("%s/%d", name, i) })
	}
}

func (s *scene) end(name string) {
	s.replicas[name].stop()
	<-s.replicas[name].ended
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.replicas, name)
}

// leaders is how many shards each replica leads now.
func (s *scene) leaders() map[string]int {
	synctest.Wait()
	out := map[string]int{}
	for name, r := range s.replicas {
		if r.single != nil && r.single.terms.underWay() {
			out[name]++
		}
		if r.shards == nil {
			continue
		}
		for i := range r.shards.electors {
			if r.shards.electors[i].terms.underWay() {
				out[name]++
			}
		}
	}
	return out
}

// leds is who leads each namespace.
func (s *scene) leds() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.leads)
}

func (s *scene) unled() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ns := range namespaces {
		if len(s.leads[ns]) == 0 {
			list = append(list, ns)
		}
	}
	return list
}

// awaits checks which load balancers the replicas awaited whose names begin like this.
func (s *scene) awaits(prefix string, want []string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	led := 0
	for who, names := range s.awaited {
		if strings.HasPrefix(who, prefix) {
			if led++; !slices.Equal(names, want) {
				s.t.Errorf("%s awaits %v, want %v", who, names, want)
			}
		}
	}
	if led == 0 {
		s.t.Errorf("%s has led nothing", prefix)
	}
}

func (s *scene) expect(what string, want map[string]int) {
	s.t.Helper()
	if got := s.leaders(); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("%s: %v lead, want %v", what, got, want)
	}
}

func TestShards_AreSharedAmongReplicasThatComeAndGo(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("a", 4)
		time.Sleep(5 * time.Second)
		s.expect("one", map[string]int{"a": 4})
		s.begin("b", 4)
		time.Sleep(30 * time.Second)
		s.expect("two", map[string]int{"a": 2, "b": 2})
		s.begin("c", 4)
		time.Sleep(30 * time.Second)
		s.expect("three", map[string]int{"a": 2, "b": 1, "c": 1})
		s.end("a") // which gives its shards back
		time.Sleep(4 * time.Second)
		if left := s.unled(); len(left) != 0 {
			t.Errorf("%v are led by nobody 4 s after a has left", left)
		}
		s.expect("two again", map[string]int{"b": 2, "c": 2})
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.terms > 4+2+1+2 {
			t.Errorf("%d terms: more than what had to move", s.terms)
		}
	})
}

func TestShards_OfOneThatIsCutOffAreTakenOverOnceItsWorkHasEnded(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("a", 2)
		s.begin("b", 2)
		time.Sleep(30 * time.Second)
		s.expect("two", map[string]int{"a": 1, "b": 1})
		s.replicas["a"].Cut(true)
		time.Sleep(layoutLease + 3*time.Second)
		s.expect("a is cut off", map[string]int{"b": 2})
		s.replicas["a"].Cut(false)
		time.Sleep(30 * time.Second)
		s.expect("it is back", map[string]int{"a": 1, "b": 1})
	})
}

// Whoever is killed stops in the middle of a period: of its own, and of those who look.
func TestShards_OfOneThatIsCutOffAreFollowedWithinFiveSeconds(t *testing.T) {
	for _, c := range []struct{ shards, replicas int }{{2, 2}, {4, 3}, {3, 5}, {8, 2}} {
		for _, after := range []time.Duration{0, 100 * time.Millisecond, 330 * time.Millisecond, 499 * time.Millisecond, 700 * time.Millisecond, 990 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d shards of %d replicas, %v", c.shards, c.replicas, after), func(t *testing.T) {
				stage(t, func(s *scene) {
					for i := range c.replicas {
						s.begin(fmt.Sprintf("r%d", i), c.shards, "lb-1")
						time.Sleep(170 * time.Millisecond)
					}
					time.Sleep(time.Minute + after)
					leaders := s.leaders()
					victim := slices.MaxFunc(slices.Sorted(maps.Keys(leaders)), func(a, b string) int { return leaders[a] - leaders[b] })
					s.replicas[victim].Cut(true)
					time.Sleep(5 * time.Second)
					if left := s.unled(); len(left) != 0 || s.leaders()[victim] != 0 {
						t.Errorf("5 s after %s was cut off, of %v: %v lead, %v are led by nobody", victim, leaders, s.leaders(), left)
					}
					time.Sleep(30 * time.Second)
					for name, n := range s.leaders() {
						if share := (c.shards + c.replicas - 2) / (c.replicas - 1); n > share {
							t.Errorf("%s leads %d shards in the end, want at most %d", name, n, share)
						}
					}
				})
			})
		}
	}
}

// A pause that ends every term is nobody's fault: all lead afterwards what they led before.
func TestShards_AreWhereTheyWereAfterAPauseOfTheAPIServer(t *testing.T) {
	for _, pause := range []time.Duration{time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 6500 * time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			stage(t, func(s *scene) {
				s.begin("a", 4)
				s.begin("b", 4)
				time.Sleep(130 * time.Millisecond)
				s.begin("c", 4)
				time.Sleep(time.Minute)
				before := s.leds()
				for _, r := range s.replicas {
					r.Cut(true)
				}
				time.Sleep(pause)
				for _, r := range s.replicas {
					r.Cut(false)
				}
				time.Sleep(5 * time.Second)
				if after := s.leds(); after != before {
					t.Errorf("shards have moved: %s, before %s", after, before)
				}
			})
		})
	}
}

// A shard's Lease that its holder cannot write while it renews the layout's: it is there, and keeps what else
// it leads.
func TestShards_OfAMemberThatIsHeardOfAreNotTakenForOneLease(t *testing.T) {
	now := time.Now()
	s := NewShards(kubetest.NewBoard().Client().Clients(), slog.New(slog.DiscardHandler), ShardsOptions{Name: "me", Balancers: make([]func() ([]string, bool), 2)})
	other := "other_"
	found := map[string]*coordinationv1.Lease{shardLease(0): {Spec: coordinationv1.LeaseSpec{HolderIdentity: &other, LeaseDurationSeconds: new(int32(4))}}}
	members := []string{"me_", other}
	for _, c := range []struct {
		name                string
		steady, seen, heard time.Duration // ago
		there               bool
	}{
		{"renewed", time.Minute, 3 * time.Second, 3 * time.Second, true},
		{"lapsed, and silent", time.Minute, 5 * time.Second, 2 * time.Second, false},
		{"lapsed, and heard of before it did", time.Minute, 5 * time.Second, 1100 * time.Millisecond, false},
		{"lapsed, and heard of since", time.Minute, 5 * time.Second, 900 * time.Millisecond, true},
		{"nobody could be heard", 3 * time.Second, 15 * time.Second, 9 * time.Second, true},
		{"nobody could be heard, and it was not since", 5 * time.Second, 15 * time.Second, 9 * time.Second, false},
	} {
		s.steady, s.seen[0].at = now.Add(-c.steady), now.Add(-c.seen)
		s.layout.members[other] = beat{1, now.Add(-c.heard)}
		if got := slices.Contains(s.heard(members, found, now), other); got != c.there {
			t.Errorf("%s: a member %v, want %v", c.name, got, c.there)
		}
	}
	if len(members) != 2 {
		t.Errorf("the members that were given are %v now", members)
	}
}

func TestShards_AllGoOnAfterTheAPIServerWasAway(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("a", 3)
		s.begin("b", 3)
		time.Sleep(30 * time.Second)
		for _, r := range s.replicas {
			r.Cut(true)
		}
		time.Sleep(time.Minute)
		s.expect("away", map[string]int{})
		for _, r := range s.replicas {
			r.Cut(false)
		}
		time.Sleep(40 * time.Second)
		if got := s.leaders(); got["a"]+got["b"] != 3 || got["a"] == 0 || got["b"] == 0 {
			t.Errorf("back: %v", got)
		}
	})
}

// Replicas of one layout are replaced by those of another, one after the other, as in a rollout: no
// namespace ever has two leaders, and the new ones lead when the last old one has gone.
func TestShards_OfTwoLayoutsAreNeverLedAtTheSameTime(t *testing.T) {
	for _, c := range []struct{ before, after int }{{1, 4}, {4, 1}, {4, 2}, {2, 3}, {1, 1}, {3, 3}} {
		t.Run(fmt.Sprintf("from %d to %d", c.before, c.after), func(t *testing.T) {
			stage(t, func(s *scene) {
				s.begin("old-1", c.before, "lb-1", "lb-2")
				s.begin("old-2", c.before, "lb-1", "lb-2")
				time.Sleep(30 * time.Second)
				for i := 1; i <= 2; i++ {
					s.begin(fmt.Sprintf("new-%d", i), c.after, "lb-1", "lb-2")
					time.Sleep(20 * time.Second)
					if c.before != c.after {
						// A single Lease that is given back is anybody's.
						if got := s.leaders(); got["new-1"]+got["new-2"] != 0 && (c.before > 1 || got["old-1"]+got["old-2"] != 0) {
							t.Errorf("new ones lead beside old ones: %v", got)
						}
					}
					s.end(fmt.Sprintf("old-%d", i))
				}
				time.Sleep(4 * time.Second)
				if left := s.unled(); len(left) != 0 {
					t.Errorf("%v are led by nobody", left)
				}
				s.awaits("new", []string{"lb-1", "lb-2"})
				time.Sleep(30 * time.Second)
				if got := s.leaders(); got["new-1"]+got["new-2"] != c.after {
					t.Errorf("in the end: %v", got)
				}
			})
		})
	}
}

func TestShards_OfALayoutWhoseReplicasWereKilledAreTakenOver(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("old", 4, "lb")
		time.Sleep(10 * time.Second)
		s.begin("new", 2, "lb")
		time.Sleep(3 * time.Second)
		if address, _ := s.replicas["new"].shards.Leader(); s.replicas["new"].shards.Elsewhere() != "shards/4_old:1" || address != "old:1" {
			t.Errorf("elsewhere leads %q at %q", s.replicas["new"].shards.Elsewhere(), address)
		}
		s.replicas["old"].Cut(true)
		time.Sleep(layoutLease + 4*time.Second)
		s.expect("killed", map[string]int{"new": 2})
		if holder := s.replicas["new"].shards.Elsewhere(); holder != "" {
			t.Errorf("elsewhere leads %q", holder)
		}
		s.replicas["old"].Cut(false)
		time.Sleep(20 * time.Second)
		s.expect("back", map[string]int{"new": 2})
		s.end("old") // gives nothing back that is not its own
		time.Sleep(5 * time.Second)
		s.expect("gone", map[string]int{"new": 2})
	})
}

func TestElector_OfOneThatIsCutOffIsFollowedWithinFiveSeconds(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, 990 * time.Millisecond} {
		stage(t, func(s *scene) {
			s.begin("a", 1, "lb-1")
			time.Sleep(5 * time.Second)
			s.begin("b", 1, "lb-1")
			time.Sleep(30*time.Second + after)
			s.expect("before", map[string]int{"a": 1})
			s.replicas["a"].Cut(true)
			time.Sleep(5 * time.Second)
			s.expect("cut off", map[string]int{"b": 1})
			s.replicas["a"].Cut(false)
			time.Sleep(30 * time.Second)
			s.expect("back", map[string]int{"b": 1})
			s.awaits("b", []string{"lb-1"})
		})
	}
}

func TestElector_LeadsOnThroughAPauseOfTheAPIServer(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("a", 1)
		s.begin("b", 1)
		time.Sleep(10 * time.Second)
		before, terms := fmt.Sprint(s.leaders()), s.terms
		for range 10 {
			for _, r := range s.replicas {
				r.Cut(true)
			}
			time.Sleep(2 * time.Second)
			for _, r := range s.replicas {
				r.Cut(false)
			}
			time.Sleep(2 * time.Second)
		}
		if after := fmt.Sprint(s.leaders()); after != before || s.terms != terms {
			t.Errorf("%s, before %s, with %d terms more", after, before, s.terms-terms)
		}
	})
}

// An API server that does what it is asked for, and says so late: the work ends in time, for others might have
// taken over, and begins again. A Lease that is renewed for nobody is held by nobody else either.
func TestElections_NobodyHoldsALeaseAndDoesNotLead(t *testing.T) {
	for _, of := range []int{1, 3} {
		for _, late := range []time.Duration{500 * time.Millisecond, 1200 * time.Millisecond, 1800 * time.Millisecond, 2400 * time.Millisecond, 4 * time.Second, 8 * time.Second} {
			stage(t, func(s *scene) {
				s.begin("a", of)
				time.Sleep(30 * time.Second)
				s.expect("before", map[string]int{"a": of})
				for range 3 {
					s.replicas["a"].Slow(late)
					time.Sleep(40 * time.Second)
					s.replicas["a"].Slow(0)
					time.Sleep(40 * time.Second)
					s.expect(fmt.Sprintf("after answers that were %v late", late), map[string]int{"a": of})
				}
				if got := s.unled(); len(got) > 0 {
					t.Errorf("nobody leads %v", got)
				}
			})
		}
	}
}

func TestDurationOf_IsWhatTheHolderSaid(t *testing.T) {
	for said, want := range map[*int32]time.Duration{
		nil: layoutLease, new(int32(10)): 10 * time.Second, new(int32(1)): time.Second, new(int32(0)): layoutLease, new(int32(-3)): layoutLease,
	} {
		if got := durationOf(&coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: said}}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if got := durationOf(nil); got != layoutLease {
		t.Errorf("without a Lease %v", got)
	}
}

func TestShards_FollowersKnowTheLeaderOfEach(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("a", 2)
		s.begin("b", 2)
		time.Sleep(30 * time.Second)
		for i := range 2 {
			var here, there int
			for name, other := range map[string]string{"a": "b:1", "b": "a:1"} {
				switch address, _ := s.replicas[name].shards.Elector(i).Leader(); address {
				case "":
					here++
				case other:
					there++
				default:
					t.Errorf("%s thinks that %s leads shard %d", name, address, i)
				}
			}
			if here != 1 || there != 1 {
				t.Errorf("shard %d: %d lead, %d follow", i, here, there)
			}
		}
	})
}

func TestShards_ANewLoadBalancerIsAwaitedByWhoeverTakesAShard(t *testing.T) {
	stage(t, func(s *scene) {
		s.begin("a", 2, "lb-1", "lb-2", "lb-3")
		time.Sleep(10 * time.Second)
		s.end("a")
		s.begin("b", 2, "lb-1")
		time.Sleep(5 * time.Second)
		s.awaits("b", []string{"lb-1", "lb-2", "lb-3"})
	})
}

func TestShards_MembersWhoHaveGoneAreForgotten(t *testing.T) {
	stage(t, func(s *scene) {
		for i := range 5 {
			name := fmt.Sprintf("r%d", i)
			s.begin(name, 2)
			time.Sleep(3 * time.Second)
			s.replicas[name].Cut(true) // and never comes back
		}
		s.begin("last", 2)
		time.Sleep(time.Minute)
		said := map[string]int64{}
		if err := json.Unmarshal([]byte(s.board.Get(leaseName).Annotations[membersAnnotation]), &said); err != nil || len(said) != 1 {
			t.Errorf("the members are %v, %v", said, err)
		}
		s.expect("the last one", map[string]int{"last": 2})
	})
}
