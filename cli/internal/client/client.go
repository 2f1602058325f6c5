// Package client reaches the controller and the load balancers for a person: with the credentials and the context of
// kubectl, by the API server's proxy, by a forwarded port or by an address. What it gets is of the generated types;
// how it looks is others' business.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

// Options say how Nemesis is reached, and as whom.
type Options struct {
	Kubeconfig, Context string
	Namespace           string        // of the applications; empty: the context's
	System              string        // where Nemesis runs
	Controller          string        // its address; empty: by the API server
	Balancers           []string      // addresses of admin ports; empty: by the API server
	CA                  string        // a file; empty: the ConfigMap nemesis-ca
	Token               string        // in place of the kubeconfig's credentials
	ServiceAccount      string        // [namespace/]name whose token is made and shown to Nemesis
	Forward             bool          // ports are forwarded, as by kubectl port-forward
	Timeout             time.Duration // of each call
}

// What the services are called, and where they answer people.
const (
	controllerService = "autoscaler-controller"
	controllerPort    = "8080"
	balancerService   = "load-balancer"
	balancerPort      = "8081"
)

// Nemesis is an installation, as one person reaches it. It is used by any number of goroutines.
type Nemesis struct {
	options    Options
	kubeconfig clientcmd.ClientConfig

	lock       sync.Mutex
	config     *rest.Config
	kubernetes *http.Client
	token      *accountToken
	ways       map[place]way
	forwards   []func()
}

// New is the installation that the options lead to. Nothing is asked yet.
func New(o Options) (*Nemesis, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
	if o.Token != "" && o.ServiceAccount != "" {
		return nil, &UsageError{"--token and --service-account both say who you are: give one of them"}
	}
	for _, address := range append([]string{o.Controller}, o.Balancers...) {
		if err := mayCarryToken(address); err != nil {
			return nil, err
		}
	}
	return &Nemesis{options: o, kubeconfig: clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), ways: map[place]way{}}, nil
}

// UsageError is a fault of the command line.
type UsageError struct{ Message string }

func (u *UsageError) Error() string { return u.Message }

// Close ends what was begun: forwarded ports.
func (n *Nemesis) Close() {
	n.lock.Lock()
	defer n.lock.Unlock()
	for _, stop := range n.forwards {
		stop()
	}
	n.forwards = nil
}

// Namespace is the one that is meant when none is said.
func (n *Nemesis) Namespace() string {
	namespace, _, err := n.kubeconfig.Namespace()
	if err != nil || namespace == "" {
		return cmp.Or(n.options.Namespace, "default")
	}
	return namespace
}

// System is the namespace where Nemesis runs.
func (n *Nemesis) System() string { return n.options.System }

// Config is how the API server is reached.
func (n *Nemesis) Config() (*rest.Config, error) {
	n.lock.Lock()
	defer n.lock.Unlock()
	return n.restConfig()
}

func (n *Nemesis) restConfig() (*rest.Config, error) {
	if n.config != nil {
		return n.config, nil
	}
	config, err := n.kubeconfig.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, &UsageError{"there is no kubeconfig: set KUBECONFIG or --kubeconfig, or give --controller and --token"}
		}
		return nil, &UsageError{fmt.Sprintf("the kubeconfig cannot be used: %v", err)}
	}
	if n.options.Token != "" {
		config = rest.AnonymousClientConfig(config)
		config.BearerToken = n.options.Token
	}
	config.Timeout, config.UserAgent = n.options.Timeout, "nemesis"
	config.QPS, config.Burst = 50, 100
	n.config = config
	return config, nil
}

// Kubernetes is the API server itself.
func (n *Nemesis) Kubernetes() (dynamic.Interface, error) {
	config, err := n.Config()
	if err != nil {
		return nil, err
	}
	return dynamic.NewForConfig(config)
}

// Controller is the controller's API.
func (n *Nemesis) Controller(ctx context.Context) (*autoscaler.ClientWithResponses, error) {
	way, err := n.toController(ctx)
	if err != nil {
		return nil, err
	}
	return autoscaler.NewClientWithResponses(way.url, autoscaler.WithHTTPClient(way.http))
}

func (n *Nemesis) toController(ctx context.Context) (way, error) {
	return n.way(ctx, n.options.Controller, target{service: controllerService, port: controllerPort})
}

// Autoscalers is where CustomAutoscalers are read and written: the API server, or the controller where its address
// was given, so that it is one identity that asks.
func (n *Nemesis) Autoscalers(ctx context.Context) (*autoscaler.ClientWithResponses, error) {
	if n.options.Controller != "" {
		return n.Controller(ctx)
	}
	way, err := n.toKubernetes()
	if err != nil {
		return nil, err
	}
	return autoscaler.NewClientWithResponses(way.url, autoscaler.WithHTTPClient(way.http))
}

// Balancer is the admin API of one load balancer.
type Balancer struct {
	*loadbalancer.ClientWithResponses
	Name string // its pod or address; empty: whichever the Service leads to
	way  way
}

// Balancer is the admin API of some load balancer: for what all of them know alike.
func (n *Nemesis) Balancer(ctx context.Context) (Balancer, error) {
	address := ""
	if len(n.options.Balancers) > 0 {
		address = n.options.Balancers[0]
	}
	return n.balancer(ctx, address, "")
}

// Balancers are all load balancers, for what each knows alone. Whoever may not list their pods gets the one that the
// Service leads to, and whole is false.
func (n *Nemesis) Balancers(ctx context.Context) (all []Balancer, whole bool, err error) {
	if len(n.options.Balancers) > 0 {
		for _, address := range n.options.Balancers {
			one, err := n.balancer(ctx, address, "")
			if err != nil {
				return nil, false, err
			}
			all = append(all, one)
		}
		return all, true, nil
	}
	names, err := n.readyPods(ctx, balancerService)
	if err != nil && !Forbidden(err) {
		return nil, false, err
	}
	if len(names) == 0 {
		one, err := n.Balancer(ctx)
		if err != nil {
			return nil, false, err
		}
		return []Balancer{one}, false, nil
	}
	for _, name := range names {
		one, err := n.balancer(ctx, "", name)
		if err != nil {
			return nil, false, err
		}
		all = append(all, one)
	}
	return all, true, nil
}

func (n *Nemesis) balancer(ctx context.Context, address, pod string) (Balancer, error) {
	way, err := n.way(ctx, address, target{service: balancerService, pod: pod, port: balancerPort})
	if err != nil {
		return Balancer{}, err
	}
	client, err := loadbalancer.NewClientWithResponses(way.url, loadbalancer.WithHTTPClient(way.http))
	return Balancer{client, cmp.Or(pod, address), way}, err
}

// mayCarryToken refuses addresses that a token must not go to in clear text.
func mayCarryToken(address string) error {
	switch scheme, rest, ok := strings.Cut(address, "://"); {
	case address == "" || scheme == "https" && rest != "":
		return nil
	case ok && scheme == "http" && loopback(rest):
		return nil
	case ok && scheme == "http":
		return &UsageError{fmt.Sprintf("%s: your token would go there in clear text: https is needed, except to this machine itself", address)}
	default:
		return &UsageError{fmt.Sprintf("%s: an address is written as https://HOST:PORT", address)}
	}
}

var errNoToken = errors.New("your kubeconfig has no token, and Nemesis cannot see a client certificate through the API server")
