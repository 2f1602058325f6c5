package history

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"
)

// fired is when each rule of an application was first looked at, and when it last asked for anything. A rule is known by
// the hash of its name: names are long, and are asked for and never told.
type fired struct{ of []rule }

type rule struct {
	name        uint32
	since, last uint32 // the numbers of hours; last 0: never
}

// mostRules bounds them: that which was looked at longest ago goes. They are in that order.
const (
	mostRules = 20
	ruleBytes = 12
)

func hashOf(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32()
}

func hourOf(at time.Time) uint32 { return uint32(max(number(at, time.Hour), 0)) } //nolint:gosec // G115: until the year 490000

func (f *fired) find(name uint32) *rule {
	i := slices.IndexFunc(f.of, func(r rule) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return &f.of[i]
}

// look takes note that a rule was looked at, and whether it asked for anything.
func (f *fired) look(name string, asked bool, now time.Time) {
	one := rule{name: hashOf(name), since: hourOf(now)}
	if known := f.find(one.name); known != nil {
		one = *known
		f.of = slices.DeleteFunc(f.of, func(r rule) bool { return r.name == one.name })
	}
	if asked {
		one.last = max(one.last, hourOf(now))
	}
	if len(f.of) >= mostRules {
		f.of = slices.Delete(f.of, 0, 1)
	}
	f.add(one)
}

// add makes room for no more than there may be.
func (f *fired) add(r rule) {
	if len(f.of) == cap(f.of) {
		f.of = append(make([]rule, 0, min(len(f.of)+4, mostRules)), f.of...)
	}
	f.of = append(f.of, r)
}

// follow takes what is newer.
func (f *fired) follow(newer *fired) {
	for _, r := range newer.of {
		one := f.find(r.name)
		if one == nil {
			if len(f.of) < mostRules {
				f.add(r)
			}
			continue
		}
		one.since, one.last = min(one.since, r.since), max(one.last, r.last)
	}
}

// encode writes as many as fit, each as three numbers; false: not all did.
func (f *fired) encode(most int) (out []byte, whole bool) {
	n, body := uint64(0), []byte(nil)
	for _, r := range f.of {
		before := len(body)
		body = binary.LittleEndian.AppendUint32(body, r.name)
		body = binary.AppendUvarint(body, uint64(r.since))
		body = binary.AppendUvarint(body, uint64(r.last))
		if 1+len(body) > most {
			return append(binary.AppendUvarint(nil, n), body[:before]...), false
		}
		n++
	}
	return append(binary.AppendUvarint(nil, n), body...), true
}

func (d *decoder) fired() (f fired) {
	for range d.bounded(mostRules) {
		var name [4]byte
		for i := range name {
			name[i] = d.byte()
		}
		r := rule{binary.LittleEndian.Uint32(name[:]), d.count(), d.count()}
		if d.failed = d.failed || f.find(r.name) != nil; d.failed {
			return fired{}
		}
		f.add(r)
	}
	return f
}
