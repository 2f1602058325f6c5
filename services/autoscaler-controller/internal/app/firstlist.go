package app

import (
	"context"
	"fmt"
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
func (a *App) awaitFirstList(ctx context.Context) {
	for wait := firstListTime; retry.Pause(ctx, wait); wait = firstListAgain {
		missing := a.watcher.Missing()
		if missing == "" {
			return
		}
		a.log.ErrorContext(ctx, firstListMissing(a.namespace, missing, a.apiServer))
	}
}

func firstListMissing(namespace, missing, server string) string {
	return fmt.Sprintf("the Kubernetes API server at %s has not answered yet with %s: nothing is decided until it has. "+
		"Where the network enforces NetworkPolicies, look whether autoscaler-controller in the namespace %s lets this pod out to the API server's own port: "+
		"by default 443 and 6443; in the Helm chart networkPolicy.apiServer.ports, else the ports of that policy's rule for the API server. "+
		"Else the warnings before this one say what is wrong", server, missing, namespace)
}
