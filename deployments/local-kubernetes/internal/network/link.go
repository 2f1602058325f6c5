// Package network joins the host to the node: one link, and routes to the pods and Services over it.
// Those are the only things of the cluster that the host's network sees; they vanish with the link.
package network

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

// nodeEnd is the name that the node's end of the link gets.
const nodeEnd = "eth0"

// Connect makes the link between the host and the network namespace of the process, and the host's
// routes over it. It returns the name of the node's end.
func Connect(name string, pid int) (string, error) {
	if err := checkFree(name); err != nil {
		return "", err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	pair := &netlink.Veth{LinkAttrs: attributes, PeerName: nodeEnd, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(pair); err != nil {
		return "", fmt.Errorf("link %s to the node: %w", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	address, err := netlink.ParseAddr(fmt.Sprintf("%s/%d", layout.HostAddress, layout.LinkBits))
	if err != nil {
		return "", err
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return "", fmt.Errorf("address of %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	for _, text := range []string{layout.PodRange, layout.ServiceRange} {
		_, destination, err := net.ParseCIDR(text)
		if err != nil {
			return "", err
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: destination, Gw: net.ParseIP(layout.NodeAddress)}
		if err := netlink.RouteAdd(route); err != nil {
			return "", fmt.Errorf("route to %s: %w", text, err)
		}
	}
	return nodeEnd, nil
}

// Disconnect removes the link, and with it the routes. It is no error if there is none.
func Disconnect(name string) error {
	link, err := netlink.LinkByName(name)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}

// Exists reports whether the host has that link.
func Exists(name string) bool {
	_, err := netlink.LinkByName(name)
	return err == nil
}

func notFound(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing)
}

// checkFree refuses to shadow networks that the host already reaches: a VPN or another cluster.
func checkFree(name string) error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("read the host's routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		for _, text := range []string{layout.LinkRange, layout.PodRange, layout.ServiceRange} {
			if conflict(route.Dst, text) {
				return fmt.Errorf("the host already routes %s over %s, which the local cluster needs as %s: "+
					"remove that route (another local cluster? its own `down` does it), or run in a network namespace of your own",
					route.Dst, linkName(route.LinkIndex), text)
			}
		}
	}
	if Exists(name) {
		return fmt.Errorf("an interface %s is left from before; `down` removes it", name)
	}
	return nil
}

// conflict reports whether two networks share addresses. The default route shares with all and
// is no conflict: ours is the more specific.
func conflict(existing *net.IPNet, wanted string) bool {
	_, network, err := net.ParseCIDR(wanted)
	if err != nil {
		return false
	}
	if ones, _ := existing.Mask.Size(); ones == 0 {
		return false
	}
	return existing.Contains(network.IP) || network.Contains(existing.IP)
}

func linkName(index int) string {
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return fmt.Sprintf("interface %d", index)
	}
	return link.Attrs().Name
}

// Forwarding reads whether the host forwards packets; the cluster never changes it, and tests check.
func Forwarding() (string, error) {
	value, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	return string(value), err
}
