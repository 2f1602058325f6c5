package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/addons"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/health"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/kube"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/parts"
)

// healthPages are the parts' own answers to how they fare. The API server is asked at /readyz with
// credentials, see kube.Client, and containerd through its client.
var healthPages = map[string]string{
	parts.Etcd:              "http://" + layout.NodeAddress + ":2381/health",
	parts.ControllerManager: "https://" + layout.NodeAddress + ":10257/healthz",
	parts.Scheduler:         "https://" + layout.NodeAddress + ":10259/healthz",
	parts.Kubelet:           "http://" + layout.NodeAddress + ":10248/healthz",
	parts.Proxy:             "http://" + layout.NodeAddress + ":10256/healthz",
}

// healthClient asks those pages. Nothing secret is sent and the answers are only displayed, so the
// certificates that some parts make for themselves are taken as they are.
var healthClient = &http.Client{
	Timeout: 3 * time.Second,
	Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	},
}

func page(ctx context.Context, part string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, healthPages[part], nil)
	if err != nil {
		return err
	}
	response, err := healthClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", healthPages[part], response.Status)
	}
	return nil
}

// names asks the cluster's name server, at its Service's address, for the API server.
func names(ctx context.Context) error {
	return health.Resolves(ctx, layout.DNSAddress+":53", "kubernetes.default.svc."+layout.ClusterDomain+".", layout.APIAddress)
}

// metricsCheck is the one check that a young cluster may fail.
const metricsCheck = "metrics API"

// check is one thing that must be true of a cluster that is up.
type check struct {
	name string
	ask  func(context.Context) error
}

// checks lists all of them.
func (c *Cluster) checks(api *kube.Client, pid int) []check {
	list := []check{
		{parts.Containerd, func(ctx context.Context) error { return c.runtimeAnswers(ctx, pid) }},
		{parts.APIServer, api.Ready},
	}
	for _, part := range parts.Names() {
		if _, ok := healthPages[part]; ok {
			list = append(list, check{part, func(ctx context.Context) error { return page(ctx, part) }})
		}
	}
	return append(list,
		check{"node " + layout.NodeName, func(ctx context.Context) error { return api.NodeReady(ctx, layout.NodeName) }},
		check{"name server", names},
		check{metricsCheck, func(ctx context.Context) error { return api.MetricsOf(ctx, layout.NodeName) }},
		check{addons.CoreDNS, func(ctx context.Context) error {
			return api.DeploymentAvailable(ctx, addons.Namespace, addons.CoreDNS)
		}},
	)
}
