package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// Change is one that somebody made, or was refused, through the controller. What load balancers and sidecars say, and a
// start, are none; nor is one that was asked for with dryRun.
type Change struct {
	Who       string // the user's name, as Kubernetes has it; "" where nobody had to say it
	Operation string // the contract's
	Namespace string // of the object; "": it belongs to none
	Resource  string // of which object, as customautoscalers/NAMESPACE/NAME
	Status    int    // with which the change was answered
	Reason    string // why it was refused
	// Before and After are JSON objects: the settings, or the fields of an object's spec that are not the same in both;
	// nil: it is not known, or there was nothing.
	Before, After json.RawMessage
}

// Audit takes note of changes.
type Audit interface {
	Changed(ctx context.Context, c Change)
}

// settingsOf are settings as they are written down.
type settingsOf struct {
	Policy         string `json:"policy"`
	MaxConnections int32  `json:"max_connections"`
	TimeoutSeconds int32  `json:"timeout_seconds"`
	Version        uint64 `json:"version,omitempty"`
}

func asWritten(s *fleet.BalancerSettings) json.RawMessage {
	if s == nil {
		return nil
	}
	text, _ := json.Marshal(settingsOf{s.Policy, s.MaxConnections, wholeSeconds(s.Timeout), s.Version}) // it never fails
	return text
}

// SettingsResource is what the load balancers' settings are called in a Change.
const SettingsResource = "loadbalancer/settings"

// changedSettings takes note of settings that were asked for; after is nil where they were not kept.
func (a *api) changedSettings(ctx context.Context, before, after *fleet.BalancerSettings, err error) {
	if a.Audit == nil {
		return
	}
	c := Change{
		Who: a.granted(ctx).Caller.Name, Operation: "putBalancerSettings", Resource: SettingsResource, Status: http.StatusOK,
		Before: asWritten(before), After: asWritten(after),
	}
	if err != nil {
		c.Status, c.Reason = refusedAs(err)
	}
	a.Audit.Changed(ctx, c)
}

func refusedAs(err error) (status int, why string) {
	e := fault.From(err)
	return e.Code.Status(), e.Detail
}

// customResource is the part of a custom resource that is looked at.
type customResource struct {
	Metadata struct {
		Name       string `json:"name"`
		Generation int64  `json:"generation"`
	} `json:"metadata"`
	Spec json.RawMessage `json:"spec"`
}

func readObject(body []byte) *customResource {
	var o customResource
	if json.Unmarshal(body, &o) != nil || o.Spec == nil {
		return nil
	}
	return &o
}

// before is an object as it is before a change, as far as the caller may see it; nil: that is not known.
func (a *api) before(r *http.Request, change *http.Request) *customResource {
	if r.Method == http.MethodPost {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookTime)
	defer cancel()
	look := change.Clone(ctx)
	look.Method, look.URL.RawQuery, look.Body, look.ContentLength = http.MethodGet, "", http.NoBody, 0
	look.Header.Del("Content-Type")
	answer, err := a.Objects.Do(look)
	if err != nil {
		return nil
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := read(answer)
	if err != nil {
		return nil
	}
	return readObject(body)
}

// lookTime is how long is waited for the object as it is: a change does not fail because that is not known.
const lookTime = 2 * time.Second

// changedObject takes note of a change that was passed on to the API server, after it has answered with a body or an
// error.
func (a *api) changedObject(r *http.Request, was *customResource, body []byte, status int, err error) {
	grant, operation := guard.From(r.Context())
	c := Change{Operation: operation, Namespace: chi.URLParam(r, "namespace"), Status: status, Who: a.who(r, grant)}
	name := chi.URLParam(r, "name")
	if err != nil {
		if c.Status, c.Reason = refusedAs(err); c.Status == http.StatusUnauthorized {
			return // nobody has asked for anything; and who needs no token for it could write as many lines as it likes
		}
	} else {
		var is *customResource
		if r.Method != http.MethodDelete {
			if is = readObject(body); is != nil {
				name = is.Metadata.Name
			}
		}
		c.Before, c.After = between(was, is, r.Method)
	}
	c.Resource = strings.ToValidUTF8("customautoscalers/"+c.Namespace, "?")
	if name != "" {
		c.Resource += strings.ToValidUTF8("/"+name, "?")
	}
	a.Audit.Changed(r.Context(), c)
}

// between are the fields of the spec that a change has changed. Where somebody else has changed the object since it was
// looked at, it is not known what it was.
func between(was, is *customResource, method string) (before, after json.RawMessage) {
	switch {
	case is == nil && was == nil:
		return nil, nil
	case is == nil:
		if method != http.MethodDelete {
			return nil, nil // what came of it could not be read
		}
		return changes.Differ(was.Spec, nil)
	case was == nil, is.Metadata.Generation > was.Metadata.Generation+1:
		return nil, is.Spec
	}
	return changes.Differ(was.Spec, is.Spec)
}

// who is whose token a call has that the API server has judged.
func (a *api) who(r *http.Request, grant *guard.Grant) string {
	if grant != nil && grant.Caller.Name != "" {
		return grant.Caller.Name
	}
	if _, given, _ := guard.Token(r.Header); a.Guard == nil || !given {
		return ""
	}
	return "unknown"
}
