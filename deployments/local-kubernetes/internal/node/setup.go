package node

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

func setUp(setup Setup) error {
	if err := unix.Sethostname([]byte(layout.NodeName)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := mountAll(setup.VarLog); err != nil {
		return err
	}
	if err := configureNetwork(setup.Link); err != nil {
		return err
	}
	return nil
}

// mountAll gives the node its own view of the file system. Unmounts on the host still reach the
// node, so that it pins no disk, but nothing it mounts reaches the host.
func mountAll(varLog string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount(varLog, "/var/log", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to /var/log: %w", varLog, err)
	}
	for _, mount := range []struct{ kind, target, options string }{
		{"proc", "/proc", ""},
		// Sockets and state of the container runtime; this also hides the host's own daemons.
		{"tmpfs", "/run", "mode=0755"},
	} {
		flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
		if err := unix.Mount(mount.kind, mount.target, mount.kind, flags, mount.options); err != nil {
			return fmt.Errorf("mount %s at %s: %w", mount.kind, mount.target, err)
		}
	}
	// Volumes with mount propagation ask for a shared root.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts in the node: %w", err)
	}
	return nil
}

func configureNetwork(name string) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	address, err := netlink.ParseAddr(fmt.Sprintf("%s/%d", layout.NodeAddress, layout.LinkBits))
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	gateway, err := netlink.ParseAddr(fmt.Sprintf("%s/%d", layout.HostAddress, layout.LinkBits))
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.IP}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	// This is the node's own setting: the file belongs to the network namespace of who opens it.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("forwarding between pods: %w", err)
	}
	return nil
}
