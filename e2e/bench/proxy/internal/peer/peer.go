// Package peer knows the proxies that are compared: how each is configured (the folder config), started
// and stopped. All of them get one core, keep their connections to the backend, and add
// X-Forwarded-For; where one has a log, it is an access log with the same facts, one line a request.
package peer

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
)

//go:embed config
var configs embed.FS

const readyWithin = 30 * time.Second

// Proxy is one kind of proxy, in one configuration.
type Proxy interface {
	Name() string
	// Configure writes what the proxy reads, and says how it is started.
	Configure(Site) (Command, error)
}

// Command starts a proxy.
type Command struct {
	Path  string
	Args  []string
	Env   []string
	Log   string // file, or folder of files
	Admin bool   // it shows its allocations

	TLS     bool // it serves HTTPS
	H2      bool // it serves HTTP/2 in clear, and speaks it to the backend
	OnePort bool // it does so where it serves HTTP/1.1
	Streams bool // it passes on answers without end, and WebSockets
	Wakes   bool // requests wait for an application without pods
}

// Running is a proxy that serves.
type Running struct {
	*process.Process
	Name    string
	Command Command
	Plain   netip.AddrPort
	TLS, H2 netip.AddrPort
	Admin   string
}

// Start configures and starts a proxy in a folder of its own, and waits until it passes requests on.
func Start(ctx context.Context, p Proxy, s Site) (r *Running, err error) {
	s.Dir = filepath.Join(s.Dir, p.Name())
	if err := errors.Join(os.RemoveAll(s.Dir), os.MkdirAll(s.Dir, 0o700)); err != nil {
		return nil, err
	}
	for _, listen := range []*string{&s.Listen, &s.ListenTLS, &s.ListenH2, &s.ListenAdmin} {
		if *listen, err = free(ctx); err != nil {
			return nil, err
		}
	}
	s.Root = os.Getuid() == 0
	c, err := p.Configure(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	out := filepath.Join(s.Dir, "out")
	proc, err := process.Start(process.Options{Path: c.Path, Args: c.Args, Env: c.Env, Dir: s.Dir, CPU: s.CPU, Out: out})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name(), err)
	}
	r = &Running{
		Process: proc, Name: p.Name(), Command: c, Admin: s.ListenAdmin,
		Plain: netip.MustParseAddrPort(s.Listen), TLS: netip.MustParseAddrPort(s.ListenTLS), H2: netip.MustParseAddrPort(s.ListenH2),
	}
	if c.OnePort {
		r.H2 = r.Plain
	}
	if err = errors.Join(r.await(ctx), r.Settle()); err != nil {
		said, _ := os.ReadFile(out) //nolint:gosec // G304: our own file
		return nil, errors.Join(fmt.Errorf("%s: %w; it said: %s", p.Name(), err, said[max(0, len(said)-1000):]), r.Stop())
	}
	return r, nil
}

// await waits until a request gets through.
func (r *Running) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := load.Run(ctx, load.Plan{Addr: r.Plain, Connections: 1, Request: load.Post(load.Prefix + "/echo"), For: time.Millisecond})
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-r.Ended():
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no request gets through: %w", err)
		}
	}
}

// free is an address that nobody listens at.
func free(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// write fills in a template of the folder config, and returns where the file is.
func write(s Site, name string) (string, error) {
	t, err := template.ParseFS(configs, "config/"+name)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name)
	return path, os.WriteFile(path, b.Bytes(), 0o600)
}
