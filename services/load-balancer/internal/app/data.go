package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/certificates"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/http1"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/http2"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/listener"
)

// clientTimeout is how long a client's system may acknowledge nothing.
const clientTimeout = 60 * time.Second

// dataPort is where clients come: in clear, and over TLS where there are certificates.
type dataPort struct {
	server       *http1.Server
	http2        *http2.Server
	hangups      *link.Hangups
	listeners    []net.Listener // the first one is in clear
	certificates *certificates.Store
	draining     atomic.Bool
}

// openDataPort takes the ports at once, so that one that is in use fails before anything starts.
func openDataPort(ctx context.Context, a *App) (d *dataPort, err error) {
	d = &dataPort{}
	defer func(opened *dataPort) {
		if err != nil {
			opened.close()
		}
	}(d)
	if d.hangups, err = link.NewHangups(); err != nil {
		return nil, err
	}
	d.http2 = http2.New(http2.Options{
		Handler: a.proxy, Log: a.log, WriteIdle: a.settings.StreamIdleTimeout, IdleTimeout: a.settings.IdleTimeout,
		HeadTimeout: a.settings.HeadTimeout,
	})
	d.server = http1.New(http1.Options{
		Handler: a.proxy, Gate: a.gate, Hangups: d.hangups, Log: a.log, WriteIdle: a.settings.StreamIdleTimeout,
		IdleTimeout: a.settings.IdleTimeout, HeadTimeout: a.settings.HeadTimeout,
		HTTP2: func(h http1.Handover) {
			d.http2.ServeConn(&http2.Connection{Net: h.Net, Read: h.Read, Peer: h.Peer, Limit: h.Limit, Idle: h.Idle})
		},
	})
	o := listener.Options{Address: a.settings.DataListen, UserTimeout: clientTimeout}
	if a.settings.Entry.ProxyProtocol != listener.Off {
		var trusted []netip.Prefix
		if trusted, err = a.settings.trusted(); err != nil {
			return nil, err
		}
		o.Headers = listener.NewHeaders(a.settings.Entry.ProxyProtocol, trusted, a.telemetry.Registry)
	}
	if err = d.listen(ctx, o); err != nil || a.settings.Entry.TLSListen == "" {
		return d, err
	}
	pairs, err := a.settings.Entry.Certificates.Pairs()
	if err != nil {
		return nil, err
	}
	if d.certificates, err = certificates.Load(pairs, time.Now(), a.log, a.telemetry.Registry); err != nil {
		return nil, err
	}
	o.Address, o.TLS = a.settings.Entry.TLSListen, d.certificates.Config()
	return d, d.listen(ctx, o)
}

func (d *dataPort) listen(ctx context.Context, o listener.Options) error {
	l, err := listener.Listen(ctx, o)
	if err == nil {
		d.listeners = append(d.listeners, l)
	}
	return err
}

// Addr is where clients come in clear.
func (d *dataPort) Addr() net.Addr { return d.listeners[0].Addr() }

// TLSAddr is where clients come over TLS; nil is nowhere.
func (d *dataPort) TLSAddr() net.Addr {
	if len(d.listeners) < 2 {
		return nil
	}
	return d.listeners[1].Addr()
}

// times are those of the certificates that clients are shown.
func (d *dataPort) times() []httpserver.CertificateTimes {
	if d.certificates == nil {
		return nil
	}
	return encryption.TimesOf("data", d.certificates.InUse()...)
}

// Draining tells whether the port is about to end.
func (d *dataPort) Draining() bool { return d.draining.Load() }

// serve takes connections until drain; it returns why it cannot go on before.
func (d *dataPort) serve(ctx context.Context) error {
	go d.hangups.Run() // until drain closes it
	if d.certificates != nil {
		go d.certificates.Run(ctx)
	}
	ended := make(chan error, len(d.listeners))
	for _, l := range d.listeners {
		go func() { ended <- d.server.Serve(l) }()
	}
	for range d.listeners {
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("serve %s: %w", d.Addr(), err)
		}
	}
	return nil
}

// drain takes connections for lameDuck still, and has each answer say that its connection ends; then
// it takes none, and waits for what is under way until ctx ends.
func (d *dataPort) drain(ctx context.Context, lameDuck time.Duration, ended <-chan error) error {
	d.draining.Store(true)
	d.server.BeginDrain()
	d.http2.BeginDrain()
	timer := time.NewTimer(lameDuck)
	defer timer.Stop()
	var fault error
	select {
	case <-timer.C:
		d.stopTaking()
		fault = <-ended
	case fault = <-ended:
		d.stopTaking()
	}
	going := make(chan struct{})
	go func() { // beside the other one, which knows its connections too, and counts them
		defer close(going)
		d.http2.Shutdown(ctx)
	}()
	cut := d.server.Shutdown(ctx)
	<-going
	if cut > 0 {
		fault = errors.Join(fault, fmt.Errorf("drain %s: %d requests were still in flight at the deadline", d.Addr(), cut))
	}
	d.hangups.Close()
	return fault
}

func (d *dataPort) stopTaking() {
	for _, l := range d.listeners {
		_ = l.Close()
	}
}

// close gives up what was taken, when the port cannot be opened.
func (d *dataPort) close() {
	d.stopTaking()
	if d.hangups != nil {
		d.hangups.Close()
	}
	if d.http2 != nil {
		d.http2.Shutdown(context.Background()) // which has no connection yet
	}
}
