package archive

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func TestWrap_WhatIsReadBackIsTheSame(t *testing.T) {
	for _, k := range []fleet.Key{{Namespace: "shop", Deployment: "cart"}, {Namespace: "a", Deployment: string(bytes.Repeat([]byte("x"), 253))}} {
		for _, kept := range [][]byte{nil, {0}, bytes.Repeat([]byte{7}, 1000)} {
			gotKey, got, err := unwrap(wrap(k, kept))
			if err != nil || gotKey != k || !bytes.Equal(got, kept) {
				t.Errorf("%s with %d bytes: %s with %d, %v", k, len(kept), gotKey, len(got), err)
			}
		}
	}
}

func TestUnwrap_RefusesWhatNamesNothing(t *testing.T) {
	whole := wrap(fleet.Key{Namespace: "shop", Deployment: "cart"}, nil)
	for n := range whole {
		if _, _, err := unwrap(whole[:n]); !errors.Is(err, errNoName) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	for name, value := range map[string][]byte{
		"no namespace": {0, 1, 'a'}, "longer than it is": {200, 1, 'a'}, "too long a name": append([]byte{0xfe, 1}, bytes.Repeat([]byte{'a'}, 300)...),
		"endless": bytes.Repeat([]byte{0xff}, 12),
	} {
		if _, _, err := unwrap(value); !errors.Is(err, errNoName) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlace_SpreadsApplicationsEvenly(t *testing.T) {
	s, n := &Store{}, make([]int, places)
	for i := range 10_000 {
		n[s.Place(fleet.Key{Namespace: "team", Deployment: fmt.Sprintf("app-%d", i)})]++
	}
	for place, count := range n {
		if count < 500 || count > 750 {
			t.Errorf("%s has %d of 10000", Name(place), count)
		}
	}
}
