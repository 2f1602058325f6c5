package fairshare

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func from(t *testing.T, address string) context.Context {
	t.Helper()
	return From(t.Context(), address)
}

func TestTake_OneSenderLeavesTheOthersTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Places: 8, Each: 2, Waiting: 16})
		held := make(chan func(), 100)
		refused := 0
		for range 100 { // one address, a hundred calls: two have places, sixteen wait
			ctx := from(t, "10.0.0.1:4000")
			s.mu.Lock()
			full := s.now["10.0.0.1"] != nil && s.now["10.0.0.1"].here == 18
			s.mu.Unlock()
			if full {
				if _, err := s.Take(ctx); !fault.Is(err, fault.TooMany) || fault.From(err).RetryAfter == 0 {
					t.Fatal(err)
				}
				refused++
				continue
			}
			go func() {
				free, err := s.Take(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				held <- free
			}()
			synctest.Wait()
		}
		if len(held) != 2 || refused != 82 {
			t.Errorf("%d have a place, %d are refused", len(held), refused)
		}
		for i := range 3 { // three others have two each at once
			for range 2 {
				free, err := s.Take(from(t, fmt.Sprintf("10.0.1.%d:1", i)))
				if err != nil {
					t.Fatal(err)
				}
				defer free()
			}
		}
		late, cancel := context.WithTimeout(from(t, "10.0.9.9:1"), time.Second) // the places are all taken
		defer cancel()
		if _, err := s.Take(late); !fault.Is(err, fault.Unavailable) {
			t.Errorf("the ninth: %v", err)
		}
		for range 18 {
			(<-held)()
			synctest.Wait()
		}
		if len(s.now) != 3 {
			t.Errorf("%d senders are kept, of three that have places", len(s.now))
		}
	})
}

func TestTake_WhoStopsWaitingLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Places: 1, Each: 1, Waiting: 1})
		free, err := s.Take(from(t, "10.0.0.1:1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"10.0.0.1:2", "10.0.0.2:1"} { // waits for its own, and for everybody's
			ctx, cancel := context.WithTimeout(from(t, address), time.Second)
			if _, err := s.Take(ctx); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", address, err)
			}
			cancel()
		}
		free()
		if len(s.now) != 0 || len(s.places) != 0 {
			t.Errorf("%d senders, %d places", len(s.now), len(s.places))
		}
		again, err := s.Take(from(t, "10.0.0.2:1"))
		if err != nil {
			t.Fatal(err)
		}
		again()
	})
}

func TestPatience_EndsWithBadTokensOfThisSenderAlone(t *testing.T) {
	now := time.Unix(1000, 0)
	s := New(Options{Places: 1, Each: 1, BadPerSecond: 2, BadAtOnce: 3, Now: func() time.Time { return now }})
	bad, good := from(t, "10.0.0.1:1"), from(t, "10.0.0.2:1")
	for i := range 5 {
		if err := s.Patience(bad); (err == nil) != (i < 3) || err != nil && !fault.Is(err, fault.TooMany) {
			t.Errorf("%d: %v", i, err)
		}
		s.Bad(bad)
	}
	if err := s.Patience(good); err != nil {
		t.Errorf("another sender: %v", err)
	}
	asks := For(t.Context(), "balancer")
	for range 5 {
		s.Bad(asks)
	}
	if err := s.Patience(asks); err != nil || Of(asks) != "" || Of(bad) != "10.0.0.1" {
		t.Errorf("who asks about others: %v", err)
	}
	now = now.Add(time.Second)
	if err := s.Patience(bad); err != nil {
		t.Errorf("a second later: %v", err)
	}
	for i := range 2 * maxSenders {
		s.Bad(from(t, fmt.Sprintf("10.%d.%d.%d:1", 1+i>>16, i>>8&255, i&255)))
	}
	if s.bad.Len() != maxSenders {
		t.Errorf("%d senders are remembered", s.bad.Len())
	}
}

func TestSender_IsTheAddressOrItsNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"10.1.2.3:44": "10.1.2.3", "10.1.2.3": "10.1.2.3", "[::ffff:10.1.2.3]:44": "10.1.2.3",
		"[2001:db8:1:2:3:4:5:6]:44": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:45": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64",
		"": "", "@": "@", "unix": "unix",
	} {
		if got := Sender(address); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}
