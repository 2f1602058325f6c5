package slots

import (
	"cmp"
	"time"
)

// ID names one life of one load balancer: a process that was restarted is another one.
type ID struct {
	Name    string
	Started int64 // UnixNano
}

// Compare orders them.
func (i ID) Compare(o ID) int {
	return cmp.Or(cmp.Compare(i.Name, o.Name), cmp.Compare(i.Started, o.Started))
}

// Member is a load balancer that takes part.
type Member struct {
	ID
	Address string // IP:port at which the others reach it; "": it is too old to take part
	Version string // of the routes in which it last saw itself; "" is not known
	Leaving bool   // it drains, and shall lend no more once another one can
}

// View is what the controller says of who is there.
type View struct {
	Version string // of the routes
	Members []Member
}

func (v View) find(id ID) (Member, bool) {
	for _, m := range v.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// named is the member of that name, whichever life of it.
func (v View) named(name string) (Member, bool) {
	for _, m := range v.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// elapsed is how long ago t was, by whichever clock went further: a machine that was suspended has a
// monotonic clock that stood still.
func elapsed(now, t time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// rank is the rendezvous hash: of all members the one with the highest rank lends an application's
// slots, so that one that comes or goes moves only its own applications.
func rank(key, name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, s := range [...]string{key, "\x00", name} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	h ^= h >> 33 // FNV alone mixes the last characters badly, and names differ only there
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return h
}
