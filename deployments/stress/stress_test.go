package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse_NamesEveryFault(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string // of the fault; none when it is fine
	}{
		"a module":            {[]string{"m"}, nil},
		"every setting":       {[]string{"-count", "3", "-load", "0", "-limit", "1s", "-run", "A", "-tags", "x", "-package", "./a", "m", "n"}, nil},
		"no module":           {nil, []string{"MODULE"}},
		"no run":              {[]string{"-count", "0", "m"}, []string{"-count is 0: want 1 to 100000"}},
		"less than no load":   {[]string{"-load", "-1", "m"}, []string{"-load is -1: want 0 to 1024"}},
		"a limit of nothing":  {[]string{"-limit", "1ms", "m"}, []string{"-limit is 1ms: want 1s to 24h0m0s"}},
		"all of it":           {[]string{"-count", "0", "-load", "-1", "-limit", "0"}, []string{"MODULE", "-count", "-load", "-limit"}},
		"a flag that is none": {[]string{"-counts", "1", "m"}, []string{"-counts"}},
	} {
		_, err := parse(c.args, io.Discard)
		if (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, part := range c.want {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
	}
}

func TestReadList_PackagesWithoutTestsAreLeftOut(t *testing.T) {
	got := readList("a/b\t/src/b\n\n\na/c\t/src/with a space\n")
	want := []testPackage{{"a/b", "/src/b"}, {"a/c", "/src/with a space"}}
	if !cmp.Equal(want, got, cmp.AllowUnexported(testPackage{})) {
		t.Errorf("got %v", got)
	}
}

func TestFailedTests_AreNamedOrTheirEndIs(t *testing.T) {
	for name, c := range map[string]struct {
		said string
		want []string
	}{
		"one":      {"    x_test.go:3: no\n--- FAIL: TestA (0.00s)\nFAIL\n", []string{"TestA"}},
		"subtests": {"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\nFAIL\n", []string{"TestA"}},
		"two":      {"--- FAIL: TestB (1.00s)\n--- FAIL: TestA (0.00s)\n--- FAIL: TestB (1.00s)\nFAIL\n", []string{"TestA", "TestB"}},
		"hanging": {"panic: test timed out after 1s\n\trunning tests:\n\t\tTestA (1s)\n\t\tTestB/c (0s)\n\ngoroutine 1 [running]:\n\t\tTestC (1s)\n",
			[]string{"TestA (hangs)", "TestB/c (hangs)"}},
		"a panic in a test":    {"--- FAIL: TestA (0.00s)\npanic: oh [recovered]\n\tpanic: oh\n", []string{"TestA"}},
		"a panic elsewhere":    {"panic: oh\n\ngoroutine 7 [running]:\n", []string{"panic: oh"}},
		"a very long panic":    {"panic: " + strings.Repeat("o", 1000) + "\n", []string{"panic: " + strings.Repeat("o", nameLimit)}},
		"a race in a test":     {"WARNING: DATA RACE\n--- FAIL: TestA (0.00s)\n", []string{"TestA"}},
		"a race elsewhere":     {"WARNING: DATA RACE\nPASS\n", []string{"a data race outside of a test"}},
		"nothing":              {"", []string{"no test by its name: signal: killed"}},
		"a line without bound": {strings.Repeat("x", 1<<20) + "\n--- FAIL: TestA (0.00s)\n", []string{"TestA"}},
	} {
		if got := failedTests([]byte(c.said), errors.New("signal: killed")); !cmp.Equal(c.want, got) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSummary_RepeatsWhatFailed(t *testing.T) {
	good := result{path: "good", wanted: 2, runs: 2}
	bad := result{path: "bad", wanted: 3, runs: 3, failed: 2, failures: map[string]int{"TestB": 1, "TestA": 2}, kept: "kept", took: time.Second}
	broken := result{path: "broken", wanted: 3, broken: "does not build: why"}
	for name, c := range map[string]struct {
		all  []result
		said string
		want string // the error
	}{
		"nothing":  {nil, "\n0 packages, 0 runs\n", ""},
		"all pass": {[]result{good}, "\n1 packages, 2 runs\n", ""},
		"two fail": {[]result{bad, good, broken}, `
3 packages, 5 runs
FAIL  bad 2 of 3 runs failed (1.0 s); what they said is in kept
         2 × TestA
         1 × TestB
FAIL  broken does not build: why
`, "2 of 3 packages failed"},
	} {
		var out bytes.Buffer
		err := summary(c.all, &out)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.said, out.String()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestBusy_EndsAndGivesTheProcessorsBack(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	stop := busy(2)
	if got := runtime.GOMAXPROCS(0); got != runtime.NumCPU()+2 {
		t.Errorf("%d processors for Go's scheduler, want two more than there are", got)
	}
	stop()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d processors for Go's scheduler, want %d as before", got, before)
	}
}

// A module of its own: one package whose test fails in every second run, one that hangs, one that does
// not build, one that passes, and one without tests.
func module(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":         "module example.com/sample\n\ngo 1.26.9\n",
		"none/none.go":   "package none\n",
		"good/a_test.go": "package good\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\n",
		"bad/a_test.go":  "package bad\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { return 1 }\n",
		"hangs/a_test.go": "package hangs\n\nimport \"testing\"\n\nfunc TestHangs(t *testing.T) { select {} }\n" +
			"func TestFine(t *testing.T) {}\n",
		"odd/a_test.go": `package odd

import (
	"os"
	"testing"
)

func TestOdd(t *testing.T) {
	ran, _ := os.ReadFile("ran")
	_ = os.WriteFile("ran", append(ran, 'x'), 0o600)
	if len(ran)%2 == 1 {
		t.Error("said by the run that failed")
	}
}
`,
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestRun_CountsTheFailuresOfEachPackageAndGoesOn(t *testing.T) {
	t.Setenv("GOWORK", "off")
	folder, out := module(t), t.TempDir()
	var said bytes.Buffer
	err := run(t.Context(), []string{"-count", "4", "-load", "1", "-out", out, "-run", "Good|Odd|Bad", folder}, &said, io.Discard)
	if err == nil || err.Error() != "2 of 4 packages failed" {
		t.Errorf("%v\n%s", err, &said)
	}
	for _, want := range []string{
		"ok    example.com/sample/good 4 runs", "FAIL  example.com/sample/odd 2 of 4 runs failed", "   2 × TestOdd\n",
		"FAIL  example.com/sample/bad does not build", "ok    example.com/sample/hangs 4 runs", "4 packages, 12 runs",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &said)
		}
	}
	kept, err := filepath.Glob(filepath.Join(out, "*", "*.log"))
	if err != nil || len(kept) != 2 || filepath.Base(kept[0]) != "2.log" || filepath.Base(kept[1]) != "4.log" {
		t.Errorf("kept: %v, %v", kept, err)
	}
	for _, path := range kept {
		if content, err := os.ReadFile(path); err != nil || !bytes.Contains(content, []byte("said by the run that failed")) {
			t.Errorf("%s: %s, %v", path, content, err)
		}
	}
}

func TestRun_ARunThatHangsIsOneFailure(t *testing.T) {
	t.Setenv("GOWORK", "off")
	var said bytes.Buffer
	err := run(t.Context(), []string{"-count", "2", "-load", "0", "-limit", "3s", "-out", t.TempDir(), "-package", "./hangs", module(t)}, &said, io.Discard)
	if err == nil || !strings.Contains(said.String(), "2 of 2 runs failed") || !strings.Contains(said.String(), "   2 × TestHangs (hangs)\n") {
		t.Errorf("%v\n%s", err, &said)
	}
}

func TestRun_WhatIsInterruptedHasNotFailed(t *testing.T) {
	t.Setenv("GOWORK", "off")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said bytes.Buffer
	if err := run(ctx, []string{module(t)}, &said, io.Discard); err == nil || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("%v\n%s", err, &said)
	}
	o := options{count: 3, limit: time.Minute}
	if r := o.stress(ctx, testPackage{"x", t.TempDir()}, t.TempDir()); !r.ok() || r.runs != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRun_AModuleWithoutThePackageIsOneFailure(t *testing.T) {
	t.Setenv("GOWORK", "off")
	var said bytes.Buffer
	err := run(t.Context(), []string{"-package", "./nowhere", module(t)}, &said, io.Discard)
	if err == nil || !strings.Contains(said.String(), "./nowhere") {
		t.Errorf("%v\n%s", err, &said)
	}
}
