package claims

import (
	"iter"
	"slices"
)

// area is where addresses are filed, so that those that overlap one are found without looking at all.
type area struct {
	kind         kind
	below        bool // those within the prefix; else those of the very prefix
	host, prefix string
}

type kind uint8

const (
	ofAny   kind = iota // for every host, not below the own namespace's name
	ofHome              // for every host, below the own namespace's name
	ofHost              // for this host
	ofNamed             // for any host by name
	asked               // as ofHome, whether it is had or only asked for
)

// holding is an address that an object has, or of the kind asked, asks for.
type holding struct {
	of *entry
	address
}

// register files holdings, each list in the order of their entries.
type register map[area][]*holding

// kinds are those under which an address that somebody has is filed.
func (h *holding) kinds() []kind {
	switch {
	case h.host != "":
		return []kind{ofHost, ofNamed}
	case h.isOf(h.of.Namespace):
		return []kind{ofHome}
	default:
		return []kind{ofAny}
	}
}

// areas are all where an address is filed under a kind.
func (a address) areas(k kind) iter.Seq[area] {
	at := a.at(k)
	return func(yield func(area) bool) {
		if !yield(at) {
			return
		}
		at.below = true
		if !yield(at) {
			return
		}
		for p := range shorter(at.prefix) {
			if k == asked && p == "/" {
				return // nobody asks whose name everything lies below
			}
			at.prefix = p
			if !yield(at) {
				return
			}
		}
	}
}

// at is the area of the very address.
func (a address) at(k kind) area {
	at := area{kind: k, prefix: cut(a.prefix)}
	if k == ofHost {
		at.host = a.host
	}
	return at
}

func (r register) add(h *holding, k kind) {
	for at := range h.areas(k) {
		list := r[at]
		i, _ := slices.BinarySearchFunc(list, h, compareHoldings)
		r[at] = slices.Insert(list, i, h)
	}
}

func (r register) remove(h *holding, k kind) {
	for at := range h.areas(k) {
		list := r[at]
		i, _ := slices.BinarySearchFunc(list, h, compareHoldings)
		for i < len(list) && list[i] != h {
			i++ // others of the same entry
		}
		if list = slices.Delete(list, i, min(i+1, len(list))); len(list) == 0 {
			delete(r, at)
		} else {
			r[at] = list
		}
	}
}

func compareHoldings(a, b *holding) int { return compareEntries(a.of, b.of) }

// meeting are the lists in which all of a kind stand that have paths in common with an address; not all
// that stand there have.
func (r register) meeting(a address, k kind) iter.Seq[[]*holding] {
	at := a.at(k)
	return func(yield func([]*holding) bool) {
		at.below = true
		if list := r[at]; len(list) > 0 && !yield(list) {
			return
		}
		at.below = false
		for p := range shorter(at.prefix) {
			at.prefix = p
			if list := r[at]; len(list) > 0 && !yield(list) {
				return
			}
		}
	}
}
