package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// Change is one that somebody made, or tried to make, through the controller. What load balancers and sidecars say, and
// a start, are none.
type Change struct {
	Who       string // the user's name, as Kubernetes has it; "" where nobody had to say it
	Operation string // the contract's
	Resource  string // of which object, as customautoscalers/NAMESPACE/NAME
	Status    int    // with which the change was answered
	// Before and After are the settings; nil: it is not known, or it is the API server that keeps the object.
	Before, After any
}

// Audit takes note of changes.
type Audit interface {
	Changed(ctx context.Context, c Change)
}

// whoTime is how long is waited for the name of who has changed an object: the change is made by then.
const whoTime = 2 * time.Second

// settingsOf are settings as they are written down.
type settingsOf struct {
	Policy         string `json:"policy"`
	MaxConnections int32  `json:"max_connections"`
	TimeoutSeconds int32  `json:"timeout_seconds"`
	Version        uint64 `json:"version,omitempty"`
}

func asWritten(s fleet.BalancerSettings) settingsOf {
	return settingsOf{s.Policy, s.MaxConnections, wholeSeconds(s.Timeout), s.Version}
}

// changedSettings takes note of settings that were asked for; after is nil where they were not kept.
func (a *api) changedSettings(ctx context.Context, before, after *fleet.BalancerSettings, status int) {
	if a.Audit == nil {
		return
	}
	c := Change{Who: a.granted(ctx).Caller.Name, Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: status}
	if before != nil {
		c.Before = asWritten(*before)
	}
	if after != nil {
		c.After = asWritten(*after)
	}
	a.Audit.Changed(ctx, c)
}

// changedObject takes note of a change that was passed on to the API server, after it has answered.
func (a *api) changedObject(r *http.Request, status int) {
	if a.Audit == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	if status == http.StatusUnauthorized {
		return // nobody has asked for anything; and who needs no token for it could write as many lines as it likes
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), whoTime)
	defer cancel()
	_, operation := guard.From(r.Context())
	resource := "customautoscalers/" + chi.URLParam(r, "namespace")
	if name := chi.URLParam(r, "name"); name != "" {
		resource += "/" + name
	}
	a.Audit.Changed(ctx, Change{Who: a.who(ctx, r), Operation: operation, Resource: strings.ToValidUTF8(resource, "?"), Status: status})
}

// who is whose token a call has that the API server has judged.
func (a *api) who(ctx context.Context, r *http.Request) string {
	token, given, err := guard.Token(r.Header)
	if a.Guard == nil || !given || err != nil {
		return ""
	}
	name, err := a.Guard.Who(ctx, token)
	if err != nil {
		return "unknown"
	}
	return name
}
