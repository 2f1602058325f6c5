package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNumbers_AreInGrowingOrderOnceEach(t *testing.T) {
	for _, c := range []struct {
		given string
		want  []int
		fault bool
	}{
		{"100,1000,10000", []int{100, 1000, 10000}, false},
		{"1000, 100,1000", []int{100, 1000}, false},
		{"none", nil, false},
		{"", nil, true},
		{"19", nil, true},
		{"20001", nil, true},
		{"100,x", nil, true},
	} {
		got, err := numbers("sizes", c.given)
		if !slices.Equal(got, c.want) || err != nil != c.fault {
			t.Errorf("%q: %v, %v", c.given, got, err)
		}
	}
}

func TestParse_NamesWhatIsNotAllowed(t *testing.T) {
	for _, c := range []struct{ flag, value string }{
		{"seconds", "0.5"}, {"wakeups", "-1"}, {"batch", "501"}, {"pods", "9"}, {"priority", "1"}, {"soak-size", "7"}, {"sizes", "0"}, {"released-sizes", "many"},
	} {
		_, err := parse([]string{"-kubernetes", "k", "-" + c.flag, c.value})
		if err == nil || !strings.Contains(err.Error(), c.flag) || !strings.Contains(err.Error(), c.value) || !strings.Contains(err.Error(), "not allowed: must be") {
			t.Errorf("%s %s: %v", c.flag, c.value, err)
		}
	}
	if _, err := parse(nil); err == nil || !strings.Contains(err.Error(), "kubernetes") {
		t.Errorf("without an API server: %v", err)
	}
}

func TestParse_QuickIsSmallerUnlessSaidOtherwise(t *testing.T) {
	o, err := parse([]string{"-kubernetes", "k", "-quick", "-sizes", "50"})
	if err != nil || !slices.Equal(o.sizes, []int{50}) || !slices.Equal(o.releasedSizes, []int{300}) || o.seconds != 5 || o.settle != 40*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parse([]string{"-kubernetes", "k", "-soak", "1h"})
	if err != nil || !slices.Equal(o.sizes, []int{100, 1000, 10000}) || !slices.Equal(o.releasedSizes, []int{300, 1000}) || o.limit != 4*time.Hour {
		t.Errorf("%+v, %v", o, err)
	}
}
