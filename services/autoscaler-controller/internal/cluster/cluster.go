// Package cluster is the adapter to what is scaled: it watches (CustomAutoscalers, Deployments, Pods,
// EndpointSlices, Services, who else scales, and the load balancers' pods) and turns what it sees into
// observations for the fleet; it scales through the /scale subresource and nothing else; it marks the pods
// that are to go, writes status and events, and reads what pods use.
//
// It decides nothing. What it watches it keeps when the API server goes away, so that what was known goes
// on being served. The Lease, the load balancers' settings and the calls of people on custom resources have
// adapters of their own beside it: election, settings, apiproxy.
package cluster

import (
	"log/slog"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Resource is the CustomAutoscaler as Kubernetes knows it.
var Resource = kube.CustomAutoscalers

// Kind is its kind.
const Kind = "CustomAutoscaler"

// Options are what the adapter needs beside the clients.
type Options struct {
	Clients   *kube.Clients
	Log       *slog.Logger
	Namespace string // watched; "" is all
}
