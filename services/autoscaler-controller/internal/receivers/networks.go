package receivers

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networks are the addresses that notices may go to. Who owns a namespace names the receivers, and the calls come
// from the controller's own pod: so the operator says how far they reach, and by default they reach nowhere.
type Networks struct {
	public bool
	named  []netip.Prefix
}

// Public is the word for all addresses of the internet.
const Public = "public"

// Nowhere, whatever is named: link-local addresses, where clouds hand credentials to whoever asks, and those
// elsewhere at which some of them do.
var never = prefixes("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.0/24",
	"0.0.0.0/8", "::/128", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8")

// What is not the internet, or reaches another address through a translation of it.
var notPublic = prefixes("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "192.88.99.0/24", "::1/128", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
	"2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fec0::/10")

// loopback is allowed to who names it alone, and not by a wide network around it.
var loopback = prefixes("127.0.0.0/8", "::1/128")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// NetworksAllowed is what may be written, in words.
const NetworksAllowed = "public, or networks such as 10.0.0.0/8, several with commas between"

// ParseNetworks reads a list: public, networks and addresses, with commas between. No text is nowhere.
func ParseNetworks(text string) (Networks, error) {
	var n Networks
	for word := range strings.SplitSeq(text, ",") {
		switch word = strings.TrimSpace(word); word {
		case "":
			continue
		case Public:
			n.public = true
			continue
		}
		one, err := netip.ParsePrefix(word)
		if err != nil {
			address, bad := netip.ParseAddr(word)
			if bad != nil || address.Zone() != "" {
				return Networks{}, fmt.Errorf("%q is neither %s nor a network", word, Public)
			}
			one = netip.PrefixFrom(address, address.BitLen())
		}
		if one.Addr().Is4In6() {
			return Networks{}, fmt.Errorf("%q is an IPv4 network written as IPv6", word)
		}
		n.named = append(n.named, one.Masked())
	}
	return n, nil
}

// None tells whether nothing may go anywhere.
func (n Networks) None() bool { return !n.public && len(n.named) == 0 }

// permit tells whether a notice may go to an address; in clear text it may only where the network is named.
func (n Networks) permit(address netip.Addr, clear bool) error {
	address = address.Unmap().WithZone("")
	named := n.contains(address)
	switch {
	case within(never, address):
		return errNotAllowed
	case within(loopback, address) && !n.namesLoopback(address):
		return errNotAllowed
	case named:
		return nil
	case !n.public || within(notPublic, address):
		return errNotAllowed
	case clear:
		return errClear
	}
	return nil
}

func (n Networks) contains(a netip.Addr) bool { return within(n.named, a) }

func (n Networks) namesLoopback(a netip.Addr) bool {
	for _, p := range n.named {
		if p.Contains(a) && within(loopback, p.Addr()) && p.Bits() >= 8 {
			return true
		}
	}
	return false
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
