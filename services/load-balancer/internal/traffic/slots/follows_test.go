package slots

import (
	"testing"
	"time"
)

func TestFollows_OnlyWithinTheSameLivesAndNowhereBack(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"e.2", "e.1", true},
		{"e.2", "e.2", true},
		{"e.1", "e.2", false},
		{"f.2", "e.1", false},
		{"e", "e", false},
		{"e.x", "e.1", false},
		{"", "", false},
		{"e.2 f.1", "e.2 f.1", true},
		{"e.3 f.2", "e.2 f.1", true},
		{"e.3 f.1", "e.2 f.2", false}, // one is older
		{"e.3 g.9", "e.2 f.2", false}, // another one leads
		{"e.3 f.2 g.1", "e.2 f.1", false},
		{"e.3", "e.2 f.1", false},
		{"e.3 -", "e.2 -", false}, // what is not known follows nothing
	} {
		if got := follows(c.a, c.b); got != c.want {
			t.Errorf("follows(%q, %q) is %v", c.a, c.b, got)
		}
	}
}

// A member that one shard has taken out, while the others named it no more either, has gone; one that only a
// new leader of a shard does not name may be there.
func TestCouncil_OfShardsLetsNobodyGoForANewLeader(t *testing.T) {
	self, other := Member{ID: ID{"a", 1}, Address: "a:1"}, Member{ID: ID{"b", 1}, Address: "b:1", Version: "e.1 f.1"}
	now := time.Unix(1000, 0)
	for version, want := range map[string]int{"e.2 f.1": 0, "e.1 g.1": 1, "e.1 f.0": 1, "e.9": 1} {
		c := NewCouncil(self, DefaultTerms())
		c.Follow(View{Version: "e.1 f.1", Members: []Member{self, other}}, now, now)
		c.Heard(other, now)
		c.Follow(View{Version: version, Members: []Member{self}}, now, now)
		if got := len(c.Others(now)); got != want {
			t.Errorf("at %s: %d others, want %d", version, got, want)
		}
	}
}
