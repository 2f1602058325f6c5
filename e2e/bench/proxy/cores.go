package main

import (
	"os"
	"strings"
)

// The cores.
const (
	proxyCPU = 0
	loadCPU  = 1
)

// environ is ours without the settings of a load balancer.
func environ() []string {
	var kept []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEMESIS_") {
			kept = append(kept, kv)
		}
	}
	return kept
}
