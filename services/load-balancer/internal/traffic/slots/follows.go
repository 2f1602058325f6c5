package slots

import (
	"strconv"
	"strings"
)

// follows tells whether the routes of version a are certainly not older than those of version b: both are of
// the same life of one controller. Of a controller with shards a version is one for each, with a space
// between, and all of a must be so.
//
// Somebody who saw itself in b was named by a shard then. When a names it no more, that shard has taken it
// out since, as a controller without shards would have: one shard's word is enough, for nobody stands whose
// reports are not taken by all of them.
func follows(a, b string) bool {
	for {
		oneA, restA, moreA := strings.Cut(a, " ")
		oneB, restB, moreB := strings.Cut(b, " ")
		if moreA != moreB || !followsOne(oneA, oneB) {
			return false
		}
		if !moreA {
			return true
		}
		a, b = restA, restB
	}
}

func followsOne(a, b string) bool {
	epochA, numberA, okA := strings.Cut(a, ".")
	epochB, numberB, okB := strings.Cut(b, ".")
	if !okA || !okB || epochA != epochB {
		return false
	}
	x, errX := strconv.ParseUint(numberA, 10, 64)
	y, errY := strconv.ParseUint(numberB, 10, 64)
	return errX == nil && errY == nil && x >= y
}
