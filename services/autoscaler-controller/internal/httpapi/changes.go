package httpapi

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/paging"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
)

// Changes are the last ones that Audit took note of.
type Changes interface {
	Last(wanted func(*changes.Change) bool, limit int) []changes.Change
	Take(list ...changes.Change) (kept int)
}

// ListChanges shows the last changes.
func (a *api) ListChanges(ctx context.Context, in autoscaler.ListChangesRequestObject) (autoscaler.ListChangesResponseObject, error) {
	p := in.Params
	c := choice{namespace: value(p.Namespace, ""), fields: value(p.FieldSelector, ""), since: value(p.Since, time.Time{})}
	limit := value(p.Limit, defaultLimit)
	q, err := newAsked(listOfChanges(c), c, changeFields, &limit, p.Continue)
	if err != nil {
		return nil, err
	}
	if a.Changes == nil {
		return autoscaler.ListChanges200JSONResponse{Items: []autoscaler.Change{}}, nil
	}
	if q.sees, err = a.seen(ctx, q.namespace, a.changed); err != nil {
		return nil, err
	}
	page, meta := a.changes(q)
	return autoscaler.ListChanges200JSONResponse{Items: page.Items, Metadata: meta}, nil
}

// changes are those of a page, the newest first.
func (a *api) changes(q asked) (*paging.Page[autoscaler.Change], *autoscaler.PageMeta) {
	found := a.Changes.Last(func(c *changes.Change) bool {
		return (q.namespace == "" || c.Namespace == q.namespace) && q.shows(c.Namespace) && !c.Time.Before(q.since) &&
			q.matchFields(func() fields.Set { return fieldsOfChange(c) })
	}, math.MaxInt)
	slices.SortStableFunc(found, func(a, b changes.Change) int { return slices.Compare(keyOfChange(&a), keyOfChange(&b)) })
	page, shown := paging.NewPage[autoscaler.Change](q.limit, q.after), 0
	for i := range found {
		if !page.Add(keyOfChange(&found[i]), func() autoscaler.Change { return shownChange(&found[i]) }) {
			break
		}
		shown++
	}
	return page, meta(q, page, func() int { return len(found) - shown })
}

func keyOfChange(c *changes.Change) []string { return []string{newest(c.Time), c.ID} }

func fieldsOfChange(c *changes.Change) fields.Set {
	result := autoscaler.ChangeRefused
	if c.Made() {
		result = autoscaler.ChangeMade
	}
	return fields.Set{
		nameField: c.ID, namespaceField: c.Namespace, "who": c.Who, "operation": c.Operation, "resource": c.Resource, "result": string(result),
	}
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
