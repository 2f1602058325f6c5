package footprint

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const maps = `00400000-00709000 r-xp 00000000 00:2c 4711                            /sidecar
00709000-00b00000 r--p 00309000 00:2c 4711                            /sidecar
00b00000-00b3b000 rw-p 00700000 00:2c 4711                            /sidecar
00b3b000-02c00000 rw-p 00000000 00:00 0
c000000000-c000400000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r--p 00000000 00:2c 12                      /sidecar-of-another
7fff00000000-7fff00021000 rw-p 00000000 00:00 0                       [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0               [vsyscall]
`

// What the program wrote is not the file's any more, and would be lost.
func TestUnchanged_AreThePagesOfTheProgramThatNobodyWrote(t *testing.T) {
	got, err := unchanged(strings.NewReader(maps), "/sidecar")
	want := []region{{0x400000, 0x709000, true}, {0x709000, 0xb00000, false}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(region{})); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

// What the dynamic loader wrote, and made read-only then, would come back as it is in the file: functions at no address.
func TestUnchanged_OfAProgramWithLibrariesIsTheCodeAlone(t *testing.T) {
	got, err := unchanged(strings.NewReader(maps+"7f1000000000-7f1000026000 r--p 00000000 00:2c 9  /lib64/ld-linux-x86-64.so.2\n"), "/sidecar")
	if diff := cmp.Diff([]region{{0x400000, 0x709000, true}}, got, cmp.AllowUnexported(region{})); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestUnchanged_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, line := range []string{
		"x-2 r--p 0 00:2c 1 /sidecar", "1-x r--p 0 00:2c 1 /sidecar", "1 r--p 0 00:2c 1 /sidecar", "2-1 r--p 0 00:2c 1 /sidecar", "2-2 r--p 0 00:2c 1 /sidecar",
	} {
		if got, err := unchanged(strings.NewReader(line), "/sidecar"); err == nil {
			t.Errorf("%q: %v", line, got)
		}
	}
}

var written = []int{1, 2, 3}

// The program goes on as before: what it reads of itself comes back, what it wrote was never away.
func TestRelease_LosesNothing(t *testing.T) {
	written[1] = 7
	for range 3 {
		if err := Release(); err != nil {
			t.Fatal(err)
		}
		if written[1] != 7 || strings.ToUpper("as before") != "AS BEFORE" || len(maps) < 500 {
			t.Fatalf("%v, %d", written, len(maps))
		}
	}
}
