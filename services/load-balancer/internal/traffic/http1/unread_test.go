package http1

import (
	"net"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
)

func TestUnread_TheLastThatQueuesIsNoMoreThanTheBodyLacks(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		queued int
		known  bool
		during func(u *unread, body *link.Framed) // while the system counts
		want   bool
	}{
		"all of the body":        {length: 10, queued: 10, known: true, want: true},
		"a part of it":           {length: 10, queued: 9, known: true, want: true},
		"more than it":           {length: 10, queued: 11, known: true},
		"nothing, without one":   {length: 0, queued: 0, known: true, want: true},
		"more, without one":      {length: 0, queued: 1, known: true},
		"in chunks":              {length: -1, queued: 10, known: true},
		"the system cannot tell": {length: 10, queued: 0},
		"a read begins":          {length: 10, queued: 10, known: true, during: func(u *unread, _ *link.Framed) { u.reads() }},
		"a read begins and ends": {length: 10, queued: 10, known: true, during: func(u *unread, body *link.Framed) { u.reads(); u.lacks(body); u.has(true, 0) }},
		"it is interrupted":      {length: 10, queued: 10, known: true, during: func(u *unread, _ *link.Framed) { u.interrupt() }},
	} {
		var u unread
		var body link.Framed
		near, far := net.Pipe()
		body.Begin(link.New(near), test.length, false)
		u.lacks(&body)
		u.begin(!body.Ended(), 0)
		got := u.last(func() (int, bool) {
			if test.during != nil {
				test.during(&u, &body)
			}
			return test.queued, test.known
		})
		if got != test.want {
			t.Errorf("%s: %v", name, got)
		}
		_, _ = near.Close(), far.Close()
	}
}

func TestUnread_WhileSomebodyReadsNothingIsTheLast(t *testing.T) {
	var u unread
	var body link.Framed
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	body.Begin(link.New(near), 10, false)
	u.lacks(&body)
	u.begin(!body.Ended(), 0)
	none := func() (int, bool) { return 0, true }
	u.reads()
	if u.last(none) {
		t.Error("while it is read it is the last")
	}
	if u.has(true, 0); !u.last(none) || u.ended() || !u.nothing() {
		t.Error("when it was read it is not the last")
	}
}
