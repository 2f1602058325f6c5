package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

// Load imports image archives (docker or OCI) into the running cluster.
func (c *Cluster) Load(ctx context.Context, archives []string) error {
	up := c.running()
	if up == nil {
		return errors.New("there is no running cluster to load images into")
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, archive := range archives {
		group.Go(func() error { return c.importImage(ctx, up.Node.PID, archive) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, archive := range archives {
		c.printer.Line("loaded %s", filepath.Base(archive))
	}
	return nil
}

func (c *Cluster) importImage(ctx context.Context, pid int, archive string) error {
	if _, err := os.Stat(archive); err != nil {
		return err
	}
	if err := c.ctr(ctx, pid, "--namespace", "k8s.io", "images", "import", "--local", archive); err != nil {
		return fmt.Errorf("load %s: %w", archive, err)
	}
	return nil
}

// runtimeAnswers asks containerd for its version.
func (c *Cluster) runtimeAnswers(ctx context.Context, pid int) error {
	return c.ctr(ctx, pid, "version")
}

// ctr runs containerd's own client against the socket inside of the node.
func (c *Cluster) ctr(ctx context.Context, pid int, arguments ...string) error {
	socket := layout.SocketFromHost(pid)
	out, err := command(ctx, c.layout.Bin("ctr"), append([]string{"--address", socket}, arguments...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, lastLine(out))
	}
	return nil
}

func lastLine(out []byte) string {
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	return lines[len(lines)-1]
}
