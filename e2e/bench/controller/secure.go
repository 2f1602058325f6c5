package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/drivers"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

const (
	trustedWithin = time.Minute
	trustAgain    = 50 * time.Millisecond
)

// secure is how a controller is called that is secured, as soon as what it shows can be verified by what it publishes;
// nil: this one speaks clear text.
func (b *bench) secure(ctx context.Context, address string) (*drivers.Secured, error) {
	if !b.build.secured {
		return nil, nil //nolint:nilnil // that is how clear text is said
	}
	ctx, cancel := context.WithTimeout(ctx, trustedWithin)
	defer cancel()
	for {
		authority, err := b.authority(ctx)
		if err == nil {
			err = shake(ctx, authority, address)
		}
		if err == nil {
			return &drivers.Secured{Authority: authority, Tokens: b.server.Tokens}, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the controller cannot be verified after %s: %w", trustedWithin, err)
		}
		pause(ctx, trustAgain)
	}
}

// authority is what the controller publishes for those who call it.
func (b *bench) authority(ctx context.Context) (*x509.CertPool, error) {
	raw, err := b.server.Do(ctx, apiserver.Call{Method: "GET", Path: "/api/v1/namespaces/" + objects.System + "/configmaps/nemesis-ca"})
	if err != nil {
		return nil, err
	}
	var published struct{ Data map[string]string }
	if err := json.Unmarshal(raw, &published); err != nil {
		return nil, err
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM([]byte(published.Data["ca.crt"])) {
		return nil, errors.New("the ConfigMap nemesis-ca has no certificate")
	}
	return authority, nil
}

func shake(ctx context.Context, authority *x509.CertPool, address string) error {
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: authority, MinVersion: tls.VersionTLS13}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
