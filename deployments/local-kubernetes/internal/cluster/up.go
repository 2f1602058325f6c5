package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/build"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/host"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

// Up builds what is missing and starts the cluster, or does nothing when it is up and well. When it
// fails or is interrupted nothing is left but the built programs and the logs.
func (c *Cluster) Up(ctx context.Context) error {
	if err := host.CheckMachine(); err != nil {
		return err
	}
	release, err := c.lock()
	if err != nil {
		return err
	}
	defer release()
	if up := c.running(); up != nil && up.Complete {
		return c.confirm(ctx, up)
	}
	if found, err := c.remove(); err != nil {
		return fmt.Errorf("remove what is left of a cluster: %w", err)
	} else if found {
		c.printer.Line("removed what was left of a cluster that is not running")
	}
	if err := host.Install(ctx, c.printer.Line); err != nil {
		return err
	}
	err = c.start(ctx)
	if err == nil {
		c.printer.Line("the cluster is up: export KUBECONFIG=%s", c.layout.Kubeconfig())
		return nil
	}
	if interrupted(ctx) {
		err = errInterrupted
	} else {
		err = c.explain(err)
	}
	if _, removing := c.remove(); removing != nil {
		return errors.Join(err, removing)
	}
	return err
}

// confirm checks a cluster that is said to be up.
func (c *Cluster) confirm(ctx context.Context, up *record) error {
	faults, err := c.examine(ctx, up)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return fmt.Errorf("the cluster is up, but not well: %w\ntake it down and up again if it does not recover", errors.Join(faults...))
	}
	if current, err := c.builds(); err == nil && !same(current, up.Builds) {
		c.printer.Line("the cluster is up, with programs that are older than the sources: down and up renews them")
		return nil
	}
	c.printer.Line("the cluster is up already: export KUBECONFIG=%s", c.layout.Kubeconfig())
	return nil
}

// start runs the parts that wait for each other side by side: programs are compiled while the node
// is prepared, and the container runtime starts while Kubernetes is still being built.
func (c *Cluster) start(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	kubernetes, runtime := c.artifacts()
	builds, err := c.builds()
	if err != nil {
		return err
	}
	_ = os.RemoveAll(c.failedLogs()) // those of the last fault
	starting := &starting{
		Cluster: c, stop: stop,
		nodeUp: make(chan struct{}), runtimeBuilt: make(chan struct{}), kubernetesBuilt: make(chan struct{}),
		record: record{Builds: builds, Started: time.Now()},
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.build(ctx, runtime, starting.runtimeBuilt) })
	group.Go(func() error { return c.build(ctx, kubernetes, starting.kubernetesBuilt) })
	group.Go(func() error { return starting.prepareNode() })
	group.Go(func() error { return starting.startRuntime(ctx) })
	group.Go(func() error { return starting.startKubernetes(ctx) })
	if err := group.Wait(); err != nil {
		// Why the context ended says more than that it did.
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		return err
	}
	return starting.finish()
}

// Build builds the programs and starts nothing.
func (c *Cluster) Build(ctx context.Context) error {
	if _, err := c.builds(); err != nil {
		return err
	}
	release, err := c.lock()
	if err != nil {
		return err
	}
	defer release()
	group, together := errgroup.WithContext(ctx)
	for _, artifact := range []*build.Artifact{c.runtimeArtifact(), c.kubernetesArtifact()} {
		group.Go(func() error { return c.build(together, artifact, make(chan struct{})) })
	}
	err = group.Wait()
	if interrupted(ctx) {
		return errInterrupted
	}
	return err
}

func (c *Cluster) kubernetesArtifact() *build.Artifact {
	return build.Kubernetes(c.modules, c.layout.BinDir())
}

func (c *Cluster) runtimeArtifact() *build.Artifact {
	return build.Runtime(c.modules, c.layout.BinDir())
}

func (c *Cluster) artifacts() (kubernetes, runtime *build.Artifact) {
	return c.kubernetesArtifact(), c.runtimeArtifact()
}

// builds gives the hash of what each program would be built from now.
func (c *Cluster) builds() (map[string]string, error) {
	if c.modules == "" {
		return nil, errors.New("the sources are not here: run this from the checkout of Nemesis")
	}
	hashes := map[string]string{}
	for _, artifact := range []*build.Artifact{c.kubernetesArtifact(), c.runtimeArtifact()} {
		hash, err := artifact.Hash()
		if err != nil {
			return nil, err
		}
		hashes[artifact.Name] = hash
	}
	return hashes, nil
}

func same(a, b map[string]string) bool {
	for name, hash := range a {
		if b[name] != hash {
			return false
		}
	}
	return len(a) == len(b)
}

// makeDirectories makes the cluster's own directories.
func makeDirectories(place layout.Layout) error {
	for _, directory := range []string{"config", "logs", "home", "tmp", "var-log", "kubelet", "images"} {
		if err := os.MkdirAll(place.Cluster(directory), 0o750); err != nil {
			return err
		}
	}
	// etcd insists on being the only one to read its data.
	return os.MkdirAll(place.Cluster("etcd"), 0o700)
}
