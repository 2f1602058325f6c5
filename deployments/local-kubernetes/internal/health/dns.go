package health

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// Resolves asks the name server at server (host:port) for a name and expects the address.
func Resolves(ctx context.Context, server, name, address string) error {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		},
	}
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	if !slices.Contains(addresses, address) {
		return fmt.Errorf("%s resolves to %v, not to %s", name, addresses, address)
	}
	return nil
}
