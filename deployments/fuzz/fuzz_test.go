package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse_NamesEveryFault(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no module":       {nil, []string{"MODULE"}},
		"no time":         {[]string{"-for", "0s", "m"}, []string{"-for is 0s: want 1s to"}},
		"too much time":   {[]string{"-for", "1000h", "m"}, []string{"-for is 1000h"}},
		"no expression":   {[]string{"-run", "(", "m"}, []string{"-run is no regular expression"}},
		"several at once": {[]string{"-for", "1ms", "-run", "["}, []string{"MODULE", "-for", "-run"}},
	} {
		_, err := parse(c.args, io.Discard)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not name %s", name, err, want)
			}
		}
	}
	o, err := parse([]string{"-for", "1h", "a", "b"}, io.Discard)
	if err != nil || o.total != time.Hour || len(o.modules) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestReadList_TakesTheNamesAlone(t *testing.T) {
	const said = `{"Action":"start","Package":"m/a"}
{"Action":"output","Package":"m/a","Output":"FuzzOne\n"}
{"Action":"output","Package":"m/a","Output":"FuzzTwo_OfThem\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.01s\n"}
{"Action":"output","Package":"m/b","Output":"?   \tm/b\t[no test files]\n"}
{"Action":"skip","Package":"m/b"}`
	got, err := readList("m", strings.NewReader(said))
	want := []target{{"m", "m/a", "FuzzOne"}, {"m", "m/a", "FuzzTwo_OfThem"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(target{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := readList("m", strings.NewReader("FuzzOne\n")); err == nil {
		t.Error("what is no JSON was taken")
	}
}

func TestOutcome_SaysWhatARunCameTo(t *testing.T) {
	const line = "fuzz: elapsed: 30s, execs: 138704 (5125/sec), new interesting: 77 (total: 79)\n"
	failed := errors.New("exit status 1")
	for name, c := range map[string]struct {
		said string
		err  error
		ok   bool
		what string
	}{
		"well":           {"fuzz: elapsed: 3s, execs: 1 (0/sec), new interesting: 0 (total: 2)\n" + line + "PASS", nil, true, "138704 inputs, 77 new of 79 of value"},
		"failed":         {line + "    Failing input written to testdata/fuzz/FuzzOne/abc\n", failed, false, "138704 inputs, 77 new of 79 of value; failed by testdata/fuzz/FuzzOne/abc"},
		"a known fault":  {"failure while testing seed corpus entry: FuzzOne/abc\n", failed, false, "failed by what is known: FuzzOne/abc"},
		"its own end":    {line + "    context deadline exceeded\nFAIL", failed, true, "138704 inputs, 77 new of 79 of value"},
		"something else": {"killed", failed, false, "nothing was run; exit status 1"},
	} {
		if ok, what := outcome(c.said, c.err); ok != c.ok || what != c.what {
			t.Errorf("%s: %v, %q", name, ok, what)
		}
	}
}

// module is one with a target that holds, one that does not, and one that is not asked for.
func module(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"m_test.go": `package m

import "testing"

func FuzzHolds(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {})
}

func FuzzFails(f *testing.F) {
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 1 {
			t.Error("not one")
		}
	})
}

func FuzzOther(f *testing.F) { f.Fatal("it runs") }
`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestRun_SaysOfEachTargetWhatCameOfItAndKeepsWhatFailed(t *testing.T) {
	t.Setenv("GOWORK", "off")
	folder, out, cache := module(t), t.TempDir(), t.TempDir()
	var said bytes.Buffer
	err := run(context.Background(), []string{"-for", "10s", "-run", "Holds|Fails", "-out", out, "-cache", cache, folder}, &said, io.Discard)
	if err == nil || err.Error() != "1 of 2 targets failed" {
		t.Errorf("%v\n%s", err, said.String())
	}
	for _, want := range []string{
		"2 targets, 5s each", "ok    example.com/m FuzzHolds: ", "FAIL  example.com/m FuzzFails: ", "failed by testdata/fuzz/FuzzFails/", "what it said is in " + out,
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, said.String())
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(folder, "testdata", "fuzz", "FuzzFails", "*")); len(kept) != 1 {
		t.Errorf("what failed is not kept: %q", kept)
	}
	if found, _ := os.ReadDir(filepath.Join(cache, "example.com", "m")); len(found) == 0 {
		t.Error("nothing is kept for the next run")
	}
	if err := run(context.Background(), []string{"-run", "None", folder}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "no such target") {
		t.Errorf("none: %v", err)
	}
}
