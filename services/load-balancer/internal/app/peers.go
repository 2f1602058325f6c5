package app

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/peers"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// announceTime bounds how long the other load balancers are told of an end.
const announceTime = time.Second

// peerPort is where other load balancers come, and the way to them. Nil is none.
type peerPort struct {
	peers  *peers.Peers
	server *httpserver.Server
	host   string
}

// openPeers takes the port at once, where other load balancers can reach it at all.
func openPeers(ctx context.Context, a *App) (*peerPort, error) {
	host, _, err := net.SplitHostPort(a.settings.PeerListen)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = ""
	}
	if a.settings.PeerHost != "" {
		host = a.settings.PeerHost
	}
	if host == "" {
		return nil, nil //nolint:nilnil // nil is a port that is not there, and all its methods know that
	}
	p := &peerPort{host: host, peers: peers.New(peers.Options{
		Log: a.log, Registry: a.telemetry.Registry, PollAnew: func() { a.controller.PollAnew() }, Authorities: a.secured.authorities, Wrap: a.identity.token.To("another load balancer"),
		Caller: a.identity.peer,
	})}
	p.server, err = httpserver.Listen(ctx, httpserver.Options{
		Secure: a.secured.secure, Address: a.settings.PeerListen, Log: a.log, Handler: httpserver.Recover(a.log)(p.peers.Handler()), DrainTimeout: announceTime,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// address is where the others reach it; "" is nowhere.
func (p *peerPort) address() string {
	if p == nil {
		return ""
	}
	_, port, err := net.SplitHostPort(p.server.Addr().String())
	if err != nil {
		return ""
	}
	return net.JoinHostPort(p.host, port)
}

func (p *peerPort) join(o *dispatch.Options) {
	if p != nil {
		o.Peers = p.peers
	}
}

func (p *peerPort) attach(d *dispatch.Dispatcher) {
	if p != nil {
		p.peers.Attach(d)
	}
}

// run serves until ctx ends.
func (p *peerPort) run(ctx context.Context) {
	if p == nil {
		return
	}
	var links sync.WaitGroup
	defer links.Wait()
	links.Go(func() { p.peers.Run(ctx) })
	_ = p.server.Run(ctx) // what it could say is that an exchange was cut short, and those are said again
}

// leave has the others lend what this one does: it drains.
func (p *peerPort) leave(ctx context.Context, d *dispatch.Dispatcher) {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	d.Leave()
	p.peers.Announce(ctx, false)
}

// end tells the others that this one will never act again.
func (p *peerPort) end(ctx context.Context) {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	p.peers.Announce(ctx, true)
}

// close gives up the port, when the load balancer cannot be made.
func (p *peerPort) close() {
	if p == nil {
		return
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.server.Run(ended)
}

// lends notes that this load balancer lends an application's slots.
func (a *App) lends(app routing.Application, unknown bool) {
	a.log.Info("slots of its pods are lent from here", "application", app.String(), "unknown_before", unknown)
}
