package httpapi

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// told are applications and decisions as they were last told to anybody: what is told to many is made once.
type told struct {
	mu        sync.Mutex
	by        map[fleet.Key]*toldOne
	decisions map[*fleet.Record][]byte // the last ones: all who follow are told of one at once
}

// toldOne is one: its data, as of a change, and since which change it is the same.
type toldOne struct {
	n     uint64
	since news.Item
	data  []byte // nil: there is no such application
}

// known tells whether who has read up to a position has it.
func (o *toldOne) known(at news.Position) bool {
	if o.since.Urgent {
		return o.since.N <= at.Urgent
	}
	return o.since.N <= at.Ordinary
}

// decision is a decision as it is told. At most so many are held as are told at once.
func (t *told) decision(r *fleet.Record) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, known := t.decisions[r]
	if !known {
		if t.decisions == nil || len(t.decisions) >= eventsAtOnce {
			t.decisions = map[*fleet.Record][]byte{}
		}
		text = encoded(contract.Decision(*r))
		t.decisions[r] = text
	}
	return text
}

// forget drops what was told of an application that has gone: nobody has that any more, nor one that is made again.
func (t *told) forget(k fleet.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, k)
}

// of is what is to be told of a change.
func (t *told) of(a *api, item news.Item) toldOne {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.by[item.Key]
	if one != nil && one.n >= item.N {
		return *one
	}
	view, known := a.Fleet.View(item.Key, time.Now())
	if !known {
		delete(t.by, item.Key)
		return toldOne{since: item}
	}
	if one == nil {
		if t.by == nil {
			t.by = map[fleet.Key]*toldOne{}
		}
		one = &toldOne{}
		t.by[item.Key] = one
	}
	one.n = item.N
	change := applicationChange(view)
	if asked := view.Spec.Asked(); slices.ContainsFunc(view.Means, func(m scaling.Mean) bool { return m.Missing > 0 && slices.Contains(asked, m.Metric) }) {
		_, conditions := a.Control.Insight(item.Key)
		change.MetricsMissingSince = metricsMissing(conditions)
	}
	if made := encoded(change); !bytes.Equal(made, one.data) {
		one.data, one.since = made, item
	}
	return *one
}
