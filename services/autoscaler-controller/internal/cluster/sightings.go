package cluster

import (
	"reflect"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// sightings takes CustomAutoscalers as they are seen. One that asks for nothing else than before wakes
// nobody: that its status was written, mostly by this process itself, is no news.
type sightings struct{ *Watcher }

// Put takes one that is new or has changed.
func (w sightings) Put(s *sighting) { w.update([]*sighting{s}, nil) }

// Remove takes one that was deleted.
func (w sightings) Remove(s *sighting) { w.update(nil, []fleet.Autoscaler{s.name}) }

// Replace takes all that there are.
func (w sightings) Replace(all []*sighting, _ uint64) {
	there := make(map[fleet.Autoscaler]struct{}, len(all))
	for _, s := range all {
		there[s.name] = struct{}{}
	}
	var gone []fleet.Autoscaler
	for _, a := range w.autoscalers.names() {
		if _, still := there[a]; !still {
			gone = append(gone, a)
		}
	}
	w.update(all, gone)
}

func (w sightings) update(list []*sighting, gone []fleet.Autoscaler) {
	w.turn.Lock()
	defer w.turn.Unlock()
	var set []claims.Object
	var updated, drop []fleet.Autoscaler
	w.date(list)
	for _, s := range list {
		before := w.autoscalers.take(s)
		if s.said == nil {
			w.remember(s, before)
			continue
		}
		w.complain(s.said, before.said)
		set, updated = append(set, s.said.claimed()), append(updated, s.said.Autoscaler)
	}
	for _, a := range gone {
		if _, known := w.autoscalers.drop(a); known {
			drop = append(drop, a)
		}
	}
	if len(set)+len(drop) > 0 {
		w.apply(w.index.Update(set, drop), updated)
	}
}

// date says since when what is asked for. Of an object of which nothing but the status has changed, somebody else
// may have seen an edit a moment earlier or later: who writes the status says when.
func (w sightings) date(list []*sighting) {
	var of []*autoscaler
	var seen []claims.Seen
	for _, s := range list {
		before, _ := w.autoscalers.get(s.name)
		if s.said == nil {
			if before.said == nil || !s.record.tells(before.said) || slices.EqualFunc(s.record.claims, before.said.since, sinceThen) {
				continue
			}
			again := *before.said
			s.said = &again
		}
		of, seen = append(of, s.said), append(seen, s.said.seen(before.said, s.record))
	}
	w.index.Date(seen, time.Now())
	for i, s := range seen {
		of[i].since = make([]time.Time, len(s.Targets))
		for j, t := range s.Targets {
			of[i].since[j] = t.Since
		}
	}
}

func sinceThen(c contract.Claim, since time.Time) bool { return c.Since.Equal(since) }

// remember takes what whoever leads has written down of applications, for the day when this process leads.
func (w sightings) remember(s *sighting, before entry) {
	if before.said == nil || reflect.DeepEqual(before.kept, s.kept) {
		return
	}
	for _, k := range before.said.keys() {
		w.apps.remember(k, before.said, s.kept[k.Deployment])
	}
}

// complain logs that an object cannot be read, once for each generation.
func (w sightings) complain(now, before *autoscaler) {
	if now.malformed == nil || before != nil && before.malformed != nil && before.generation == now.generation {
		return
	}
	w.log.Warn("malformed CustomAutoscaler", "namespace", now.Namespace, "autoscaler", now.Name, "error", now.malformed)
}

// at are some of its targets.
func (a *autoscaler) at(places []int) []contract.Target {
	list := make([]contract.Target, len(places))
	for i, at := range places {
		list[i] = a.Targets[at]
	}
	return list
}
