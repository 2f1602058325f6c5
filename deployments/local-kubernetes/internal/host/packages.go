// Package host checks the machine that the cluster is to run on and installs what it lacks.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// programs of the distribution that the cluster needs, with the Debian package of each. Everything
// else is built from Go modules.
var programs = map[string]string{
	"runc":  "runc",
	"nft":   "nftables",
	"mount": "mount",
}

// CheckMachine refuses machines that cannot run the cluster, saying why.
func CheckMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("the local cluster needs root: it makes network interfaces, mounts and cgroups. " +
			"Run this with sudo -E, or set KUBECONFIG to use a cluster that you have")
	}
	return nil
}

// Install installs what is missing with apt-get where that exists, or says what to install.
func Install(ctx context.Context, say func(format string, args ...any)) error {
	missing := missingPackages(exec.LookPath)
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("missing on this machine: %s. Please install them (these are Debian's package names) and try again", list)
	}
	say("installing %s", list)
	install := func() error {
		return apt(ctx, append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
	}
	if err := install(); err != nil {
		// Most often the lists of packages are missing or old.
		if err := apt(ctx, "update"); err != nil {
			return err
		}
		return install()
	}
	return nil
}

func missingPackages(look func(string) (string, error)) []string {
	var missing []string
	for program, name := range programs {
		if _, err := look(program); err != nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

func apt(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...) //nolint:gosec // the packages are listed above
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := command.CombinedOutput()
	if err != nil {
		out = bytes.TrimSpace(out)
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, out[max(0, len(out)-800):])
	}
	return nil
}
