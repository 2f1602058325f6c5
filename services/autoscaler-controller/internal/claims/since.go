package claims

import (
	"slices"
	"time"
)

// Seen is an object as it is seen, with what is known of its claims.
type Seen struct {
	Object
	// Known are the claims that it is known to have had, with their Since. Those of its targets that are among
	// them keep their age, whatever else was edited.
	Known []Target
	// Edited tells that what is not among them was added since: it is a new claim. Else it is as old as the
	// object.
	Edited bool
}

// resolution is that of the age of a claim, as it is kept.
const resolution = time.Millisecond

// Date says since when each target of some objects is asked for. A new claim is younger than all that is
// known, whatever the clocks say: Kubernetes dates objects by another one, and by the second. Those that are
// seen together are as old as each other.
func (x *Index) Date(seen []Seen, now time.Time) {
	newest := x.newest
	for i := range seen {
		s := &seen[i]
		newest = later(newest, s.Created)
		s.Targets = slices.Clone(s.Targets)
		known := s.known()
		for j, t := range s.Targets {
			s.Targets[j].Since = s.since(t, known)
			newest = later(newest, s.Targets[j].Since)
		}
	}
	fresh := now.UTC().Truncate(resolution)
	if !fresh.After(newest) {
		fresh = newest.UTC().Truncate(resolution).Add(resolution)
	}
	for _, s := range seen {
		for j, t := range s.Targets {
			if t.Since.IsZero() {
				s.Targets[j].Since = fresh
			}
		}
	}
}

// spot is an address that is asked for, for a Deployment.
type spot struct {
	deployment string
	address
}

// known is since when each of them was asked for.
func (s *Seen) known() map[spot]time.Time {
	if len(s.Known) == 0 {
		return nil
	}
	known := make(map[spot]time.Time, len(s.Known))
	for _, t := range s.Known {
		for a := range t.addresses() {
			at := spot{t.Deployment, a}
			if was, twice := known[at]; !twice || t.Since.Before(was) {
				known[at] = t.Since
			}
		}
	}
	return known
}

// since is when a target began to be asked for, which is had as a whole: since the youngest of its addresses
// was. The zero value: it is new.
func (s *Seen) since(t Target, known map[spot]time.Time) time.Time {
	since := s.Created
	for a := range t.addresses() {
		was, there := known[spot{t.Deployment, a}]
		if !there && s.Edited {
			return time.Time{}
		}
		since = later(since, was)
	}
	return since
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// age is since when a target of an object is asked for.
func (o *Object) age(t Target) time.Time { return later(t.Since, o.Created) }

// parts are the entries of an object, the oldest first: one for each age of its claims, which is one alone of
// most objects.
func (o *Object) parts() []*entry {
	var parts []*entry
	for i, t := range o.Targets {
		age := o.age(t)
		at, there := slices.BinarySearchFunc(parts, age, func(e *entry, age time.Time) int { return e.since.Compare(age) })
		if !there {
			parts = slices.Insert(parts, at, &entry{Autoscaler: o.Autoscaler, since: age})
		}
		e := parts[at]
		e.targets, e.places = append(e.targets, t), append(e.places, i)
	}
	return parts
}
