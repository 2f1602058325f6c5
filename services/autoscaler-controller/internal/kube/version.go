package kube

import "strconv"

// Version is a resourceVersion as a number: it grows with every write. 0 where it is none.
func Version(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
