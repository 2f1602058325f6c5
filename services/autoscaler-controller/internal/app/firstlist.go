package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

// How long is waited for the first list of everything until an error says what may be in the way, and how often it is
// said again.
const (
	firstListTime  = 10 * time.Second
	firstListAgain = time.Minute
)

// awaitFirstList says what may be in the way while the first list does not come. Nothing is decided until then, and
// whoever has a NetworkPolicy with the wrong port of the API server has nothing else to go by.
func awaitFirstList(ctx context.Context, log *slog.Logger, missing func() string, namespace, server string) {
	for wait := firstListTime; retry.Pause(ctx, wait); wait = firstListAgain {
		what := missing()
		if what == "" {
			return
		}
		log.ErrorContext(ctx, firstListMissing(namespace, what, server))
	}
}

func firstListMissing(namespace, missing, server string) string {
	return fmt.Sprintf("the Kubernetes API server at %s has not answered yet with %s: nothing is decided until it has. "+
		"Where the network enforces NetworkPolicies, look whether autoscaler-controller in the namespace %s lets this pod out to the API server's own port: "+
		"by default 443 and 6443; in the Helm chart networkPolicy.apiServer.ports, else the ports of that policy's rule for the API server. "+
		"Else the warnings before this one say what is wrong", server, missing, namespace)
}
