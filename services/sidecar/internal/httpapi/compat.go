package httpapi

import (
	"math"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/lean/sidecar"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

const (
	maxError   = 1024             // bytes of an error text that the contract has
	maxModel   = 253              // bytes of a model's name
	maxReason  = 512              // bytes of a reason why something could not be read
	maxUnread  = 32               // of them
	retryEmpty = 30 * time.Second // what cannot be measured now needs a change of the pod
)

func cut(s string) string { return cutAt(maxError, s) }

func cutAt(most int, s string) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// application is whose page was read; nil when none was.
func application(a pod.Application) *sidecar.Application {
	if a.Server == "" && len(a.Unread) == 0 {
		return nil
	}
	out := &sidecar.Application{
		Models: list(a.Models, len(a.Models), maxModel), Unread: list(a.Unread, maxUnread, maxReason),
	}
	if a.Server != "" {
		out.Server = &a.Server
	}
	if a.Version != "" {
		out.KnownFrom = &a.Version
	}
	if a.MoreModels > 0 {
		out.MoreModels = new(int32of(a.MoreModels))
	}
	return out
}

// list is so many of the texts, each no longer than most; nil when there are none.
func list(texts []string, n, most int) *[]string {
	if len(texts) == 0 {
		return nil
	}
	out := make([]string, min(len(texts), n))
	for i := range out {
		out[i] = cutAt(most, texts[i])
	}
	return &out
}

func join(reasons []string) string { return strings.Join(reasons, "; ") }

func int32of(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
