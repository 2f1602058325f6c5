package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
)

// Changes are the last ones that Audit took note of.
type Changes interface {
	Last(wanted func(*changes.Change) bool, limit int) []changes.Change
	Take(list ...changes.Change) (kept int)
}

// ListChanges shows the last changes.
func (a *api) ListChanges(ctx context.Context, in autoscaler.ListChangesRequestObject) (autoscaler.ListChangesResponseObject, error) {
	namespace, since := value(in.Params.Namespace, ""), value(in.Params.Since, time.Time{})
	if a.Changes == nil {
		return autoscaler.ListChanges200JSONResponse{Items: []autoscaler.Change{}}, nil
	}
	sees, err := a.seen(ctx, namespace, a.changed)
	if err != nil {
		return nil, err
	}
	last := a.Changes.Last(func(c *changes.Change) bool {
		return (namespace == "" || c.Namespace == namespace) && (sees == nil || sees[c.Namespace]) && !c.Time.Before(since)
	}, value(in.Params.Limit, defaultLimit))
	list := autoscaler.ListChanges200JSONResponse{Items: make([]autoscaler.Change, len(last))}
	for i := range last {
		list.Items[i] = shownChange(&last[i])
	}
	return list, nil
}

// changed are the namespaces of the changes that are held.
func (a *api) changed() []string {
	var names []string
	a.Changes.Last(func(c *changes.Change) bool {
		if c.Namespace != "" { // what belongs to none is seen by who sees all
			names = append(names, c.Namespace)
		}
		return false
	}, 0)
	return names
}

// ReportChanges takes changes of another replica.
func (a *api) ReportChanges(_ context.Context, in autoscaler.ReportChangesRequestObject) (autoscaler.ReportChangesResponseObject, error) {
	if a.Changes == nil {
		return autoscaler.ReportChanges200JSONResponse{}, nil
	}
	list := make([]changes.Change, len(in.Body.Items))
	for i := range list {
		list[i] = readChange(&in.Body.Items[i])
	}
	return autoscaler.ReportChanges200JSONResponse{Kept: a.Changes.Take(list...)}, nil
}

func shownChange(c *changes.Change) autoscaler.Change {
	out := autoscaler.Change{
		Id: c.ID, Time: c.Time, Who: c.Who, Operation: c.Operation, Namespace: optional(c.Namespace), Resource: c.Resource,
		Status: c.Status, Result: autoscaler.ChangeRefused, Reason: optional(c.Reason), Before: shownSide(c.Before), After: shownSide(c.After),
	}
	if c.Made() {
		out.Result = autoscaler.ChangeMade
	}
	return out
}

func readChange(c *autoscaler.Change) changes.Change {
	return changes.Change{
		ID: c.Id, Time: c.Time, Who: c.Who, Operation: c.Operation, Namespace: value(c.Namespace, ""), Resource: c.Resource,
		Status: c.Status, Reason: value(c.Reason, ""), Before: readSide(c.Before), After: readSide(c.After),
	}
}

func shownSide(side json.RawMessage) *map[string]any {
	var object map[string]any
	if json.Unmarshal(side, &object) != nil || object == nil {
		return nil
	}
	return &object
}

func readSide(side *map[string]any) json.RawMessage {
	if side == nil {
		return nil
	}
	text, _ := json.Marshal(*side) // of what was read: it never fails
	return text
}
