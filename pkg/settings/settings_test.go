package settings

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

type sample struct {
	listen string
	count  int
	wait   time.Duration
	ratio  float64
	on     bool
	level  string
}

func declare(c *sample) *Set {
	s := New("sample", "NEMESIS_", io.Discard)
	s.Address(&c.listen, "listen", ":8080", "address")
	s.Int(&c.count, "count", 10, 1, 100, "count")
	s.Duration(&c.wait, "max-wait", time.Second, 0, time.Minute, "wait")
	s.Float(&c.ratio, "ratio", 0.5, 0, 1, "ratio")
	s.Bool(&c.on, "enabled", false, "switch")
	s.Choice(&c.level, "level", "info", "level", "debug", "info")
	return s
}

func TestLoad_FlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("count: 20\nmax-wait: 20s\nratio: 0.2\nenabled: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c sample
	err := declare(&c).Load([]string{"-config", file, "-max-wait=40s"}, []string{"NEMESIS_MAX_WAIT=30s", "NEMESIS_RATIO=0.3", "OTHER=1"})
	if err != nil {
		t.Fatal(err)
	}
	want := sample{listen: ":8080", count: 20, wait: 40 * time.Second, ratio: 0.3, on: true, level: "info"}
	if c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestLoad_ReportsEveryFaultWithKeyValueAndRange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("count: 1000\nunknown: 1\nlevel: [a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c sample
	err := declare(&c).Load([]string{"-config", file, "-ratio=NaN", "-enabled=maybe"}, []string{"NEMESIS_MAX_WAIT=forever", "NEMESIS_LISTEN=8080", "NEMESIS_LEVEL=loud"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		`count: "1000" is not allowed: must be a whole number from 1 to 100`,
		`unknown setting "unknown"`,
		`level: must be a text`,
		`flag -ratio: ratio: "NaN"`,
		`flag -enabled: enabled: "maybe"`,
		`NEMESIS_MAX_WAIT: max-wait: "forever" is not allowed: must be a duration from 0s to 1m0s`,
		`listen: "8080"`,
		`level: "loud" is not allowed: must be one of debug, info`,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("missing %q in:\n%v", part, err)
		}
	}
	if c != (sample{listen: ":8080", count: 10, wait: time.Second, ratio: 0.5, level: "info"}) {
		t.Errorf("a refused value was half applied: %+v", c)
	}
}

func TestLoad_TellsWhichBuildThisIs(t *testing.T) {
	var c sample
	var out strings.Builder
	set := declare(&c)
	set.stdout = &out
	if err := set.Load([]string{"-version"}, []string{"NEMESIS_COUNT=none"}); !errors.Is(err, ErrHelp) {
		t.Errorf("err = %v, want ErrHelp", err)
	}
	if want := build.Line("sample") + "\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestLoad_RefusesWhatIsNoFlag(t *testing.T) {
	for name, args := range map[string][]string{"argument": {"serve"}, "unknown flag": {"-nope"}, "missing file": {"-config", "/nonexistent/c.yaml"}} {
		var c sample
		if err := declare(&c).Load(args, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var c sample
	if err := declare(&c).Load([]string{"-help"}, nil); !errors.Is(err, ErrHelp) {
		t.Errorf("help: %v", err)
	}
}

func TestBind_PanicsOnAMistakeOfTheProgram(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var n int
	New("x", "", io.Discard).Int(&n, "n", 5, 10, 20, "n")
}

func FuzzLoad(f *testing.F) {
	f.Add("5", "1s", "0.1")
	f.Add("", "-1h", "NaN")
	f.Fuzz(func(t *testing.T, count, wait, ratio string) {
		var c sample
		_ = declare(&c).Load([]string{"-count=" + count}, []string{"NEMESIS_MAX_WAIT=" + wait, "NEMESIS_RATIO=" + ratio})
		if c.count < 1 || c.count > 100 || c.wait < 0 || c.wait > time.Minute || !(c.ratio >= 0 && c.ratio <= 1) {
			t.Errorf("out of range: %+v", c)
		}
	})
}

func TestAddressOrNone_MayBeEmpty(t *testing.T) {
	for value, allowed := range map[string]bool{"": true, ":8443": true, "[::1]:0": true, "8443": false, ":70000": false, " ": false} {
		listen := "unset"
		set := New("sample", "NEMESIS_", io.Discard)
		set.AddressOrNone(&listen, "listen", "", "address")
		err := set.Load([]string{"-listen", value}, nil)
		if (err == nil) != allowed || allowed && listen != value {
			t.Errorf("%q: %q, %v", value, listen, err)
		}
		if err != nil && !strings.Contains(err.Error(), "or empty for none") {
			t.Errorf("%q: %v does not say that it may be empty", value, err)
		}
	}
}
