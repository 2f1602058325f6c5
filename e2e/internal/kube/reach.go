package kube

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// reachWithin is how long a Service's own address is tried before kubectl forwards a port.
const reachWithin = 2 * time.Second

var forwarded = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)

// ServiceURL is how a port of a Service is reached from here: what the environment variable says,
// else its cluster address when that answers (on the local cluster it does), else a port that
// kubectl forwards until ctx ends.
func (c *Cluster) ServiceURL(ctx context.Context, namespace, name string, port int, variable string) (string, error) {
	if url := os.Getenv(variable); url != "" {
		return url, nil
	}
	var service struct {
		Spec struct {
			ClusterIP string `json:"clusterIP"`
		} `json:"spec"`
	}
	if err := c.Do(ctx, http.MethodGet, fmt.Sprintf("/api/v1/namespaces/%s/services/%s", namespace, name), "application/json", nil, &service); err != nil {
		return "", err
	}
	scheme := "http://"
	if secured[fmt.Sprintf("%s:%d", name, port)] {
		scheme = "https://"
		if err := c.trust(ctx, namespace); err != nil {
			return "", err
		}
	}
	address := net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(port))
	dialer := net.Dialer{Timeout: reachWithin}
	if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
		return scheme + address, conn.Close()
	}
	forwarded, err := forward(ctx, namespace, name, port)
	return scheme + strings.TrimPrefix(forwarded, "http://"), err
}

// secured are the ports of Nemesis that speak TLS.
var secured = map[string]bool{"autoscaler-controller:8080": true, "load-balancer:8081": true, "metrics-collector:8080": true}

var trusting sync.Once

// trust has the process's own HTTP clients verify the services by the authority that the controller publishes.
// By which name they are called is not looked at: their certificates have neither a ClusterIP nor an address
// from which a port is forwarded.
func (c *Cluster) trust(ctx context.Context, namespace string) error {
	var published struct {
		Data map[string]string `json:"data"`
	}
	if err := c.Do(ctx, http.MethodGet, fmt.Sprintf("/api/v1/namespaces/%s/configmaps/nemesis-ca", namespace), "application/json", nil, &published); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(published.Data["ca.crt"])) {
		return errors.New("the ConfigMap nemesis-ca has no certificate")
	}
	trusting.Do(func() {
		if own, ok := http.DefaultTransport.(*http.Transport); ok {
			own.TLSClientConfig = &tls.Config{
				MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, //nolint:gosec // G402: verified below
				VerifyConnection: func(s tls.ConnectionState) error {
					_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
					return err
				},
			}
		}
	})
	return nil
}

func forward(ctx context.Context, namespace, name string, port int) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", "-n", namespace, "port-forward", "service/"+name, ":"+strconv.Itoa(port)) //nolint:gosec // G204: the arguments are ours
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("kubectl port-forward: %w", err)
	}
	go func() { _ = cmd.Wait() }() // it ends with ctx
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("kubectl port-forward service/%s: %w", name, err)
	}
	match := forwarded.FindStringSubmatch(line)
	if match == nil {
		return "", fmt.Errorf("kubectl port-forward service/%s said %q", name, line)
	}
	return "http://127.0.0.1:" + match[1], nil
}
