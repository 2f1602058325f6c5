// Package testwait holds how tests wait for what happens in other goroutines, processes and machines,
// where testing/synctest cannot reach: for an event where there is one, by asking again where there is
// none. Every such wait has the same bound, which only says when a test gives up: a test that passes
// never sees it, so it is generous, and a machine that is slower still can be given more by the
// environment variable NEMESIS_TEST_PATIENCE.
//
// No time that a product promises belongs here. It is for tests alone; nothing that ships imports it.
package testwait

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// Setting is the environment variable that sets the bound, as "90s" or "5m".
const Setting = "NEMESIS_TEST_PATIENCE"

const (
	usual    = 2 * time.Minute // less than the limit that the Makefile gives to a package
	shortest = time.Second
	longest  = 24 * time.Hour
	pause    = 5 * time.Millisecond // between two looks
)

// Limit is how long a test waits before it fails.
var Limit = sync.OnceValue(func() time.Duration {
	limit, err := parse(os.Getenv(Setting))
	if err != nil {
		panic(err)
	}
	return limit
})

func parse(text string) (time.Duration, error) {
	if text == "" {
		return usual, nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit < shortest || limit > longest {
		return 0, fmt.Errorf("%s is %q: want a time from %v to %v, as 90s or 5m", Setting, text, shortest, longest)
	}
	return limit, nil
}

// Deadline is when a test gives up that begins to wait now: for connections.
func Deadline() time.Time { return time.Now().Add(Limit()) }

// Until asks until the answer is yes: for what can only be asked, not awaited.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	Progress(tb, what, func() (struct{}, bool) { return struct{}{}, ok() })
}

// Progress asks until the answer is yes, and gives up once nothing has changed for the limit: for work
// of which each step may take long, and nobody knows how many there are.
func Progress[S comparable](tb testing.TB, what string, look func() (state S, done bool)) {
	tb.Helper()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	giveUp := time.NewTimer(Limit())
	defer giveUp.Stop()
	before, done := look()
	for !done {
		select {
		case <-ticker.C:
		case <-giveUp.C:
			tb.Fatalf("not within %v: %s; at last: %+v", Limit(), what, before)
		}
		var now S
		if now, done = look(); now != before {
			before = now
			giveUp.Reset(Limit())
		}
	}
}

// Receive waits for a value, or for the channel to close.
func Receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()
	giveUp := time.NewTimer(Limit())
	defer giveUp.Stop()
	select {
	case value := <-from:
		return value
	case <-giveUp.C:
		tb.Fatalf("not within %v: %s", Limit(), what)
		panic("unreachable")
	}
}
