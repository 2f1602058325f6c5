package shard

import (
	"fmt"
	"testing"
)

// The values are the contract between versions: a change here is never right.
func TestOf_NeverChanges(t *testing.T) {
	for _, c := range []struct {
		namespace string
		shards    int
		want      int
	}{
		{"", 1, 0}, {"default", 0, 0}, {"default", 1, 0}, {"default", 2, 0}, {"default", 4, 2}, {"default", 64, 62},
		{"models", 2, 1}, {"models", 4, 3}, {"models", 64, 11}, {"team-a", 4, 2}, {"", 64, 37},
	} {
		if got := Of(c.namespace, c.shards); got != c.want {
			t.Errorf("%q of %d is %d, want %d", c.namespace, c.shards, got, c.want)
		}
	}
}

func TestOf_SpreadsNamespacesEvenly(t *testing.T) {
	const namespaces = 6400
	for _, shards := range []int{2, 3, 4, 7, 16, 64} {
		counts := make([]int, shards)
		for i := range namespaces {
			counts[Of(fmt.Sprintf("team-%d", i), shards)]++
		}
		for i, n := range counts {
			if mean := namespaces / shards; n < mean/2 || n > mean*2 {
				t.Errorf("shard %d of %d has %d of %d namespaces", i, shards, n, namespaces)
			}
		}
	}
}
