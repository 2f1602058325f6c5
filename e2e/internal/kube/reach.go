package kube

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
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
	address := net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(port))
	dialer := net.Dialer{Timeout: reachWithin}
	if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
		return "http://" + address, conn.Close()
	}
	return forward(ctx, namespace, name, port)
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
