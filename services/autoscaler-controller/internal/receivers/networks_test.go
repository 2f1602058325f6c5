package receivers

import (
	"errors"
	"net/netip"
	"testing"
)

func TestNetworks_Permit(t *testing.T) {
	for _, c := range []struct {
		networks, address string
		clear             bool
		want              error
	}{
		{"", "1.1.1.1", false, errNotAllowed},
		{"public", "1.1.1.1", false, nil},
		{"public", "1.1.1.1", true, errClear},
		{"public", "2606:4700::1", false, nil},
		{"public", "10.1.2.3", false, errNotAllowed},
		{"public", "192.168.0.1", false, errNotAllowed},
		{"public", "100.64.0.1", false, errNotAllowed},
		{"public", "127.0.0.1", false, errNotAllowed},
		{"public", "::1", false, errNotAllowed},
		{"public", "fd12::1", false, errNotAllowed},
		{"public", "::ffff:10.0.0.1", false, errNotAllowed},
		{"public", "64:ff9b::a9fe:a9fe", false, errNotAllowed}, // 169.254.169.254 by way of NAT64
		{"public", "2002:a9fe:a9fe::1", false, errNotAllowed},  // and of 6to4
		{"public", "168.63.129.16", false, errNotAllowed},
		{"10.0.0.0/8", "10.1.2.3", false, nil},
		{"10.0.0.0/8", "10.1.2.3", true, nil},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true, nil},
		{"10.0.0.0/8", "11.1.2.3", false, errNotAllowed},
		{"10.0.0.0/8", "1.1.1.1", false, errNotAllowed},
		{"10.96.0.7, public", "10.96.0.7", false, nil},
		{"10.96.0.7", "10.96.0.8", false, errNotAllowed},
		{"0.0.0.0/0", "169.254.169.254", false, errNotAllowed},
		{"169.254.0.0/16", "169.254.169.254", false, errNotAllowed},
		{"169.254.169.254", "::ffff:169.254.169.254", false, errNotAllowed},
		{"0.0.0.0/0", "0.0.0.0", false, errNotAllowed},
		{"0.0.0.0/0", "127.0.0.1", false, errNotAllowed},
		{"127.0.0.0/8", "127.0.0.1", true, nil},
		{"::/0", "::1", false, errNotAllowed},
		{"::/0", "fe80::1%eth0", false, errNotAllowed},
		{"::/0", "fd00:ec2::254", false, errNotAllowed},
		{"::1", "::1", false, nil},
		{"0.0.0.0/0", "224.0.0.1", false, errNotAllowed},
		{"0.0.0.0/0", "8.8.8.8", true, nil},
	} {
		n, err := ParseNetworks(c.networks)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.permit(netip.MustParseAddr(c.address), c.clear); !errors.Is(got, c.want) {
			t.Errorf("%q, %s, clear %v: %v, want %v", c.networks, c.address, c.clear, got, c.want)
		}
	}
}

func TestParseNetworks_RefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{"private", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "::ffff:10.0.0.0/104", "public,*", "http://a"} {
		if n, err := ParseNetworks(text); err == nil {
			t.Errorf("%q is %+v", text, n)
		}
	}
	for _, text := range []string{"", " ", ","} {
		if n, err := ParseNetworks(text); err != nil || !n.None() {
			t.Errorf("%q: %+v, %v", text, n, err)
		}
	}
}
