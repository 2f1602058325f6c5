package main

import (
	"context"
	"time"
)

// generation is one answer in the making: the tokens of the prompt over and over, at a steady rate.
type generation struct {
	prompt   []string
	count    int
	perToken time.Duration
}

// run calls emit with each token when its time has come, and returns nil after the last one. It
// stops at once when ctx ends, with ctx's cause, or when emit fails, with that error.
func (g generation) run(ctx context.Context, emit func(index int, token string) error) error {
	start := time.Now()
	timer := time.NewTimer(g.perToken)
	defer timer.Stop()
	for i := range g.count {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := emit(i, g.prompt[i%len(g.prompt)]); err != nil {
			return err
		}
		// By the clock of the whole answer: what one token was late, the next one makes up for.
		timer.Reset(time.Until(start.Add(time.Duration(i+2) * g.perToken)))
	}
	return nil
}
