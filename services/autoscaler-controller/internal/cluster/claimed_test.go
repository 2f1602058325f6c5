package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// asks makes an object ask for something else, by an edit.
func asks(u *unstructured.Unstructured, targets ...any) {
	u.SetGeneration(u.GetGeneration() + 1)
	u.Object["spec"] = map[string]any{"targetDeployments": targets}
}

// writes makes an object's status what whoever leads would write of it, who has seen it in a world.
func writes(t *testing.T, w *world, u *unstructured.Unstructured) {
	t.Helper()
	known, there := w.autoscalers.get(fleet.Autoscaler{Namespace: u.GetNamespace(), Name: u.GetName()})
	if !there {
		t.Fatalf("%s is not known", u.GetName())
	}
	s := contract.NewStatus(known.standing(), nil, contract.Status{}, day)
	raw, err := s.Patch(contract.Status{})
	if err != nil {
		t.Fatal(err)
	}
	status := &unstructured.Unstructured{}
	if err := status.UnmarshalJSON([]byte(`{"apiVersion": "v", "kind": "k", ` + strings.TrimPrefix(string(raw), "{"))); err != nil {
		t.Fatal(err)
	}
	u.Object["status"] = status.Object["status"]
}

// since is when the targets of an object began to be asked for.
func since(w *world, u *unstructured.Unstructured) []time.Time {
	known, _ := w.autoscalers.get(fleet.Autoscaler{Namespace: u.GetNamespace(), Name: u.GetName()})
	return known.said.since
}

// The object of b is older; what its editor adds to it is not.
func TestWatcher_AnEditOfAnOldObjectTakesNothing(t *testing.T) {
	thief, shop := in("b", "thief", 0, target("app", "/mine")), in("a", "shop", 60, target("app", "/shop"))
	w := newWorld(t, thief, shop)
	writes(t, w, thief)
	writes(t, w, shop)
	host := target("app", "/shop")
	host["hosts"] = []any{"shop.example"}
	for name, more := range map[string]any{
		"the same prefix": target("app", "/shop"), "a longer prefix": target("app", "/shop/login"), "a shorter prefix": target("app", "/"), "a host": host,
	} {
		stays := func(when string, w *world) {
			t.Helper()
			if mine, theirs := w.standsOf("a", "shop"), w.standsOf("b", "thief"); mine != "false " || !strings.HasPrefix(theirs, "true app: apiPrefix /") {
				t.Errorf("%s, %s: the shop stands %q, who was edited %q", name, when, mine, theirs)
			}
			if c, _ := w.index.Claim(fleet.Key{Namespace: "b", Deployment: "app"}); !slices.Equal(c.Targets, []int{1}) {
				t.Errorf("%s, %s: what was there before is had at %v", name, when, c.Targets)
			}
		}
		edited := thief.DeepCopy()
		w := newWorld(t, edited, shop)
		asks(edited, more, target("app", "/mine"))
		w.see(edited)
		stays("live", w)
		stays("after a restart, the edit in no status yet", newWorld(t, edited, shop))
		writes(t, w, edited)
		stays("after a restart", newWorld(t, edited, shop))
		w.remove(shop)
		if got := w.standsOf("b", "thief"); got != "false " {
			t.Errorf("%s, when the other one goes: %s", name, got)
		}
	}
}

func TestWatcher_ADeploymentIsNotTakenByAnEdit(t *testing.T) {
	old, young := object("a", 1, target("free", "/free")), object("b", 1, target("app", "/app"))
	w := newWorld(t, old, young)
	asks(old, target("free", "/free"), target("app", "/other"))
	w.see(old)
	for _, w := range []*world{w, newWorld(t, old, young)} {
		if o := w.apps.claimOf(theApp); o.by.Name != "b" || !strings.Contains(w.standsOf("ns", "a"), "belongs to the CustomAutoscaler b") {
			t.Errorf("it is %s's; a stands %q", o.by.Name, w.standsOf("ns", "a"))
		}
	}
}

// Since when is known is said by the status of this very spec, else by what was seen before, else by an older
// status; and where nobody ever said it, by the object.
func TestWatcher_SinceWhenSomethingIsAskedFor(t *testing.T) {
	claim := func(prefix string, at time.Time) any {
		return map[string]any{"deployment": "app", "apiPrefix": prefix, "claimedSince": at.Format(time.RFC3339Nano)}
	}
	status := func(generation int64, claims ...any) map[string]any {
		s := map[string]any{"observedGeneration": generation}
		if len(claims) > 0 {
			s["claims"] = claims
		}
		return s
	}
	hour := day.Add(time.Hour)
	began := time.Now().Truncate(time.Millisecond)
	for name, c := range map[string]struct {
		generation int64
		status     any
		want       []time.Time // the zero value: now
	}{
		"no status, never edited":             {1, nil, []time.Time{day, day}},
		"no status, edited":                   {2, nil, []time.Time{{}, {}}},
		"of 0.1.0":                            {2, status(2), []time.Time{day, day}},
		"of 0.1.0, edited since":              {3, status(2), []time.Time{{}, {}}},
		"of this spec":                        {2, status(2, claim("/x", hour), claim("/y", day)), []time.Time{hour, day}},
		"edited since":                        {3, status(2, claim("/x", hour)), []time.Time{hour, {}}},
		"one that no record is of":            {2, status(2, claim("/y", hour)), []time.Time{{}, hour}},
		"older than the object":               {2, status(2, claim("/x", day.Add(-1)), claim("/y", hour)), []time.Time{day, hour}},
		"something that is no status of ours": {2, map[string]any{"observedGeneration": int64(2), "claims": "x"}, []time.Time{{}, {}}},
	} {
		u := object("ca", c.generation, target("app", "/x"), target("app", "/y"))
		if c.status != nil {
			u.Object["status"] = c.status
		}
		w := newWorld(t, u)
		got := since(w, u)
		for i, want := range c.want {
			if want.IsZero() && got[i].Before(began) || !want.IsZero() && !got[i].Equal(want) {
				t.Errorf("%s: it is asked for since %v, want %v", name, got, c.want)
			}
		}
	}
}

// Who follows has seen an edit a moment before or after whoever leads.
func TestWatcher_WhoLeadsSaysSinceWhen(t *testing.T) {
	ca := object("ca", 1, target("app", "/app"))
	leader, w := newWorld(t, ca.DeepCopy()), newWorld(t, ca)
	edited := ca.DeepCopy()
	asks(edited, target("app", "/app"), target("app", "/more"))
	w.see(edited)
	leader.index.Update(nil, nil)
	leader.see(in("z", "later", 365*24*3600, target("x", "/z"))) // of which the leader alone knows
	leader.see(edited)
	writes(t, leader, edited)
	w.sink.takes()
	w.see(edited)
	if got, want := since(w, edited), since(leader, edited); !got[1].Equal(want[1]) || !got[0].Equal(day) {
		t.Errorf("it is asked for since %v, as whoever leads says since %v", got, want)
	}
	w.sink.takes()
	w.see(edited)
	says(t, w, "the same again")

	// A status of what was asked for before says nothing of what is asked for now.
	back := edited.DeepCopy()
	asks(back, target("app", "/app"))
	w.see(back)
	asks(back, target("app", "/app"), target("app", "/more"))
	w.see(back)
	if got := since(w, back); !got[1].After(since(leader, edited)[1]) {
		t.Errorf("asked for again, it is as old as before: %v", got)
	}
}

func TestWatcher_AnotherObjectOfTheNameIsAsOldAsItIs(t *testing.T) {
	ca := object("ca", 1, target("app", "/app"))
	w := newWorld(t, ca)
	again := in("ns", "ca", 60, target("app", "/app"))
	again.SetUID("another")
	w.see(again)
	if got := since(w, again); !got[0].Equal(day.Add(time.Minute)) {
		t.Errorf("it is asked for since %v", got)
	}
}

func TestAdvise_WarnsOfAnEditThatWouldNotGetWhatItAdds(t *testing.T) {
	old, shop := in("b", "old", 0, target("app", "/mine")), in("a", "shop", 60, target("app", "/shop"))
	w := newWorld(t, old, shop)
	advise := func(created time.Time, targets ...any) []string {
		spec, err := contract.ReadSpec(map[string]any{"spec": map[string]any{"targetDeployments": targets}})
		if err != nil {
			t.Fatal(err)
		}
		return w.Advise(fleet.Autoscaler{Namespace: "b", Name: "old"}, created, spec)
	}
	if got := advise(day, target("app", "/mine"), target("app", "/shop/login")); len(got) != 1 || !strings.Contains(got[0], "/shop/login overlaps") {
		t.Errorf("what it adds: %q", got)
	}
	if got := advise(day, target("app", "/mine"), target("app", "/mine/more")); len(got) != 0 {
		t.Errorf("what is free: %q", got)
	}
}
