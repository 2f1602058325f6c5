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
}

// nowhere is a kubeconfig of an API server that is not there.
const nowhere = `apiVersion: v1
kind: Config
clusters: [{name: x, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: x, context: {cluster: x}}]
current-context: x
`

func start(path string) (*controller, error) {
	folder, err := os.MkdirTemp("", "bench-pushes")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(config, []byte(nowhere), 0o600); err != nil {
		return nil, err
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := process.Start(process.Options{
		Path: path, Args: []string{"-listen", address, "-kubeconfig", config, "-log-level", "error"},
		Env: []string{"GOMAXPROCS=1", "NEMESIS_IDENTITY=bench"}, Dir: folder, Out: filepath.Join(folder, "out"),
	})
	if err != nil {
		return nil, err
	}
	c := &controller{address: address, process: p, folder: folder}
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
		if err := newPusher(scenario{items: 1}, i).over(conn); err != nil {
			return 0, err
		}
	}
	after, err := c.process.RSS()
	return float64(after-before) / float64(n), err
}
