// Package shards decides which of several replicas is to lead which shard. It is pure: it is given who is
// there and who leads what, and says where a replica is to stand for election.
//
// Who should have a shard follows from who has it now: everybody keeps what they lead up to an equal share,
// and what is over, or led by nobody, goes to those who have less. Rendezvous hashing over the members alone
// would need no memory, but with few shards it shares badly (of two members one often has all of two, or
// three of four shards). This shares to within one shard, and moves only what must move: of a member that
// comes its share, of one that goes what it led.
//
// All replicas are given nearly the same, and so say nearly the same; where they do not, the shard's Lease
// decides between them.
package shards

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
)

// Assign says for each shard which member should lead it. holders is who leads each now; whoever is no
// member, "" among them, leads nothing. With no members nobody should lead anything.
func Assign(members, holders []string) []string {
	owners := make([]string, len(holders))
	if len(members) == 0 {
		return owners
	}
	held := map[string][]int{}
	for _, m := range members {
		held[m] = nil
	}
	for shard, holder := range holders {
		if list, live := held[holder]; live {
			held[holder] = append(list, shard)
		}
	}
	free := quotas(held, len(holders))
	for _, m := range slices.Sorted(maps.Keys(held)) {
		list := held[m]
		slices.SortFunc(list, func(a, b int) int { return cmp.Or(cmp.Compare(score(m, b), score(m, a)), cmp.Compare(a, b)) })
		for _, shard := range list[:min(len(list), free[m])] {
			owners[shard] = m
			free[m]--
		}
	}
	for shard, owner := range owners {
		if owner == "" {
			owners[shard] = best(shard, free)
			free[owners[shard]]--
		}
	}
	return owners
}

// quotas is how many shards each member should lead: the same, and where that is not possible one more for
// those who lead most now.
func quotas(held map[string][]int, shards int) map[string]int {
	order := slices.SortedFunc(maps.Keys(held), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(held[b]), len(held[a])), cmp.Compare(a, b))
	})
	each, more := shards/len(order), shards%len(order)
	out := make(map[string]int, len(order))
	for i, m := range order {
		out[m] = each
		if i < more {
			out[m]++
		}
	}
	return out
}

// best is who of those that may have one more should have this shard.
func best(shard int, free map[string]int) (owner string) {
	for _, m := range slices.Sorted(maps.Keys(free)) {
		if free[m] > 0 && (owner == "" || score(m, shard) > score(owner, shard)) {
			owner = m
		}
	}
	return owner
}

// score is how well a shard fits a member: any order that all replicas agree on.
func score(member string, shard int) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(member + "/" + strconv.Itoa(shard))) // never fails
	x := sum.Sum64()
	// FNV's last byte hardly reaches the upper bits; mixed, neighbours have nothing in common.
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
