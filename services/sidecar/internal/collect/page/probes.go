package page

import (
	"path"
	"strings"
)

// labels tell samples by their labels: each that is named must be there with such a value, in the
// patterns of path.Match.
type labels map[string]string

func (l labels) match(m metric) bool {
	found := 0
	for _, label := range m.labels {
		if pattern, ok := l[label.name]; ok {
			if like, err := path.Match(pattern, label.value); err != nil || !like {
				return false
			}
			found++
		}
	}
	return found == len(l)
}

// ofPath are the labels under which servers show a request's path.
var ofPath = map[string]bool{
	"handler": true, "path": true, "route": true, "uri": true, "url": true, "endpoint": true,
	"http_route": true, "http_target": true, "url_path": true,
}

// probes are the paths of requests that no client made: those of the kubelet, of Prometheus, of load
// balancers and of this program. They are quick and steady, and would hide both slow answers and idleness.
var probes = set(
	"/metrics", "/health", "/healthz", "/ready", "/readyz", "/live", "/livez", "/ping", "/is_sleeping",
	"/health/live", "/health/ready", "/health/liveness", "/health/readiness", "/health_generate",
	"/-/healthz", "/-/routes", // Ray Serve
	"/actuator/prometheus", "/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness", // Spring
	"/v2/health/live", "/v2/health/ready", // the Open Inference Protocol
)

// probesOfModels are those that name a model, the patterns of path.Match.
var probesOfModels = []string{"/v2/models/*/ready", "/v2/models/*/versions/*/ready"}

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, name := range names {
		out[name] = true
	}
	return out
}

func ofProbe(m metric) bool {
	for _, label := range m.labels {
		if ofPath[label.name] && isProbe(label.value) {
			return true
		}
	}
	return false
}

func isProbe(target string) bool {
	target, _, _ = strings.Cut(target, "?")
	target = "/" + strings.Trim(target, "/")
	if probes[target] {
		return true
	}
	for _, pattern := range probesOfModels {
		if like, err := path.Match(pattern, target); err == nil && like {
			return true
		}
	}
	return false
}

// tellsPaths tells that probes are told apart among these samples.
func tellsPaths(metrics []metric) bool {
	for _, m := range metrics {
		for _, label := range m.labels {
			if ofPath[label.name] {
				return true
			}
		}
	}
	return false
}
