package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
)

// Secure is Run over TLS, without a rate.
func Secure(ctx context.Context, p Plan) (Result, error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	records := make([]record, p.Connections)
	workers := make([]worker, p.Connections)
	for i := range workers {
		c, err := dialTLS(ctx, p.Addr)
		if err != nil {
			return Result{}, err
		}
		defer func() { _ = c.Close() }()
		workers[i] = func(at *phase) error { return secure(c, p.Request, at, &records[i]) }
	}
	took, err := parallel(ctx, p, workers)
	return join(records, took), err
}

func dialTLS(ctx context.Context, addr netip.AddrPort) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{
		ServerName: Host, NextProtos: []string{"http/1.1"}, InsecureSkipVerify: true, //nolint:gosec // G402: the certificate is of this run, and the address loopback
	}}
	c, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	secured, ok := c.(*tls.Conn)
	if !ok {
		return nil, errors.New("no TLS connection")
	}
	return secured, nil
}

func secure(c *tls.Conn, request []byte, at *phase, r *record) error {
	var a answer
	buffer := make([]byte, 64<<10)
	for !at.over.Load() {
		due := backend.Now()
		if err := c.SetDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		if _, err := c.Write(request); err != nil {
			return err
		}
		for done := false; !done; {
			n, err := c.Read(buffer)
			if err != nil {
				return err
			}
			if done, err = a.feed(buffer[:n]); err != nil {
				return err
			}
		}
		r.add(at, due)
	}
	return nil
}
