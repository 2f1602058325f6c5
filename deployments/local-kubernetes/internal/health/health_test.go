package health

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntil_TriesAgainUntilItIsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		err := Until(t.Context(), "it", time.Minute, func(context.Context) error {
			if attempts++; attempts < 5 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || attempts != 5 {
			t.Errorf("%d attempts: %v", attempts, err)
		}
	})
}

func TestUntil_TellsTheLastAnswerWhenItIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Until(t.Context(), "the door", time.Minute, func(context.Context) error { return errors.New("it is shut") })
		if err == nil || !strings.Contains(err.Error(), "the door: not after 1m0s: it is shut") {
			t.Error(err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("it waited %s", waited)
		}
	})
}

func TestUntil_SaysWhyItWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		cause := errors.New("the house is on fire")
		err := Until(ctx, "the door", time.Minute, func(context.Context) error {
			stop(cause)
			return errors.New("it is shut")
		})
		if !errors.Is(err, cause) {
			t.Error(err)
		}
	})
}

func TestUntil_BoundsEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		err := Until(t.Context(), "it", time.Minute, func(ctx context.Context) error {
			if attempts++; attempts > 1 {
				return nil
			}
			<-ctx.Done() // an attempt that hangs
			return ctx.Err()
		})
		if err != nil || attempts != 2 {
			t.Errorf("%d attempts: %v", attempts, err)
		}
	})
}
