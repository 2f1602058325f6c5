package node

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNextPause_GrowsToABoundAndStartsOverAfterASteadyLife(t *testing.T) {
	pause := time.Duration(0)
	for range 20 {
		next := nextPause(pause, time.Second)
		if next < pause || next > longestWait {
			t.Fatalf("after %s comes %s", pause, next)
		}
		pause = next
	}
	if pause != longestWait {
		t.Errorf("it ends at %s, not at %s", pause, longestWait)
	}
	if first := nextPause(pause, steadyAfter); first != firstPause {
		t.Errorf("after a steady life it waits %s, not %s", first, firstPause)
	}
}

func TestDescribe_TellsSignalsFromExits(t *testing.T) {
	if got := describe(unix.WaitStatus(3 << 8)); got != "exit status 3" {
		t.Error(got)
	}
	if got := describe(unix.WaitStatus(unix.SIGKILL)); got != "killed by SIGKILL" {
		t.Error(got)
	}
}
