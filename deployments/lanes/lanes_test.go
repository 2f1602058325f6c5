package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fakeMake is a program whose targets are the cases of a shell script; $DIR is a folder of the test's.
func fakeMake(t *testing.T, cases string) (program, dir string) {
	t.Helper()
	dir = t.TempDir()
	program = filepath.Join(dir, "make")
	script := "#!/bin/bash\nDIR='" + dir + "'\ncase \"$1\" in\n" + cases + "\nesac\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, gate := range []string{"gate", "other"} {
		if err := syscall.Mkfifo(filepath.Join(dir, gate), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return program, dir
}

func lanes(t *testing.T, ctx context.Context, program string, args ...string) (string, error) { //nolint:revive // context-as-argument: t first, as helpers have it
	t.Helper()
	var out strings.Builder
	err := run(ctx, append([]string{"-make", program, "-out", filepath.Join(filepath.Dir(program), "out")}, args...), &out, io.Discard)
	return out.String(), err
}

func TestRun_LanesRunBesideEachOtherAndAreShownInOrder(t *testing.T) {
	// Each waits for the other: one after the other they would hang.
	program, _ := fakeMake(t, `
slow) echo slow begins; echo go > $DIR/gate; read < $DIR/other; echo slow ends ;;
quick) read < $DIR/gate; echo quick; echo go > $DIR/other ;;
last) echo last ;;`)
	out, err := lanes(t, t.Context(), program, "slow last", "quick")
	if err != nil {
		t.Fatal(err)
	}
	want := "==== slow\nslow begins\nslow ends\n==== last\nlast\n==== quick\nquick\n==== all parts\n"
	if !strings.HasPrefix(out, want) {
		t.Errorf("got\n%s\nwant it to begin\n%s", out, want)
	}
}

func TestRun_AFailureStopsNobodyAndIsNamedInTheEnd(t *testing.T) {
	program, dir := fakeMake(t, `
bad) echo why >&2; exit 3 ;;
*) echo "$1" ;;`)
	out, err := lanes(t, t.Context(), program, "bad next", "beside")
	if err == nil || err.Error() != "1 of 3 parts failed: bad" {
		t.Errorf("the error is %v", err)
	}
	_, end, _ := strings.Cut(out, "==== all parts\n")
	log := filepath.Join(dir, "out", "bad.log")
	for i, line := range strings.Split(strings.TrimSpace(end), "\n") {
		want := []string{"FAILED: exit status 3; see " + log, "ok", "ok"}[i]
		if !strings.HasSuffix(line, want) {
			t.Errorf("line %d is %q, want it to end with %q", i, line, want)
		}
	}
	said, err := os.ReadFile(log)
	if err != nil || string(said) != "why\n" {
		t.Errorf("the file has %q, %v", said, err)
	}
	if !strings.Contains(out, "==== next\nnext\n") || !strings.Contains(out, "==== beside\nbeside\n") {
		t.Errorf("not all of the others ran:\n%s", out)
	}
}

func TestRun_TheEndOfAFailureIsShownOnceMoreAtTheEnd(t *testing.T) {
	// Longer than what is shown: the cut is at a line.
	program, _ := fakeMake(t, `
bad) for i in $(seq 1000); do echo "line $i"; done; exit 1 ;;
*) echo "$1" ;;`)
	out, err := lanes(t, t.Context(), program, "bad next", "beside")
	if err == nil {
		t.Fatal("it is good")
	}
	_, again, found := strings.Cut(out, "==== beside\nbeside\n==== bad, the end of it once more\n")
	if !found {
		t.Fatalf("the end is not shown after all parts:\n%s", out)
	}
	again, _, _ = strings.Cut(again, "==== all parts\n")
	lines := strings.Split(strings.TrimSpace(again), "\n")
	if lines[len(lines)-1] != "line 1000" || len(again) > tail || len(again) < tail-100 || !strings.HasPrefix(lines[0], "line ") {
		t.Errorf("shown are %d bytes, from %q to %q", len(again), lines[0], lines[len(lines)-1])
	}
}

func TestRun_AllLanesButTheLastGiveWay(t *testing.T) {
	program, _ := fakeMake(t, `*) echo "$1 at $(nice)" ;;`)
	out, err := lanes(t, t.Context(), program, "back", "front")
	if err != nil {
		t.Fatal(err)
	}
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	own = 20 - own // as the system call has it
	for name, want := range map[string]int{"back": min(19, own+niceness), "front": own} {
		if line := name + " at " + strconv.Itoa(want) + "\n"; !strings.Contains(out, line) {
			t.Errorf("want %q in\n%s", line, out)
		}
	}
}

func TestRun_WhenItIsAskedToEndEverythingIsTakenDown(t *testing.T) {
	// As with-cluster does it: a shell that waits for a child, and takes down what it has started. The child says that it
	// is there: between fork and exec it is still bash, which takes the signal and goes on.
	program, dir := fakeMake(t, `
up) trap 'echo taken down > $DIR/down' EXIT; sh -c 'echo $PPID > "$0"; exec sleep 1000' $DIR/gate ;;
never) echo never ;;`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := lanes(t, ctx, program, "up never")
		ended <- result{out, err}
	}()
	said, err := os.ReadFile(filepath.Join(dir, "gate")) // it runs, and waits for its child
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(said)))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	got := <-ended
	if got.err == nil || !strings.Contains(got.out, "was asked to end") || !strings.Contains(got.out, "not begun") {
		t.Errorf("got %v and\n%s", got.err, got.out)
	}
	if said, err := os.ReadFile(filepath.Join(dir, "down")); err != nil || string(said) != "taken down\n" {
		t.Errorf("the target took nothing down: %q, %v", said, err)
	}
	if err := syscall.Kill(-pid, 0); err == nil {
		t.Error("something of it is left")
	}
}

func TestParse_TellsEveryFault(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no lane":       {nil, []string{"0 lanes are named: want 1 to 8"}},
		"an empty lane": {[]string{"unit", " "}, []string{"lane 2 is empty"}},
		"bad names":     {[]string{"unit ../x", "unit"}, []string{`target "../x"`, `target "unit"`}},
	} {
		_, err := parse(c.args, io.Discard)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", name, err, want)
			}
		}
	}
}
