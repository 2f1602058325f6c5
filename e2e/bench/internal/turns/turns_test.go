package turns

import (
	"bytes"
	"errors"
	"flag"
	"reflect"
	"strings"
	"testing"
)

func TestTake_TakesEachWayOnceARoundAndLeavesOutTheWarmUp(t *testing.T) {
	o := Options{Rounds: 2, Warm: 1}
	var out bytes.Buffer
	took := [2]float64{}
	got, err := o.Take(&out, []string{"a", "b"}, func(way int) (float64, error) {
		took[way]++
		return 10*float64(way) + took[way], nil
	})
	if want := [][]float64{{2, 3}, {12, 13}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	want := "warm-up   a     1.0 ms   b    11.0 ms\n 1/2      a     2.0 ms   b    12.0 ms\n 2/2      a     3.0 ms   b    13.0 ms\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}

func TestTake_SaysInWhichRoundAWayFailed(t *testing.T) {
	o := Options{Rounds: 2}
	fails := errors.New("no pod")
	times := 0
	_, err := o.Take(&bytes.Buffer{}, []string{"a", "b"}, func(way int) (float64, error) {
		if times++; way == 1 && times > 2 {
			return 0, fails
		}
		return 1, nil
	})
	if !errors.Is(err, fails) || !strings.HasPrefix(err.Error(), "round 2: b: ") {
		t.Errorf("%v", err)
	}
}

func TestFlags_AreTheUsualOnes(t *testing.T) {
	var o Options
	set := flag.NewFlagSet("", flag.ContinueOnError)
	o.Flags(set, "pairs", "x.json")
	if err := set.Parse([]string{"-pairs", "3", "-limit", "1m"}); err != nil || o.Rounds != 3 || o.Warm != 2 || o.Out != "x.json" || o.limit.Minutes() != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}
