package shards

import (
	"slices"
	"time"
)

// How shards change hands.
const (
	// SettledAfter is how long a member must have been there before a shard is given up for it, so that
	// one that restarts, or comes and goes, moves nothing.
	SettledAfter = 10 * time.Second
	// Pace is the least time between two shards that one replica gives up.
	Pace = 2 * time.Second
	// TakeAfter is how long a shard may be led by nobody before the next member in line stands for it.
	TakeAfter = 5 * time.Second
	// distrustFor is for how long nothing is given up for a member that did not take what was free.
	distrustFor = time.Minute
)

// View is what a replica sees of the others.
type View struct {
	Members []string // that are live, itself among them if it takes part
	Holders []string // who leads each shard; "" is nobody
}

// Planner says where one replica is to stand for election. The zero value is ready for use, by one
// goroutine.
type Planner struct {
	Self string

	since     map[string]time.Time // since when each member is there
	free      []time.Time          // since when each shard is led by nobody; zero: it is led
	gaveUp    time.Time            // when a shard was last given up
	distrusts map[string]time.Time // members that took nothing, until when
}

// Stand says for each shard whether the replica is to lead it, or to try to.
func (p *Planner) Stand(v View, now time.Time) []bool {
	p.note(v, now)
	stand := make([]bool, len(v.Holders))
	if !slices.Contains(v.Members, p.Self) {
		for shard, holder := range v.Holders {
			stand[shard] = holder == p.Self // what it leads it keeps: nobody knows better
		}
		return stand
	}
	owners := Assign(v.Members, v.Holders)
	for shard, holder := range v.Holders {
		switch {
		case holder == p.Self:
			stand[shard] = owners[shard] == p.Self || !p.givesUp(owners[shard], v, now)
		case owners[shard] == p.Self:
			stand[shard] = true
		case !p.free[shard].IsZero():
			stand[shard] = p.nextInLine(shard, owners[shard], v.Members, now)
		}
	}
	return stand
}

// note takes down since when what is seen is so.
func (p *Planner) note(v View, now time.Time) {
	since := make(map[string]time.Time, len(v.Members))
	for _, m := range v.Members {
		if at, known := p.since[m]; known {
			since[m] = at
		} else {
			since[m] = now
		}
	}
	p.since = since
	if len(p.free) != len(v.Holders) {
		p.free = make([]time.Time, len(v.Holders))
	}
	for shard, holder := range v.Holders {
		switch {
		case holder != "":
			p.free[shard] = time.Time{}
		case p.free[shard].IsZero():
			p.free[shard] = now
		}
	}
	for m, until := range p.distrusts {
		if !now.Before(until) {
			delete(p.distrusts, m)
		}
	}
}

// givesUp tells whether a shard is given up now for the member that should have it. One goes at a time:
// what is moved knows less for a moment.
func (p *Planner) givesUp(owner string, v View, now time.Time) bool {
	if now.Sub(p.since[owner]) < SettledAfter || now.Sub(p.gaveUp) < Pace || slices.Contains(v.Holders, "") {
		return false
	}
	if _, distrusted := p.distrusts[owner]; distrusted {
		return false
	}
	p.gaveUp = now
	return true
}

// nextInLine tells whether this replica is to take a shard that its owner leaves alone: the members have
// their turns one after the other.
func (p *Planner) nextInLine(shard int, owner string, members []string, now time.Time) bool {
	line := slices.Clone(members)
	line = slices.DeleteFunc(line, func(m string) bool { return m == owner })
	slices.SortFunc(line, func(a, b string) int {
		if score(a, shard) > score(b, shard) {
			return -1
		}
		return 1
	})
	turn := time.Duration(slices.Index(line, p.Self)+1) * TakeAfter
	if now.Sub(p.free[shard]) < turn {
		return false
	}
	if p.distrusts == nil {
		p.distrusts = map[string]time.Time{}
	}
	p.distrusts[owner] = now.Add(distrustFor)
	return true
}
