package main

import "context"

// mostN is the largest n whose Fibonacci number fits into 64 bits.
const mostN = 93

// unchecked is the n below which a computation is too short to be worth stopping: fib(25) takes
// well under a millisecond.
const unchecked = 25

// fibonacci is the n-th Fibonacci number, computed the slow way on purpose: the time it takes
// grows 1.6-fold with each n. When ctx ends it stops within a millisecond and says why.
func fibonacci(ctx context.Context, n int) (uint64, error) {
	if n < unchecked {
		return recurse(n), nil
	}
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	a, err := fibonacci(ctx, n-1)
	if err != nil {
		return 0, err
	}
	b, err := fibonacci(ctx, n-2)
	return a + b, err
}

func recurse(n int) uint64 {
	if n < 2 {
		return uint64(n) //nolint:gosec // G115: n is 0 or 1
	}
	return recurse(n-1) + recurse(n-2)
}
