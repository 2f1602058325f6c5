package routing

import (
	"hash/maphash"
	"maps"
	"slices"
)

// split is a map that is never altered, split into small ones, so that another one that differs from it in
// few entries has the rest in common with it. While it is small it is one map.
type split[V any] struct {
	shards []map[string]V // a power of two; an entry is in the one that its key's hash says
	seed   maphash.Seed
}

func (s *split[V]) shard(key string) int {
	if len(s.shards) == 1 {
		return 0
	}
	return int(maphash.String(s.seed, key) & uint64(len(s.shards)-1)) //nolint:gosec // less than their number
}

func (s *split[V]) get(key string) (V, bool) {
	v, ok := s.shards[s.shard(key)][key]
	return v, ok
}

// How many entries a shard has on average, at the most and at the least: a change copies one shard, and
// the list of them.
const (
	mostOfShard  = 48
	leastOfShard = 12
)

// editor makes one split after another.
type editor[V any] struct {
	split[V]
	n    int
	ours []bool // shards that no split has that was handed out; nil: it has them all
}

func newEditor[V any]() *editor[V] {
	return &editor[V]{split: split[V]{shards: []map[string]V{{}}, seed: maphash.MakeSeed()}, ours: []bool{true}}
}

// freeze hands out what there is.
func (e *editor[V]) freeze() split[V] {
	e.ours = nil
	return e.split
}

// open returns the shard of a key, to be altered.
func (e *editor[V]) open(key string) map[string]V {
	if e.ours == nil {
		e.shards, e.ours = slices.Clone(e.shards), make([]bool, len(e.shards))
	}
	i := e.shard(key)
	if !e.ours[i] {
		e.shards[i], e.ours[i] = maps.Clone(e.shards[i]), true
	}
	return e.shards[i]
}

func (e *editor[V]) put(key string, v V) {
	shard := e.open(key)
	before := len(shard)
	shard[key] = v
	e.n += len(shard) - before
	if e.n > mostOfShard*len(e.shards) {
		e.resize(2 * len(e.shards))
	}
}

func (e *editor[V]) drop(key string) {
	shard := e.open(key)
	before := len(shard)
	delete(shard, key)
	e.n -= before - len(shard)
	if len(e.shards) > 1 && e.n < leastOfShard*len(e.shards) {
		e.resize(len(e.shards) / 2)
	}
}

// resize puts all entries into so many shards.
func (e *editor[V]) resize(n int) {
	from := e.shards
	e.shards, e.ours = make([]map[string]V, n), make([]bool, n)
	for i := range e.shards {
		e.shards[i], e.ours[i] = make(map[string]V, e.n/n), true
	}
	for _, shard := range from {
		for k, v := range shard {
			e.shards[e.shard(k)][k] = v
		}
	}
}
