package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// target is what is reached: a Service, or one pod behind it.
type target struct {
	service, pod, port string
}

func (t target) String() string {
	switch {
	case t.pod != "":
		return "the load balancer " + t.pod
	case t.service == balancerService:
		return "the load balancer"
	default:
		return "the controller"
	}
}

// way is how something is reached: a base address, and who carries the calls there.
type way struct {
	url  string
	http named
}

// place is an address that was given or, without one, a target.
type place struct {
	address string
	to      target
}

// way leads to an address that was given, or to the target by a forwarded port or the API server's proxy. It is found
// once: who goes on looking (--watch) keeps one connection and one forwarded port.
func (n *Nemesis) way(ctx context.Context, address string, to target) (way, error) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if known, ok := n.ways[place{address, to}]; ok {
		return known, nil
	}
	found, err := n.find(ctx, address, to)
	if err == nil {
		n.ways[place{address, to}] = found
	}
	return found, err
}

func (n *Nemesis) find(ctx context.Context, address string, to target) (way, error) {
	switch {
	case address != "":
		return n.straight(ctx, address, "", to)
	case n.options.Forward:
		local, err := n.forward(ctx, to)
		if err != nil {
			return way{}, err
		}
		return n.straight(ctx, local, to.service+"."+n.options.System+".svc", to)
	default:
		return n.proxied(to)
	}
}

// proxied is the way by the API server, which looks at the header Authorization itself and takes it away.
func (n *Nemesis) proxied(to target) (way, error) {
	config, err := n.restConfig()
	if err != nil {
		return way{}, err
	}
	if err := notImpersonated(config); err != nil && n.options.ServiceAccount == "" {
		return way{}, err
	}
	carrying := rest.CopyConfig(config)
	// Innermost, so that it sees what the kubeconfig's ways of authentication, exec plugins among them, have put there.
	carrying.Wrap(func(next http.RoundTripper) http.RoundTripper { return carry{next, n.made(config)} })
	client, err := rest.HTTPClientFor(carrying)
	if err != nil {
		return way{}, err
	}
	base, err := baseURL(config)
	if err != nil {
		return way{}, err
	}
	kind, name := "services", to.service
	if to.pod != "" {
		kind, name = "pods", to.pod
	}
	return way{
		url:  fmt.Sprintf("%s/api/v1/namespaces/%s/%s/https:%s:%s/proxy", base, n.options.System, kind, name, to.port),
		http: named{client, to.String()},
	}, nil
}

// notImpersonated refuses what would not arrive: the API server passes on no --as.
func notImpersonated(config *rest.Config) error {
	if config.Impersonate.UserName == "" {
		return nil
	}
	return &UsageError{fmt.Sprintf("the kubeconfig impersonates %s, which Nemesis is not told: use --service-account or --token", config.Impersonate.UserName)}
}

// carry says to Nemesis who asks, in a header that the API server leaves alone.
type carry struct {
	next http.RoundTripper
	made func(context.Context) (string, error) // nil: the kubeconfig's own token
}

const bearerPrefix = "Bearer "

func (c carry) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	switch {
	case c.made != nil:
		token, err := c.made(r.Context())
		if err != nil {
			return nil, err
		}
		r.Header.Set("Nemesis-Authorization", bearerPrefix+token)
	case strings.HasPrefix(r.Header.Get("Authorization"), bearerPrefix):
		r.Header.Set("Nemesis-Authorization", r.Header.Get("Authorization"))
	default:
		return nil, errNoToken
	}
	return c.next.RoundTrip(r)
}

// straight is the way to an address: the token goes in Authorization, and the certificate is held to the authority.
func (n *Nemesis) straight(ctx context.Context, address, serverName string, to target) (way, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if strings.HasPrefix(address, "https://") {
		pool, err := n.authority(ctx)
		if err != nil {
			return way{}, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: serverName}
	}
	carried, err := n.credentials(transport)
	if err != nil {
		return way{}, err
	}
	return way{strings.TrimRight(address, "/"), named{&http.Client{Transport: carried, Timeout: n.options.Timeout}, to.String()}}, nil
}

// credentials puts into each call who asks.
func (n *Nemesis) credentials(transport http.RoundTripper) (http.RoundTripper, error) {
	if n.options.Token != "" {
		return direct{transport, func(context.Context) (string, error) { return n.options.Token, nil }}, nil
	}
	config, err := n.restConfig()
	if err != nil {
		return nil, err
	}
	if made := n.made(config); made != nil {
		return direct{transport, made}, nil
	}
	if err := notImpersonated(config); err != nil {
		return nil, err
	}
	return rest.HTTPWrappersForConfig(config, tokenNeeded{transport})
}

// direct sends a token.
type direct struct {
	next  http.RoundTripper
	token func(context.Context) (string, error)
}

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := d.token(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", bearerPrefix+token)
	return d.next.RoundTrip(r)
}

// tokenNeeded stands behind what a kubeconfig puts into a call.
type tokenNeeded struct{ next http.RoundTripper }

func (t tokenNeeded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), bearerPrefix) {
		return nil, errNoToken // a password of the API server's is not for others
	}
	return t.next.RoundTrip(r)
}

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// authority is what the services' certificates are verified by: a file, the ConfigMap that the controller publishes,
// or, without a kubeconfig, the system's.
func (n *Nemesis) authority(ctx context.Context) (*x509.CertPool, error) {
	if n.options.CA != "" {
		text, err := os.ReadFile(n.options.CA)
		if err != nil {
			return nil, &UsageError{fmt.Sprintf("--ca: %v", err)}
		}
		return pool(text, n.options.CA)
	}
	config, err := n.restConfig()
	if err != nil {
		return x509.SystemCertPool() // a proxy before the services has a certificate that everybody knows
	}
	kubernetes, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	published, err := kubernetes.Resource(configMaps).Namespace(n.options.System).Get(ctx, "nemesis-ca", metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("the ConfigMap %s/nemesis-ca, by which Nemesis is verified, cannot be read (--ca names a file instead): %w", n.options.System, err)
	}
	text, _, _ := unstructured.NestedString(published.Object, "data", "ca.crt")
	return pool([]byte(text), "the ConfigMap "+n.options.System+"/nemesis-ca")
}

func pool(text []byte, from string) (*x509.CertPool, error) {
	known, err := x509.SystemCertPool()
	if err != nil {
		known = x509.NewCertPool()
	}
	if !known.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate", from)
	}
	return known, nil
}

// named says whom it was that did not answer, and makes errors of refusals: by the API server's proxy these may be the
// API server's own, which the generated clients would take for something else.
type named struct {
	client *http.Client
	who    string
}

// refusalLimit bounds what is read of a refusal.
const refusalLimit = 256 << 10

func (d named) Do(r *http.Request) (*http.Response, error) {
	answer, err := d.send(r)
	if err != nil || answer.StatusCode < http.StatusBadRequest {
		return answer, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, refusalLimit))
	if err != nil {
		return nil, &UnreachableError{Who: d.who, Where: r.URL.Host, Err: err}
	}
	return nil, refusalOf(answer.StatusCode, body)
}

// send returns every answer, also one that is a refusal.
func (d named) send(r *http.Request) (*http.Response, error) {
	answer, err := d.client.Do(r)
	if err == nil {
		return answer, nil
	}
	var usage *UsageError
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		err = wrapped.Err // the address is long and says nothing to people
	}
	switch {
	case errors.As(err, &usage), errors.Is(err, errNoToken), errors.As(err, new(*RefusalError)), errors.Is(r.Context().Err(), context.Canceled):
		return nil, err
	}
	return nil, &UnreachableError{Who: d.who, Where: r.URL.Host, Err: err}
}

// toKubernetes is the way to the API server itself.
func (n *Nemesis) toKubernetes() (way, error) {
	n.lock.Lock()
	defer n.lock.Unlock()
	config, err := n.restConfig()
	if err != nil {
		return way{}, err
	}
	if n.kubernetes == nil {
		if n.kubernetes, err = rest.HTTPClientFor(config); err != nil {
			return way{}, err
		}
	}
	base, err := baseURL(config)
	return way{base, named{n.kubernetes, "the Kubernetes API server"}}, err
}

// baseURL is the API server's address, without a slash at its end.
func baseURL(config *rest.Config) (string, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return "", &UsageError{fmt.Sprintf("the kubeconfig's server: %v", err)}
	}
	return strings.TrimRight(base.String(), "/"), nil
}

// loopback tells whether HOST[:PORT][/…] is this machine.
func loopback(address string) bool {
	host, _, _ := strings.Cut(address, "/")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
