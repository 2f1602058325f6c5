package control

import (
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// KeptDecisions is how many of the last decisions are remembered, of all applications together.
const KeptDecisions = 1000

// Of each application its own last ones are remembered besides, which those of others do not push out: a fleet that
// wakes up two hundred times a second turns the ring over in seconds. A record is about a kilobyte, so there is a
// bound to all of them; where applications are many each keeps fewer, and one at the least, which is known anyhow.
const (
	keptOfEach = 8
	keptOfAll  = 40_000
)

// journal remembers decisions. A record is never changed once it is here: the ring, the application's own and who decides
// on it next share it.
type journal struct {
	mu   sync.Mutex
	ring []*fleet.Record
	next int
	lost time.Time // of what the ring has lost, the latest moment

	own  map[fleet.Key]*few
	most int // how many each keeps of its own

	since time.Time // from when on all decisions come here; zero: they do not, another replica leads
}

// remembered is a decision as it is kept: without what it was to remember for the next one, which lifecycle does.
func remembered(r fleet.Record) fleet.Record {
	r.Since, r.History, r.Reasons = nil, scaling.History{}, slices.Clone(r.Reasons)
	return r
}

// few are the last decisions on one application, the newest last.
type few struct {
	last []*fleet.Record
	lost time.Time // of what is not there any more, the latest moment
}

// cut loses the oldest, beyond so many.
func (f *few) cut(most int) {
	over := len(f.last) - most
	if over <= 0 {
		return
	}
	for _, r := range f.last[:over] {
		f.lost = later(f.lost, r.Time)
	}
	f.last = slices.Delete(f.last, 0, over)
}

// add keeps a decision; of an application that is gone only among all.
func (j *journal) add(r *fleet.Record, gone bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ring) < KeptDecisions {
		j.ring = append(j.ring, r)
	} else {
		j.lost = later(j.lost, j.ring[j.next].Time)
		j.ring[j.next] = r
		j.next = (j.next + 1) % KeptDecisions
	}
	f := j.own[r.Key]
	if gone {
		if f != nil { // it is there anew, and this was of the one before
			f.lost = later(f.lost, r.Time)
		}
		return
	}
	if f == nil {
		if j.own == nil {
			j.own = map[fleet.Key]*few{}
		}
		f = &few{lost: r.Time.Add(-1)} // of before this one nothing is known
		j.own[r.Key] = f
		j.share()
	}
	f.last = append(f.last, r)
	f.cut(j.most)
}

// forget drops an application's own; what the ring holds of it stays there for its time.
func (j *journal) forget(k fleet.Key) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.own, k)
	j.share()
}

// share divides the room among the applications. All are cut where there is less for each: as often as there are steps
// from the most to one.
func (j *journal) share() {
	most := min(max(keptOfAll/max(len(j.own), 1), 1), keptOfEach)
	if most < j.most {
		for _, f := range j.own {
			f.cut(most)
		}
	}
	j.most = most
}

// lead notes from when on all decisions come here; the zero time: they do not any more.
func (j *journal) lead(since time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.since = since
}

// last are at most limit decisions, newest first. Where a Deployment is named its own are among them.
func (j *journal) last(f fleet.Filter, limit int) []fleet.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []*fleet.Record
	for i := range j.ring {
		if r := j.ring[(j.next+len(j.ring)-1-i)%len(j.ring)]; f.Matches(*r) {
			found = append(found, r)
		}
	}
	found = append(found, j.older(f, found)...)
	out := make([]fleet.Record, min(limit, len(found)))
	for i := range out {
		out[i] = *found[i]
	}
	return out
}

// older are the applications' own decisions that the ring has lost, newest first.
func (j *journal) older(f fleet.Filter, found []*fleet.Record) (list []*fleet.Record) {
	own := j.of(f.Key)
	if len(own) == 0 {
		return nil
	}
	there := make(map[*fleet.Record]struct{}, len(found))
	for _, r := range found {
		there[r] = struct{}{}
	}
	for _, few := range own {
		for _, r := range slices.Backward(few.last) {
			if _, twice := there[r]; !twice && f.Matches(*r) {
				list = append(list, r)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *fleet.Record) int { return b.Time.Compare(a.Time) })
	return list
}

// of are the applications' own where a Deployment is named: of one, or of those of its name in all namespaces.
func (j *journal) of(k fleet.Key) (all []*few) {
	if k.Deployment == "" {
		return nil
	}
	if k.Namespace != "" {
		if f := j.own[k]; f != nil {
			all = append(all, f)
		}
		return all
	}
	for at, f := range j.own {
		if at.Deployment == k.Deployment {
			all = append(all, f)
		}
	}
	return all
}

// complete is from when on all decisions on an application are held, or on those that match a key with empty parts; of
// these some may be forgotten whose own have gone with them. Zero: that is not known.
func (j *journal) complete(k fleet.Key) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.since.IsZero() {
		return time.Time{}
	}
	lost := j.lost
	if f := j.own[k]; f != nil && f.lost.Before(lost) {
		lost = f.lost
	}
	return later(j.since, lost.Add(1))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
