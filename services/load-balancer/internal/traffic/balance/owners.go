package balance

// With many pods it is remembered which one a key goes to.
const (
	parts      = 1 << 16 // that all keys are divided into, however many pods there are: else a pod more would move all
	ownersFrom = 64      // pods, from which on remembering is quicker than asking all
	rehashes   = 4       // other parts that are tried for a key whose pod is full
)

// part is a key's part of all keys, as a key itself.
func part(key uint64) (place int, of uint64) {
	place = int(key >> 3 & (parts - 1))
	return place, mix(uint64(place)+1, 0xaaaaaaaaaaaaaaab)
}

// owners remembers for each part of the keys which open pod wants it most. It is filled as keys come,
// and forgotten when other pods are open.
type owners struct {
	places []uint16 // index of a pod and 1; 0 is not known
	open   uint64   // which pods are open, and where they stand, as one number
}

// follow begins anew when other pods are open.
func (o *owners) follow(b *Pool) {
	open := uint64(len(b.open))
	for _, i := range b.open {
		open = mix(open^b.ids[i], uint64(i)+0x9e3779b97f4a7c15) //nolint:gosec // G115: an index
	}
	if open == o.open {
		return
	}
	o.open = open
	switch {
	case len(b.open) < ownersFrom || len(b.open) >= parts:
		o.places = nil
	case o.places == nil:
		o.places = make([]uint16, parts)
	default:
		clear(o.places)
	}
}

// of is the open pod that has the key.
func (o *owners) of(b *Pool, key uint64) int {
	place, key := part(key)
	if known := o.places[place]; known > 0 {
		return int(known) - 1
	}
	best, wish := 0, uint64(0)
	for _, i := range b.open {
		if w := weight(key, b.ids[i]); w >= wish {
			best, wish = int(i), w
		}
	}
	o.places[place] = uint16(best + 1)
	return best
}

// owner is the free pod that wants the key most of those with fewer in flight than most; -1 is none.
func (b *Pool) owner(key uint64, most int32) int {
	if len(b.owners.places) > 0 {
		again := key
		for range rehashes {
			if i := b.owners.of(b, again); b.load[i] < min(b.room[i], most) {
				return i
			}
			again = mix(again, 0x9e3779b97f4a7c15)
		}
	}
	_, key = part(key)
	best, wish := -1, uint64(0)
	load, room := b.load[:len(b.ids)], b.room[:len(b.ids)]
	for i, id := range b.ids {
		if w := weight(key, id); w >= wish && load[i] < min(room[i], most) {
			best, wish = i, w
		}
	}
	return best
}
