package network

import (
	"net"
	"testing"
)

func TestConflict(t *testing.T) {
	for _, one := range []struct {
		existing string
		want     bool
		why      string
	}{
		{"0.0.0.0/0", false, "the default route is less specific than any"},
		{"10.88.0.0/16", true, "the same network"},
		{"10.0.0.0/8", true, "a network around ours"},
		{"10.88.3.0/24", true, "a part of ours"},
		{"10.89.0.0/16", false, "a neighbour"},
		{"192.168.0.0/16", false, "another network"},
	} {
		_, existing, err := net.ParseCIDR(one.existing)
		if err != nil {
			t.Fatal(err)
		}
		if got := conflict(existing, "10.88.0.0/16"); got != one.want {
			t.Errorf("%s: %v, want %v: %s", one.existing, got, one.want, one.why)
		}
	}
}
