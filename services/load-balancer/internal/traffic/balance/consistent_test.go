package balance

import (
	"strconv"
	"testing"
)

// homes are the pods that keys go to while nothing is in flight.
func homes(b *Pool, keys int) map[string]*Pod {
	all := map[string]*Pod{}
	for k := range keys {
		name := "user-" + strconv.Itoa(k)
		all[name], _, _ = b.Pick(Request{Key: Hash(name)}, began)
	}
	return all
}

func TestConsistentHash_OnlyTheKeysOfAPodThatLeavesMove(t *testing.T) {
	for _, n := range []int{5, 63, 64, 65, 200} {
		b, pods := made(t, ConsistentHashName, n)
		before := homes(b, 3000)
		gone := pods[n/2]
		b.SetPods(append(append([]*Pod{}, pods[:n/2]...), pods[n/2+1:]...))
		moved := 0
		for key, now := range homes(b, 3000) {
			if before[key] != gone && now != before[key] {
				t.Fatalf("%d pods: %s moved although its pod is here", n, key)
			}
			if before[key] == gone {
				moved++
			}
		}
		if moved == 0 || moved > 3000*4/n {
			t.Errorf("%d pods: %d of 3000 keys were of one", n, moved)
		}
		b.SetPods(pods) // back again, each has its keys
		for key, now := range homes(b, 3000) {
			if now != before[key] {
				t.Fatalf("%d pods: %s did not return", n, key)
			}
		}
	}
}

func TestConsistentHash_APodThatJoinsTakesItsShareAlone(t *testing.T) {
	b, pods := made(t, ConsistentHashName, 70)
	b.SetPods(pods[:60]) // the number from which places are remembered lies between
	before := homes(b, 5000)
	b.SetPods(pods)
	moved := 0
	for key, now := range homes(b, 5000) {
		if now == before[key] {
			continue
		}
		if moved++; indexOf(pods, now) < 60 {
			t.Fatalf("%s moved to a pod that was there before", key)
		}
	}
	if moved < 400 || moved > 1100 { // a seventh is 714
		t.Errorf("%d of 5000 keys moved", moved)
	}
}

func TestConsistentHash_AllBalancersAgreeWhateverTheOrderOfPods(t *testing.T) {
	one, _ := made(t, ConsistentHashName, 80)
	other, twins := made(t, ConsistentHashName, 80)
	for i, j := 0, len(twins)-1; i < j; i, j = i+1, j-1 {
		twins[i], twins[j] = twins[j], twins[i]
	}
	other.SetPods(twins)
	a, b := homes(one, 500), homes(other, 500)
	for key := range a {
		if a[key].ID != b[key].ID {
			t.Fatalf("%s goes to different pods", key)
		}
	}
}

func TestConsistentHash_NoPodGetsMuchMoreThanTheMean(t *testing.T) {
	for _, n := range []int{8, 100} {
		b, pods := made(t, ConsistentHashName, n)
		for sent := 1; sent <= 40*n; sent++ {
			p, _, _ := b.Pick(Request{Key: Hash("the only key")}, began)
			p.Sent()
		}
		for i, p := range pods {
			if most := int(hashBound*40) + 1; p.InFlight() > most {
				t.Errorf("%d pods: pod %d has %d in flight, want at most %d", n, i, p.InFlight(), most)
			}
		}
	}
}

func TestConsistentHash_KeysSpreadEvenly(t *testing.T) {
	for _, n := range []int{10, 100} {
		b, pods := made(t, ConsistentHashName, n)
		counts := make([]int, n)
		for _, p := range homes(b, 400*n) {
			counts[indexOf(pods, p)]++
		}
		for i, c := range counts {
			if c < 250 || c > 560 {
				t.Errorf("%d pods: pod %d has %d of %d keys", n, i, c, 400*n)
			}
		}
	}
}

func TestConsistentHash_WithoutAKeyGoesWhereLessIs(t *testing.T) {
	b, pods := made(t, ConsistentHashName, 2)
	busy(pods, 3, 0)
	if counts := chosen(b, pods, Request{}, 100); counts[1] != 100 {
		t.Errorf("chosen %v times", counts)
	}
}

func TestHash_IsTheSameEverywhereAndNeverNone(t *testing.T) {
	// Load balancers of different versions must agree: these values must not change.
	for s, want := range map[string]uint64{
		"": 0xae0d744568e8e175, "a": 0xb06251f1e77161e1, "12345678": 0xe34cfc3931e03d97, "a session that is rather longer than that": 0x21841b6b9e8f2bbc,
	} {
		if got := Hash(s); got != want {
			t.Errorf("%q is %#x, want %#x", s, got, want)
		}
	}
	seen := map[uint64]string{}
	for i := range 200_000 {
		s := strconv.Itoa(i)
		if other, twice := seen[Hash(s)]; twice {
			t.Fatalf("%q and %q have the same hash", s, other)
		}
		seen[Hash(s)] = s
	}
}
