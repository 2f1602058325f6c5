// Package cluster is the adapter to Kubernetes, and the only place that knows it: it watches
// (CustomAutoscalers, Deployments, Pods, EndpointSlices, Services, and who else scales) and turns what it sees into
// observations for the fleet; it scales through the /scale subresource and nothing else; it writes
// status and events; it holds the Lease; and it passes the calls of people on custom resources to
// the API server with their own token.
//
// It decides nothing. What it watches it keeps when the API server goes away, so that what was
// known goes on being served.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Resource is the CustomAutoscaler as Kubernetes knows it.
var Resource = schema.GroupVersionResource{Group: "autoscaler-group.autoscaler", Version: "v1alpha1", Resource: "customautoscalers"}

// Kind is its kind.
const Kind = "CustomAutoscaler"

const (
	// callTimeout is for one call to the API server that is not a watch.
	callTimeout = 5 * time.Second
	qps         = 200
	burst       = 400
)

// Clients are the connections to the API server.
type Clients struct {
	Config  *rest.Config
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	scale   rest.Interface // apps/v1; never throttled, traced
}

// Config finds the API server: by the kubeconfig file if one is named, else as a pod does.
func Config(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		c, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("neither in a pod nor with a kubeconfig: %w", err)
		}
		return c, nil
	}
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return c, nil
}

// Connect makes the clients. It does not speak to the API server yet.
func Connect(config *rest.Config, version string) (*Clients, error) {
	base := rest.CopyConfig(config)
	base.QPS, base.Burst = qps, burst
	base.UserAgent = "nemesis-autoscaler-controller/" + version

	typed := rest.CopyConfig(base)
	typed.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	typed.ContentType = "application/vnd.kubernetes.protobuf"
	kube, err := kubernetes.NewForConfig(typed)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(base)
	if err != nil {
		return nil, fmt.Errorf("dynamic client: %w", err)
	}
	// A start must not queue behind anything else, and its patch belongs into its trace.
	fast := rest.CopyConfig(base)
	fast.QPS = -1
	fast.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(next, otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			return "kubernetes " + r.Method + " scale"
		}))
	})
	scale, err := kubernetes.NewForConfig(fast)
	if err != nil {
		return nil, fmt.Errorf("scale client: %w", err)
	}
	return &Clients{Config: base, kube: kube, dynamic: dyn, scale: scale.AppsV1().RESTClient()}, nil
}

// Options are what the adapter needs beside the clients.
type Options struct {
	Clients   *Clients
	Log       *slog.Logger
	Namespace string // watched; "" is all
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}
