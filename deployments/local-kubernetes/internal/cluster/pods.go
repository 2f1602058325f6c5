package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/addons"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/health"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/kube"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/parts"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/pki"
)

// writeKubeconfigs gives each part that speaks to the API server its own, and the user the
// administrator's.
func (s *starting) writeKubeconfigs() error {
	users := map[string]string{
		pki.Controllers:   s.values.Kubeconfig("controller-manager"),
		pki.Scheduler:     s.values.Kubeconfig("scheduler"),
		pki.Proxy:         s.values.Kubeconfig("kube-proxy"),
		pki.KubeletClient: s.values.Kubeconfig("kubelet"),
		pki.Admin:         s.layout.Kubeconfig(),
	}
	for name, path := range users {
		content, err := kube.Kubeconfig(parts.Server(), name, "default", s.credentials(name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// applyAddons gives the API server the objects of the add-ons.
func (s *starting) applyAddons(ctx context.Context) error {
	manifests, err := addons.Manifests(kubernetesImage, s.layout.Cluster("pki"))
	if err != nil {
		return err
	}
	apply := command(ctx, s.layout.Bin("kubectl"), "--kubeconfig", s.layout.Kubeconfig(),
		"apply", "--server-side", "--force-conflicts", "-f", "-")
	apply.Stdin = bytes.NewReader(manifests)
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("create the add-ons: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// awaitPods waits until the node takes pods and names are resolved. The metrics server needs half a
// minute for its first samples, and nothing waits for it.
func (s *starting) awaitPods(ctx context.Context, api *kube.Client) error {
	err := health.Until(ctx, "node", nodeLimit, func(ctx context.Context) error { return api.NodeReady(ctx, layout.NodeName) })
	if err != nil {
		return &partError{part: parts.Kubelet, what: err}
	}
	s.printer.Line("node %s is ready", layout.NodeName)
	if err := health.Until(ctx, "name server", addonLimit, names); err != nil {
		return &partError{part: parts.Kubelet, what: fmt.Errorf("%w\n%s", err, s.describePods(ctx))}
	}
	s.printer.Line("names are resolved")
	return nil
}

// describePods tells what keeps the add-ons' pods from running.
func (s *starting) describePods(ctx context.Context) string {
	out, _ := command(ctx, s.layout.Bin("kubectl"), "--kubeconfig", s.layout.Kubeconfig(),
		"--namespace", addons.Namespace, "get", "pods,events", "--output", "wide").CombinedOutput()
	return string(out)
}
