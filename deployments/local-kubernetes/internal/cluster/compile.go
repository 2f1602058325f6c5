package cluster

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/build"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/parts"
)

// build makes the programs of one artifact unless they are there already, telling how far it is, and
// closes built when they can be used.
func (c *Cluster) build(ctx context.Context, artifact *build.Artifact, built chan<- struct{}) error {
	current, err := artifact.UpToDate()
	if err != nil {
		return err
	}
	if !current {
		if err := c.compile(ctx, artifact); err != nil {
			return err
		}
	}
	if artifact.Name == parts.Kubernetes {
		if err := c.linkKubectl(); err != nil {
			return err
		}
	}
	close(built)
	return nil
}

func (c *Cluster) compile(ctx context.Context, artifact *build.Artifact) error {
	c.printer.Line("building %s; from nothing this takes about %s on two cores, and is done once",
		artifact.Name, artifact.Usual.Round(time.Second))
	job := build.NewJob(artifact)
	defer c.printer.Done(artifact.Name)
	finished := make(chan error, 1)
	go func() { finished <- job.Run(ctx) }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-finished:
			if err == nil {
				c.printer.Line("built %s in %s", artifact.Name, time.Since(job.Started).Round(time.Second))
			}
			return err
		case <-ticker.C:
			c.printer.Status(artifact.Name, job.String())
		}
	}
}

// linkKubectl makes the one program callable as kubectl.
func (c *Cluster) linkKubectl() error {
	link := c.layout.Bin("kubectl")
	if target, err := os.Readlink(link); err == nil && target == parts.Kubernetes {
		return nil
	}
	if err := os.RemoveAll(link); err != nil {
		return fmt.Errorf("kubectl: %w", err)
	}
	return os.Symlink(parts.Kubernetes, link)
}
