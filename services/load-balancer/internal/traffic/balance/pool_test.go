package balance

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

var began = time.Unix(1000, 0)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// made is a pool of n usable pods.
func made(tb testing.TB, policy string, n int) (*Pool, []*Pod) {
	tb.Helper()
	r := seeded()
	p, known := ByName(policy, r.IntN)
	if !known {
		tb.Fatalf("%s is not known", policy)
	}
	b := NewPool(p, r.IntN, func() float64 { return .5 })
	pods := make([]*Pod, n)
	for i := range pods {
		pods[i] = &Pod{ID: Hash("pod-" + strconv.Itoa(i))}
		pods[i].SetUsable(true)
	}
	b.SetPods(pods)
	return b, pods
}

// indexOf is where a pod stands, -1 of none.
func indexOf(pods []*Pod, p *Pod) int {
	for i := range pods {
		if pods[i] == p {
			return i
		}
	}
	return -1
}

func TestByName_UnknownIsTheDefault(t *testing.T) {
	if policy, known := ByName("Sorcery", seeded().IntN); known || policy == nil {
		t.Error("an unknown policy must fall back, and say so")
	}
}

// TestPool_NeverChoosesAPodWithoutRoom drives every policy through whatever may happen to pods, beside
// a plain account of what each pod may have.
func TestPool_NeverChoosesAPodWithoutRoom(t *testing.T) {
	for _, name := range Names() {
		for _, size := range []int{1, 2, 5, 16, 40, 100} {
			r := seeded()
			b, pods := made(t, name, size)
			now := began
			var under []*Pod
			for step := range 1500 {
				now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
				switch p := pods[r.IntN(size)]; r.IntN(13) {
				case 12:
					p.SetDraining(now.Add(time.Duration(r.IntN(200)-50) * time.Millisecond))
				case 0:
					p.SetUsable(r.IntN(4) > 0)
				case 1:
					p.SetLimit(r.IntN(4))
				case 2:
					p.StartRamp(1+r.IntN(3), now)
				case 3:
					p.SetGauges(Gauges{Running: float64(r.IntN(9)), Waiting: float64(r.IntN(3)), Cache: r.Float64(), At: now})
				case 4, 5, 6:
					if len(under) > 0 {
						k := r.IntN(len(under))
						verdict := Verdict(r.IntN(4))
						under[k].Answered(verdict, time.Duration(r.IntN(1e6)), 1, now)
						under[k].Released()
						under[k] = under[len(under)-1]
						under = under[:len(under)-1]
					}
				default:
					chosen, reason, _ := b.Pick(Request{Key: uint64(r.IntN(5))}, now)
					free, aside, busy, asked, others := false, false, false, false, false
					for _, p := range pods {
						serves := p.usable && !p.Ejected(now)
						others = others || serves && !p.Draining(now)
						asked = asked || serves && !p.Draining(now) && !p.Busy(now)
						free = free || serves && p.hasRoom() && !p.Draining(now) && !p.Busy(now)
						aside = aside || serves && p.hasRoom() && p.Draining(now)
						busy = busy || serves && p.hasRoom() && !p.Draining(now) && p.Busy(now)
					}
					free = free || busy && !asked || aside && !others
					if chosen == nil {
						if free {
							t.Fatalf("%s of %d, step %d: nobody was chosen, although there is room", name, size, step)
						}
						continue
					}
					// What ends a rest early is looked at later where there are many.
					if chosen.Draining(now) && others || chosen.Busy(now) && asked && size <= fewPods {
						t.Fatalf("%s of %d, step %d: chose one that drains or is busy, although others serve", name, size, step)
					}
					if !chosen.usable || chosen.Ejected(now) || !chosen.hasRoom() || reason == "" || indexOf(pods, chosen) < 0 {
						t.Fatalf("%s of %d, step %d: chose %+v, %q", name, size, step, chosen, reason)
					}
					chosen.Sent()
					under = append(under, chosen)
				}
				check(t, b)
			}
		}
	}
}

// check compares what the pool adds up with the pods.
func check(t *testing.T, b *Pool) {
	t.Helper()
	var flights int32
	var window, recently, refusals tally
	for i, p := range b.pods {
		flights += p.inFlight
		window.add(p.history.window())
		recently.add(p.history.recent())
		refusals.add(p.refusals.recent())
		if p.rest.refused < 0 {
			t.Fatalf("pod %d has %d refused requests that are not counted off", i, p.rest.refused)
		}
		if b.load[i] != p.inFlight || p.inFlight < 0 {
			t.Fatalf("pod %d has %d in flight, and is known for %d", i, p.inFlight, b.load[i])
		}
	}
	if flights != b.flights || window != b.window || recently != b.recently || refusals != b.refusals {
		t.Fatalf("%d in flight, want %d; %v failed, want %v; lately %v, want %v; %v refused, want %v", b.flights, flights, b.window, window, b.recently, recently, b.refusals, refusals)
	}
}

func TestPool_RequestsOfAPodThatLeftAreCountedOffItAlone(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 2)
	pods[0].Sent()
	b.SetPods(pods[1:])
	pods[0].Answered(Failed, 0, 1, began)
	pods[0].Released()
	if pods[0].InFlight() != 0 || b.flights != 0 {
		t.Errorf("%d in flight at the pod, %d in the pool", pods[0].InFlight(), b.flights)
	}
	b.SetPods(pods)
	if p, _, _ := b.Pick(Request{}, began); p == nil {
		t.Error("no pod, although both have come back")
	}
}

func TestPool_NoPodIsNoChoice(t *testing.T) {
	for _, name := range Names() {
		b, _ := made(t, name, 0)
		if p, _, waits := b.Pick(Request{Key: 1}, began); p != nil || waits {
			t.Errorf("%s chose %v", name, p)
		}
	}
}

func TestPool_ASessionWaitsForItsPodWhichOthersNeedNot(t *testing.T) {
	b, pods := made(t, ConsistentHashName, 4)
	pods[2].SetLimit(1)
	mine := Request{Pin: pods[2].ID}
	if p, reason, _ := b.Pick(mine, began); p != pods[2] || reason != "its session is there" {
		t.Fatalf("chose %v, %q", indexOf(pods, p), reason)
	}
	pods[2].Sent()
	if p, _, waits := b.Pick(mine, began); p != nil || !waits {
		t.Errorf("its pod is full: %v, %v", indexOf(pods, p), waits)
	}
	if p, _, _ := b.Pick(Request{}, began); p == nil || p == pods[2] {
		t.Errorf("another request went to %d", indexOf(pods, p))
	}
	pods[2].SetUsable(false)
	if p, _, waits := b.Pick(mine, began); p == nil || p == pods[2] || waits {
		t.Errorf("its pod has gone: %v, %v", indexOf(pods, p), waits)
	}
	if p, _, _ := b.Pick(Request{Pin: Hash("nobody"), Key: 9}, began); p == nil {
		t.Error("a session of a pod that is not here must go anywhere")
	}
}

func TestPool_ASessionStaysAlsoAtAnEjectedPod(t *testing.T) {
	b, pods := made(t, ConsistentHashName, 4)
	for range rowToEject {
		pods[1].Answered(Failed, 0, 1, began)
	}
	if !pods[1].Ejected(began) {
		t.Fatal("not ejected")
	}
	if p, _, _ := b.Pick(Request{Pin: pods[1].ID}, began); p != pods[1] {
		t.Errorf("it went to %d", indexOf(pods, p))
	}
}

func TestPool_LimitAndRampBoundTogether(t *testing.T) {
	b, pods := made(t, RandomName, 1)
	pods[0].SetLimit(3)
	pods[0].StartRamp(2, began)
	for want := range 2 {
		if p, _, _ := b.Pick(Request{}, began); p == nil {
			t.Fatalf("no room for request %d", want+1)
		}
		pods[0].Sent()
	}
	if p, _, _ := b.Pick(Request{}, began); p != nil {
		t.Error("a third one on the first step of its ramp")
	}
	pods[0].Answered(Good, 0, 1, began)
	pods[0].Answered(Good, 0, 1, began)
	if p, _, _ := b.Pick(Request{}, began); p == nil || pods[0].Ramping() != 4 {
		t.Error("two answers must double what it may have")
	}
	pods[0].Sent()
	if p, _, _ := b.Pick(Request{}, began); p != nil {
		t.Error("the limit is 3, whatever the ramp allows")
	}
}

func TestPick_AllocatesNothing(t *testing.T) {
	for _, name := range Names() {
		for _, n := range []int{16, 1000} {
			b := settled(t, name, n)
			key := uint64(1)
			if got := testing.AllocsPerRun(200, func() {
				key = mix(key, 3) | 1
				p, _, _ := b.Pick(Request{Key: key}, began)
				level := p.Sent()
				p.Answered(Good, time.Millisecond, level, began)
				p.Released()
			}); got != 0 {
				t.Errorf("%s of %d pods: %v allocations", name, n, got)
			}
		}
	}
}
