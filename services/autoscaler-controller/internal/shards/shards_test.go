package shards

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("controller-%d", i)
	}
	return list
}

// shares counts what each owner has.
func shares(owners []string) map[string]int {
	out := map[string]int{}
	for _, o := range owners {
		out[o]++
	}
	return out
}

func moved(before, after []string) (n int) {
	for i := range before {
		if before[i] != after[i] {
			n++
		}
	}
	return n
}

func TestAssign_GivesEachShardToOneLiveMemberInEqualShares(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		count := 1 + random.IntN(64)
		members := names(1 + random.IntN(9))
		holders := make([]string, count)
		for i := range holders {
			switch random.IntN(4) {
			case 0:
			case 1:
				holders[i] = "somebody-else"
			default:
				holders[i] = members[random.IntN(len(members))]
			}
		}
		owners := Assign(members, holders)
		has := shares(owners)
		for _, m := range members {
			if n := has[m]; n < count/len(members) || n > (count+len(members)-1)/len(members) {
				t.Fatalf("%s has %d of %d shards among %d: %v", m, n, count, len(members), owners)
			}
			delete(has, m)
		}
		if len(has) != 0 {
			t.Fatalf("shards of no member: %v", has)
		}
		if again := Assign(members, owners); !slices.Equal(again, owners) {
			t.Fatalf("once all have what they should, something moves: %v to %v", owners, again)
		}
		shuffled := slices.Clone(members)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if other := Assign(shuffled, holders); !slices.Equal(other, owners) {
			t.Fatalf("the order of the members counts: %v, %v", owners, other)
		}
	}
}

func TestAssign_MovesOnlyTheShareOfWhoComesAndWhatTheOneHadWhoGoes(t *testing.T) {
	for count := 1; count <= 64; count++ {
		for n := 1; n < 9; n++ {
			members := names(n)
			before := Assign(members, make([]string, count))
			more := append(slices.Clone(members), "newcomer")
			after := Assign(more, before)
			if got, want := moved(before, after), count/(n+1); got != want {
				t.Errorf("%d shards, %d members and one more: %d move, want its share of %d", count, n, got, want)
			}
			for i := range after {
				if after[i] != before[i] && after[i] != "newcomer" {
					t.Errorf("shard %d goes from %s to %s", i, before[i], after[i])
				}
			}
			back := Assign(members, after)
			for i := range back {
				if after[i] != "newcomer" && back[i] != after[i] {
					t.Errorf("%s leaves, and shard %d of %s goes to %s", "newcomer", i, after[i], back[i])
				}
			}
		}
	}
}

func TestAssign_HasNothingToGiveToNobody(t *testing.T) {
	if got := Assign(nil, []string{"a", ""}); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("got %v", got)
	}
	if got := Assign(names(3), nil); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
