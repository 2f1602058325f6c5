// Package health waits for things to become true.
package health

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pause is the time between two attempts, and attempt the longest time one may take.
const (
	pause   = 50 * time.Millisecond
	attempt = 3 * time.Second
)

// Until calls check until it gives no error. When the context ends first, the error tells the last
// answer.
func Until(ctx context.Context, what string, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, attempt)
		err := check(once)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return fmt.Errorf("%s: not after %s: %w", what, limit, err)
			}
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}
