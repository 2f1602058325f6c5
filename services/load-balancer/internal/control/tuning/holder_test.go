package tuning

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// of are the settings of a version, or any others.
func of(n int) Settings { return Settings{Policy: Random, MaxConnections: n, Timeout: time.Second} }

func TestHolder_FollowsTheDefaultsUntilThereAreOthers(t *testing.T) {
	var notified []Settings
	h := NewHolder(func(s Settings) { notified = append(notified, s) })
	if h.Current() != Defaults() {
		t.Errorf("%+v is followed at first", h.Current())
	}
	for range 2 {
		if !h.Follow(of(1), 7) || h.Current() != of(1) {
			t.Errorf("%+v is followed, want what came", h.Current())
		}
	}
	if len(notified) != 1 || notified[0] != of(1) {
		t.Errorf("notified of %v, want the one change", notified)
	}
}

// What comes in which order, and what is followed after.
func TestHolder_TheNewestVersionStays(t *testing.T) {
	type step struct {
		version  uint64
		settings int
		followed bool
		want     int
	}
	for name, steps := range map[string][]step{
		"a poll that was read before the change comes after its answer": {{5, 1, true, 1}, {9, 2, true, 2}, {5, 1, false, 2}, {9, 2, true, 2}},
		"a later change of another replica came before the answer":      {{9, 3, true, 3}, {7, 2, false, 3}},
		"they were set back": {{5, 1, true, 1}, {7, 2, true, 2}, {9, 1, true, 1}, {7, 2, false, 1}},
		"the same again under a new version, and then what was between":  {{5, 1, true, 1}, {9, 1, true, 1}, {7, 2, false, 1}},
		"a controller older than versions is followed as it comes":       {{0, 1, true, 1}, {0, 2, true, 2}, {0, 1, true, 1}},
		"the controller is brought up to date":                           {{0, 1, true, 1}, {5, 2, true, 2}, {4, 1, false, 2}},
		"the controller is set back to before versions, and forth":       {{5, 1, true, 1}, {0, 2, true, 2}, {5, 1, true, 1}},
		"old and new replicas of the controller answer by turns":         {{5, 1, true, 1}, {0, 1, true, 1}, {9, 2, true, 2}, {0, 2, true, 2}, {9, 2, true, 2}},
		"one version with two texts, as when a first read is incomplete": {{5, 1, true, 1}, {5, 2, true, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHolder(nil)
			for i, s := range steps {
				if followed := h.Follow(of(s.settings), s.version); followed != s.followed || h.Current() != of(s.want) {
					t.Fatalf("step %d: followed %v, now %+v; want %v, %+v", i, followed, h.Current(), s.followed, of(s.want))
				}
			}
		})
	}
}

func TestHolder_InWhateverOrderTheyComeTheNewestIsFollowedInTheEnd(t *testing.T) {
	const most = 50
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		order := random.Perm(most)
		order = append(order, random.Perm(most)...) // each on two ways
		var notified []int
		h := NewHolder(func(s Settings) { notified = append(notified, s.MaxConnections) })
		var all sync.WaitGroup
		for half := range slices.Chunk(order, most) {
			all.Go(func() {
				for _, n := range half {
					h.Follow(of(n+1), uint64(n+1))
				}
			})
		}
		all.Wait()
		if h.Current() != of(most) || !slices.IsSorted(notified) {
			t.Fatalf("seed %d: %+v is followed after %v", seed, h.Current(), notified)
		}
	}
}

func TestSettings_TakeTheirDefaultsAndName(t *testing.T) {
	if got := (Settings{}).OrDefaults(); got != Defaults() {
		t.Errorf("nothing set gives %+v", got)
	}
	if got := of(1).OrDefaults(); got != of(1) {
		t.Errorf("all set gives %+v", got)
	}
	for policy, want := range map[string]string{
		RoundRobin: balance.RoundRobinName, LeastConnections: balance.LeastConnectionsName, Random: balance.RandomName, "newer": "newer",
	} {
		if got := (Settings{Policy: policy}).Algorithm(); got != want {
			t.Errorf("%s is the algorithm %q, want %q", policy, got, want)
		}
	}
}
