// Package shard says which shard of a controller a namespace belongs to. The controller's replicas and the
// load balancers must all say the same, of every version: this function never changes.
package shard

import "hash/fnv"

// Max is how many shards there may be.
const Max = 64

// Of is the shard of a namespace, of so many: the FNV-1a sum of its name, 64 bits, modulo their number. It is
// the namespace that counts, so that what belongs together (the targets of one CustomAutoscaler, the pods of
// an application) is never apart.
func Of(namespace string, shards int) int {
	if shards <= 1 {
		return 0
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(namespace))      // never fails
	return int(sum.Sum64() % uint64(shards)) //nolint:gosec // G115: both are small and positive
}
