package httpapi

import (
	"math"
	"strings"
	"time"
)

const (
	maxError   = 1024             // bytes of an error text that the contract has
	retryEmpty = 30 * time.Second // what cannot be measured now needs a change of the pod
)

func cut(s string) string {
	if len(s) <= maxError {
		return s
	}
	return strings.ToValidUTF8(s[:maxError-len("…")], "") + "…"
}

func join(reasons []string) string { return strings.Join(reasons, "; ") }

func int32of(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
