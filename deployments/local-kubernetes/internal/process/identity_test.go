package process

import (
	"os/exec"
	"testing"
)

func TestParseStat_CountsFieldsFromTheLastParenthesis(t *testing.T) {
	line := "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21"
	state, ticks, err := parseStat(line)
	if err != nil {
		t.Fatal(err)
	}
	if state != 'S' || ticks != 987654 {
		t.Errorf("state %c, start %d; want S, 987654", state, ticks)
	}
}

func TestParseStat_RefusesWhatIsNoStatLine(t *testing.T) {
	for _, line := range []string{"", "1 no parentheses", "1 (x) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 soon"} {
		if _, _, err := parseStat(line); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func startSleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	sleeper := exec.Command("sleep", "600")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	})
	return sleeper
}

func TestKill_EndsTheProcessAndOnlyThen(t *testing.T) {
	sleeper := startSleeper(t)
	identity, err := Of(sleeper.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if !identity.Alive() {
		t.Fatal("a running process is reported gone")
	}
	if err := identity.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = sleeper.Wait()
	if identity.Alive() {
		t.Error("the process is reported alive after it was killed")
	}
	if err := identity.Kill(); err != nil {
		t.Errorf("killing a process that is gone: %v", err)
	}
}

func TestKill_SparesAProcessThatOnlySharesTheNumber(t *testing.T) {
	sleeper := startSleeper(t)
	identity, err := Of(sleeper.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	earlier := identity
	earlier.StartTicks--
	otherBoot := identity
	otherBoot.BootID = "another boot"
	for _, stranger := range []Identity{earlier, otherBoot} {
		if stranger.Alive() {
			t.Errorf("%+v is reported alive", stranger)
		}
		if err := stranger.Kill(); err != nil {
			t.Error(err)
		}
	}
	if !identity.Alive() {
		t.Error("a process was ended by its number alone")
	}
}
