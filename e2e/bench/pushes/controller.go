package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

// controller is one that is measured.
type controller struct {
	address string
	process *process.Process
	folder  string
	issuer  *issuer
	pushers []*pusher // of each worker, who goes on where he was
}

// clearText has the controller take pushes without TLS, as the earlier build does, which takes no notice of it.
const clearText = "NEMESIS_CLEAR_TEXT=true"

// kubeconfig is one of an API server that has nothing but the issuer's keys.
const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: x, cluster: {server: "http://%s"}}]
contexts: [{name: x, context: {cluster: x}}]
current-context: x
`

func start(path string, s scenario, keys *issuer) (*controller, error) {
	folder, err := os.MkdirTemp("", "bench-pushes")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(config, fmt.Appendf(nil, kubeconfig, keys.address), 0o600); err != nil {
		return nil, err
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	args := []string{"-listen", address, "-kubeconfig", config, "-log-level", "error"}
	switch {
	case s.before: // it knows no tokens
	case s.tokens == none:
		args = append(args, "-authentication", "optional")
	default:
		args = append(args, "-authentication", "required", "-collector-accounts", collector)
	}
	p, err := process.Start(process.Options{
		Path: path, Args: args,
		Env: []string{"GOMAXPROCS=1", "NEMESIS_IDENTITY=bench", clearText}, Dir: folder, Out: filepath.Join(folder, "out"),
	})
	if err != nil {
		return nil, err
	}
	c := &controller{address: address, process: p, folder: folder, issuer: keys}
	for w := range workers {
		c.pushers = append(c.pushers, c.pusher(s, w))
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		if err = c.healthy(); err == nil {
			return c, p.Settle()
		}
		if p.Ending() || time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(folder, "out")) //nolint:gosec // G304: of its own folder
			c.stop()
			return nil, fmt.Errorf("%s does not serve: %w\n%s", path, err, said)
		}
		time.Sleep(20 * time.Millisecond) // of a measurement, not of a test
	}
}

// pusher is the n-th of the workers.
func (c *controller) pusher(s scenario, n int) *pusher {
	var signed []string
	switch {
	case s.tokens == none:
	case s.items > 1:
		signed = []string{c.issuer.collectors[s.tokens]}
	case s.first:
		signed = c.issuer.tokens(s.tokens, often)
	default:
		signed = c.issuer.tokens(s.tokens, 1)
	}
	return newPusher(s, n*pods/workers, signed)
}

func (c *controller) healthy() error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+c.address+"/healthz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

func (c *controller) stop() {
	_ = c.process.Stop()
	_ = os.RemoveAll(c.folder)
}

// memory is what a kept connection costs, in bytes of the controller's.
func (c *controller) memory(n int) (float64, error) {
	before, err := c.process.RSS()
	if err != nil {
		return 0, err
	}
	connections := make([]net.Conn, 0, n)
	defer func() {
		for _, conn := range connections {
			_ = conn.Close()
		}
	}()
	for i := range n {
		conn, err := dial(c.address)
		if err != nil {
			return 0, err
		}
		connections = append(connections, conn)
		if err := newPusher(scenario{items: 1}, i, nil).over(conn); err != nil {
			return 0, err
		}
	}
	after, err := c.process.RSS()
	return float64(after-before) / float64(n), err
}
