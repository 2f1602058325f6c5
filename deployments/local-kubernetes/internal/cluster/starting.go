package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nemesis-scaling/nemesis/deployments/internal/image"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/build"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/cgroup"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/health"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/host"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/network"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/node"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/parts"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/pki"
)

// Limits for each step of the start. They are many times what a slow machine needs: whoever hits one
// has a fault, not a slow machine.
const (
	partLimit  = 60 * time.Second
	nodeLimit  = 90 * time.Second
	addonLimit = 2 * time.Minute
)

// Images that are made here and loaded, never pulled.
const (
	pauseImage      = "nemesis.local/pause:" + build.KubernetesVersion
	kubernetesImage = "nemesis.local/kubernetes:" + build.KubernetesVersion
	nobody          = "65532:65532"
)

// starting is one cluster on its way up.
type starting struct {
	*Cluster
	stop   context.CancelCauseFunc
	record record
	values parts.Values
	node   *node.Node

	// Closed when the thing named is there.
	nodeUp, runtimeBuilt, kubernetesBuilt chan struct{}
}

// prepareNode makes all that needs no program: files, certificates, the node with its network.
func (s *starting) prepareNode() error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	if err := makeDirectories(s.layout); err != nil {
		return err
	}
	snapshotter, err := host.Snapshotter(s.layout.Cluster())
	if err != nil {
		return err
	}
	s.values = parts.NewValues(s.layout, pauseImage, runc, snapshotter)
	if err := pki.WriteCluster(s.layout.Cluster("pki")); err != nil {
		return err
	}
	if err := s.values.WriteConfig(); err != nil {
		return err
	}
	if err := s.writeKubeconfigs(); err != nil {
		return err
	}
	s.node, err = node.Launch(s.layout.Log("node"))
	if err != nil {
		return err
	}
	s.record.Node = s.node.Identity
	if err := s.writeRecord(s.record); err != nil {
		return err
	}
	hierarchies, err := cgroup.Mounted()
	if err != nil {
		return err
	}
	if err := cgroup.Create(hierarchies, s.layout.Cgroup(), s.node.Identity.PID); err != nil {
		return err
	}
	link, err := network.Connect(s.layout.Link(), s.node.Identity.PID)
	if err != nil {
		return err
	}
	err = s.node.SetUp(node.Setup{
		Link: link, VarLog: s.layout.Cluster("var-log"), State: s.layout.Cluster("parts.json"),
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	go s.watch()
	close(s.nodeUp)
	return nil
}

// watch stops the start as soon as a part ends: none of them should.
func (s *starting) watch() {
	for event := range s.node.Events {
		if event.Exit != "" || event.Error != "" {
			s.stop(&partError{part: event.Part, what: errors.New(event.Exit + event.Error)})
		}
	}
	s.stop(&partError{part: "node", what: errors.New("its first process ended")})
}

// startRuntime starts containerd and gives it the images of the cluster itself.
func (s *starting) startRuntime(ctx context.Context) error {
	if err := wait(ctx, s.nodeUp, s.runtimeBuilt); err != nil {
		return err
	}
	err := s.startPart(ctx, parts.Containerd, func(ctx context.Context) error {
		return s.runtimeAnswers(ctx, s.node.Identity.PID)
	})
	if err != nil {
		return err
	}
	if err := s.ownImage(ctx, pauseImage, "pause"); err != nil {
		return err
	}
	if err := wait(ctx, s.kubernetesBuilt); err != nil {
		return err
	}
	return s.ownImage(ctx, kubernetesImage, parts.Kubernetes)
}

// ownImage makes an image of one of the built programs and loads it.
func (s *starting) ownImage(ctx context.Context, tag, program string) error {
	archive := filepath.Join(s.layout.Cache(), "images", program+".tar")
	_, err := image.Write(archive, image.Spec{
		Tag:        tag,
		Files:      map[string]string{"/" + program: s.layout.Bin(program)},
		Entrypoint: []string{"/" + program},
		User:       nobody,
		Arch:       runtime.GOARCH,
	})
	if err != nil {
		return err
	}
	return s.importImage(ctx, s.node.Identity.PID, archive)
}

// startKubernetes starts the control plane, then the rest side by side, and waits until pods run.
func (s *starting) startKubernetes(ctx context.Context) error {
	if err := wait(ctx, s.nodeUp, s.kubernetesBuilt); err != nil {
		return err
	}
	api, err := s.client()
	if err != nil {
		return err
	}
	if err := s.startPart(ctx, parts.Etcd, healthPage(parts.Etcd)); err != nil {
		return err
	}
	if err := s.startPart(ctx, parts.APIServer, api.Ready); err != nil {
		return err
	}
	group, together := errgroup.WithContext(ctx)
	for _, part := range []string{parts.ControllerManager, parts.Scheduler, parts.Proxy} {
		group.Go(func() error { return s.startPart(together, part, healthPage(part)) })
	}
	group.Go(func() error {
		// The kubelet gives up when there is no container runtime, and that may still be building.
		if err := wait(together, s.runtimeBuilt); err != nil {
			return err
		}
		err := health.Until(together, parts.Containerd, partLimit, func(ctx context.Context) error {
			return s.runtimeAnswers(ctx, s.node.Identity.PID)
		})
		if err != nil {
			return &partError{part: parts.Containerd, what: err}
		}
		return s.startPart(together, parts.Kubelet, healthPage(parts.Kubelet))
	})
	group.Go(func() error { return s.applyAddons(together) })
	if err := group.Wait(); err != nil {
		return err
	}
	return s.awaitPods(ctx, api)
}

func healthPage(part string) func(context.Context) error {
	return func(ctx context.Context) error { return page(ctx, part) }
}

// startPart starts a part and waits until it is well.
func (s *starting) startPart(ctx context.Context, name string, ask func(context.Context) error) error {
	began := time.Now()
	if err := s.node.Start(s.values.Part(name)); err != nil {
		return err
	}
	if err := health.Until(ctx, name, partLimit, ask); err != nil {
		return &partError{part: name, what: err}
	}
	s.printer.Line("%-24s well after %.1f s", name, time.Since(began).Seconds())
	return nil
}

// wait waits for all channels to be closed.
func wait(ctx context.Context, channels ...<-chan struct{}) error {
	for _, channel := range channels {
		select {
		case <-channel:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// finish declares the cluster complete and lets it live on without this program.
func (s *starting) finish() error {
	s.record.Complete = true
	if err := s.writeRecord(s.record); err != nil {
		return err
	}
	return s.node.Detach()
}
