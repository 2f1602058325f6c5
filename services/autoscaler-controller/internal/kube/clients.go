// Package kube is the connection to the API server, which the adapters to Kubernetes share: the clients,
// how long a call may take, how a watch is made, how an event is sent, and how the API server's word is
// read when it refuses. What is asked of it, and why, stands in the adapters.
package kube

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// CallTimeout is for one call to the API server that is not a watch.
	CallTimeout = 5 * time.Second
	qps         = 200
	burst       = 400
)

// Clients are the connections to the API server.
type Clients struct {
	Config  *rest.Config
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
	Scale   rest.Interface           // apps/v1; never throttled, traced
	Events  typedcorev1.EventsGetter // throttled by itself, so that nothing else waits for it

	Autoscalers *RawClient // CustomAutoscalers
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
	typedClient, err := kubernetes.NewForConfig(typed)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(base)
	if err != nil {
		return nil, fmt.Errorf("dynamic client: %w", err)
	}
	autoscalers, err := NewRawClient(base, CustomAutoscalers)
	if err != nil {
		return nil, fmt.Errorf("client of CustomAutoscalers: %w", err)
	}
	telling := rest.CopyConfig(typed)
	telling.QPS, telling.Burst = eventQPS, eventBurst
	events, err := typedcorev1.NewForConfig(telling)
	if err != nil {
		return nil, fmt.Errorf("events client: %w", err)
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
	return &Clients{Config: base, Typed: typedClient, Dynamic: dyn, Scale: scale.AppsV1().RESTClient(), Events: events, Autoscalers: autoscalers}, nil
}

// Bounded gives a call that is not a watch its time.
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, CallTimeout)
}
