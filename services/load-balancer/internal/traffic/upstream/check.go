package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// maxProbeBody bounds how much of a check's answer is read.
const maxProbeBody = 10 << 10

// checkAll repeats every readiness check of a pod once; nil when all were good, else which was not, from 0
// on. -1 is none of them.
func checkAll(ctx context.Context, address string, probes []routing.Probe, mustConnect bool, patience time.Duration) (bad int, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return -1, fmt.Errorf("address of the pod: %w", err)
	}
	if mustConnect {
		if err := connects(ctx, address, patience); err != nil {
			return -1, err
		}
	}
	for i, probe := range probes {
		if err := check(ctx, host, probe, patience); err != nil {
			return i, err
		}
	}
	return -1, nil
}

func check(ctx context.Context, host string, probe routing.Probe, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, max(probe.Timeout, 100*time.Millisecond))
	defer cancel()
	address := net.JoinHostPort(host, strconv.Itoa(probe.Port))
	if probe.TCP {
		return connects(ctx, address, patience)
	}
	return answers(ctx, address, probe, patience)
}

func connects(ctx context.Context, address string, patience time.Duration) error {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// answers asks as the kubelet does: any status from 200 to 399 is good, the certificate is not
// verified (a pod's own certificate names no IP), and each check has a connection of its own.
func answers(ctx context.Context, address string, probe routing.Probe, patience time.Duration) error {
	target, err := url.Parse(probe.Path)
	if err != nil {
		return fmt.Errorf("path of the check: %w", err)
	}
	target.Scheme, target.Host = "http", address
	if probe.HTTPS {
		target.Scheme = "https"
	}
	if target.Path == "" {
		target.Path = "/"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "nemesis-load-balancer-probe")
	r.Host = probe.Host
	for _, h := range probe.Headers {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			r.Host = h.Value
			continue
		}
		r.Header.Add(h.Name, h.Value)
	}
	transport := &http.Transport{
		DialContext:       (&net.Dialer{Timeout: patience}).DialContext,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // G402: as the kubelet does; no secret is sent
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxProbeBody)) // so that the pod sees no reset
	if answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the check answered %d", answer.StatusCode)
	}
	return nil
}
