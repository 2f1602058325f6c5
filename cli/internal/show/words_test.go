package show

import (
	"strings"
	"testing"
	"time"
)

func TestDuration_IsSaidAsPeopleSayIt(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                    "0 ms",
		0:                               "0 ms",
		999 * time.Millisecond:          "999 ms",
		1500 * time.Millisecond:         "1.5 s",
		9999 * time.Millisecond:         "10 s",
		42 * time.Second:                "42 s",
		119 * time.Second:               "119 s",
		2 * time.Minute:                 "2 min",
		2*time.Minute + 5*time.Second:   "2 min 5 s",
		59*time.Minute + 59*time.Second: "59 min",
		3*time.Hour + 20*time.Minute:    "3 h 20 min",
		30 * time.Hour:                  "30 h",
		50 * time.Hour:                  "2 d 2 h",
		400 * 24 * time.Hour:            "400 d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestNumber_HasTheDigitsThatMatter(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.126: "0.13", 3: "3", 3.10: "3.1", 12.34: "12.3", 412.5: "412", -0.5: "-0.5", 1e6: "1000000"} {
		if got := Number(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestMilliseconds_BecomeSeconds(t *testing.T) {
	for v, want := range map[float64]string{0.04: "0 ms", 8.13: "8.1 ms", 999: "999 ms", 1234: "1.2 s", 61000: "61 s"} {
		if got := Milliseconds(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestBytes_AreInTheUnitThatFits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 5 << 20: "5 MiB", 3 << 40: "3 TiB", 9 << 50: "9216 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestBar_ShowsWhereAndHowLong(t *testing.T) {
	for _, c := range []struct {
		from, to, whole float64
		want            string
	}{
		{0, 100, 100, "██████████"},
		{50, 100, 100, "     █████"},
		{0, 0, 100, "█"}, // what was, is seen
		{100, 100, 100, "         █"},
		{0, 500, 100, "██████████"},
		{0, 1, 0, ""},
	} {
		if got := Bar(c.from, c.to, c.whole, 10); got != c.want {
			t.Errorf("%v to %v of %v is %q, want %q", c.from, c.to, c.whole, got, c.want)
		}
	}
}

func TestTable_AlignsByCharactersAndNotByColours(t *testing.T) {
	table := Table{Heads: []string{"NAME", "STATE", "WHY"}}
	table.Cells(Cell{Text: "größer"}, Cell{"Awake", Good}, Cell{Text: "1 → 2"})
	table.Row("a", "", "x")
	var plain, painted strings.Builder
	table.Write(&plain, false)
	table.Write(&painted, true)
	want := "NAME    STATE  WHY\ngrößer  Awake  1 → 2\na       -      x\n"
	if plain.String() != want {
		t.Errorf("got\n%s", plain.String())
	}
	bare := painted.String()
	for _, code := range []string{"\x1b[32m", "\x1b[2m", "\x1b[0m"} {
		if !strings.Contains(bare, code) {
			t.Errorf("%q is not in it", code)
		}
		bare = strings.ReplaceAll(bare, code, "")
	}
	if bare != want {
		t.Errorf("got\n%s", bare)
	}
}

func TestLine_LeavesATerminalNothingToObey(t *testing.T) {
	if got := Line("a\x1b[31mb\nc\td\x07\u009b1m\xff"); got != "a[31mb c d1m" {
		t.Errorf("got %q", got)
	}
}
