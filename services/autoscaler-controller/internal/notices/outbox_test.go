package notices

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// post is an outbox, and what it dropped.
type post struct {
	*Outbox
	dropped map[Dropped]int
}

func newPost() post {
	p := post{dropped: map[Dropped]int{}}
	p.Outbox = New("nemesis-system", func(why Dropped, _ Receiver) { p.dropped[why]++ })
	return p
}

func chat() Receiver {
	return Receiver{Name: "chat", URL: "https://chat.example", Format: "Slack", PerMinute: 60}
}

// failed is a notice that everybody is told of, unlike any other.
func failed(namespace string, number int, at time.Time) Notice {
	return Notice{Kind: fleet.ScaleFailed, Namespace: namespace, Autoscaler: "a", Deployment: fmt.Sprintf("d%d", number), At: at, Warning: true, Message: "no"}
}

// deliver takes everything that may go at now, and has it taken; it says what it was, as "receiver deployment".
func (p post) deliver(now time.Time, v Verdict) (got []string) {
	var all []Delivery
	for d, _, ok := p.Next(now); ok; d, _, ok = p.Next(now) {
		got = append(got, d.Receiver.Namespace+"/"+d.Receiver.Name+" "+d.Notice.Deployment)
		all = append(all, d)
	}
	for _, d := range all {
		p.Done(d, v, 0, 0.5, now)
	}
	return got
}

func (p post) expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (p post) lost(t *testing.T, want map[Dropped]int) {
	t.Helper()
	if !maps.Equal(p.dropped, want) {
		t.Errorf("dropped %v, want %v", p.dropped, want)
	}
}

func TestOutbox_TellsANamespaceOfItsOwnAlone_AndTheOperatorOfAll(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	p.Follow("b", []Receiver{chat()})
	p.Follow("nemesis-system", []Receiver{chat()})
	for i, namespace := range []string{"a", "b", "c", "nemesis-system"} {
		if !p.Add(failed(namespace, i, start), start) {
			t.Errorf("nobody was told of %s", namespace)
		}
	}
	got := p.deliver(start, Taken)
	for range 5 {
		got = append(got, p.deliver(start, Taken)...)
	}
	p.expect(t, "deliveries", got,
		"b/chat d1", "nemesis-system/chat d0", "a/chat d0", "nemesis-system/chat d1", "nemesis-system/chat d2", "nemesis-system/chat d3")
	if p.Waiting() != 0 {
		t.Errorf("%d wait", p.Waiting())
	}
}

func TestReceiver_WantsWhatItSays(t *testing.T) {
	woken := Notice{Kind: fleet.Woken, Namespace: "n", Deployment: "d"}
	whole := Notice{Kind: fleet.Refused, Namespace: "n", Autoscaler: "a"}
	for name, c := range map[string]struct {
		r    Receiver
		n    Notice
		want bool
	}{
		"by default not that it woke":             {Receiver{}, woken, false},
		"by default not that it sleeps":           {Receiver{}, Notice{Kind: fleet.Slept}, false},
		"by default not that it was scaled":       {Receiver{}, Notice{Kind: fleet.Scaled}, false},
		"that it was scaled who names it":         {Receiver{Kinds: []fleet.Happening{fleet.Scaled}}, Notice{Kind: fleet.Scaled}, true},
		"by default that a start failed":          {Receiver{}, Notice{Kind: fleet.WakeUpFailed}, true},
		"what it names":                           {Receiver{Kinds: []fleet.Happening{fleet.Woken}}, woken, true},
		"not what it does not name":               {Receiver{Kinds: []fleet.Happening{fleet.Woken}}, whole, false},
		"its Deployments":                         {Receiver{Kinds: []fleet.Happening{fleet.Woken}, Deployments: []string{"c", "d"}}, woken, true},
		"no others":                               {Receiver{Kinds: []fleet.Happening{fleet.Woken}, Deployments: []string{"c"}}, woken, false},
		"of single ones nothing about the whole":  {Receiver{Deployments: []string{"a"}}, whole, false},
		"who names none is told of the whole too": {Receiver{}, whole, true},
	} {
		if got := c.r.Wants(c.n); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOutbox_TellsTheSameOnce_AndCountsIt(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	n := failed("a", 1, start)
	n.Message = "quota exceeded: 7 pods"
	p.Add(n, start)
	n.Message = "quota exceeded: 9 pods" // a number that grows is no news
	for i := range 3 {
		if p.Add(n, start.Add(time.Duration(i)*time.Minute)) {
			t.Error("the same was told again")
		}
	}
	other := n
	other.Message = "the API server is away"
	if !p.Add(other, start) {
		t.Error("another reason was not told")
	}
	p.expect(t, "deliveries", append(p.deliver(start, Taken), p.deliver(start, Taken)...), "a/chat d1", "a/chat d1")
	later := start.Add(quietFor)
	n.At = later
	if !p.Add(n, later) {
		t.Fatal("after ten minutes it is told again")
	}
	d, _, ok := p.Next(later)
	if !ok || d.Notice.Repeats != 3 {
		t.Errorf("%v: %d repeats, want 3", ok, d.Notice.Repeats)
	}
}

func TestOutbox_ThatItWokeIsNewsEachTime(t *testing.T) {
	p := newPost()
	r := chat()
	r.Kinds = []fleet.Happening{fleet.Woken, fleet.Slept, fleet.Scaled}
	p.Follow("a", []Receiver{r})
	for range 2 {
		for _, kind := range r.Kinds {
			if !p.Add(Notice{Kind: kind, Namespace: "a", Deployment: "d", At: start}, start) {
				t.Errorf("%s was not told", kind)
			}
		}
	}
}

func TestOutbox_GoesAtAPace(t *testing.T) {
	p := newPost()
	r := chat()
	r.PerMinute = 6
	p.Follow("a", []Receiver{r})
	for i := range 10 {
		p.Add(failed("a", i, start), start)
	}
	sent := 0
	for range 20 {
		sent += len(p.deliver(start, Taken))
	}
	if sent != burst {
		t.Errorf("%d at once, want %d", sent, burst)
	}
	_, due, ok := p.Next(start)
	if want := start.Add(10 * time.Second); ok || !due.Equal(want) {
		t.Errorf("the next is due %v, want %v", due, want)
	}
	p.expect(t, "ten seconds later", append(p.deliver(due, Taken), p.deliver(due, Taken)...), "a/chat d5")
}

func TestOutbox_TriesAgainLessAndLess_AndGivesUpInTime(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	p.Add(failed("a", 1, start), start)
	now, pauses := start, []time.Duration{}
	for p.Waiting() > 0 {
		d, due, ok := p.Next(now)
		if !ok {
			if due.IsZero() {
				t.Fatal("it waits for nothing")
			}
			pauses = append(pauses, due.Sub(now))
			now = due
			continue
		}
		p.Done(d, Later, 0, 0.5, now)
	}
	want := []time.Duration{2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120, 120}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	p.lost(t, map[Dropped]int{DroppedAged: 1})
}

func TestOutbox_LeavesAReceiverAloneForAsLongAsItAsks_WithinBounds(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{0: 2 * time.Second, time.Minute: time.Minute, time.Hour: mostPause} {
		p := newPost()
		p.Follow("a", []Receiver{chat()})
		p.Add(failed("a", 1, start), start)
		d, _, _ := p.Next(start)
		p.Done(d, Later, asked, 0.5, start)
		if _, due, _ := p.Next(start); due.Sub(start) != want {
			t.Errorf("asked for %v: %v, want %v", asked, due.Sub(start), want)
		}
	}
}

func TestOutbox_OneThatDoesNotAnswerHoldsUpNobodyElse(t *testing.T) {
	p := newPost()
	other := chat()
	other.Name = "other"
	p.Follow("a", []Receiver{chat(), other})
	for i := range 3 {
		p.Add(failed("a", i, start), start)
	}
	d, _, _ := p.Next(start) // and it stays under way
	var got []string
	for range 5 {
		for e, _, ok := p.Next(start); ok; e, _, ok = p.Next(start) {
			got = append(got, e.Receiver.Name+" "+e.Notice.Deployment)
			p.Done(e, Taken, 0, 0, start)
		}
	}
	if d.Receiver.Name != "other" {
		t.Fatalf("%s was first", d.Receiver.Name)
	}
	p.expect(t, "to the other one", got, "chat d0", "chat d1", "chat d2")
}

func TestOutbox_KeepsOrderOverAFailure(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	p.Add(failed("a", 1, start), start)
	p.Add(failed("a", 2, start), start)
	d, _, _ := p.Next(start)
	p.Done(d, Later, 0, 0.5, start)
	later := start.Add(time.Minute)
	p.expect(t, "deliveries", append(p.deliver(later, Taken), p.deliver(later, Taken)...), "a/chat d1", "a/chat d2")
}

func TestOutbox_IsBoundedForOneAndForAll(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	for i := range laneWaits + 3 {
		p.Add(failed("a", i, start), start)
	}
	if d, _, _ := p.Next(start); d.Notice.Deployment != "d3" {
		t.Errorf("the oldest is %s, want d3: the oldest go", d.Notice.Deployment)
	}
	p.lost(t, map[Dropped]int{DroppedFull: 3})

	p = newPost()
	for i := range 2 * allWaits / laneWaits {
		namespace := fmt.Sprintf("n%d", i)
		p.Follow(namespace, []Receiver{chat()})
		for j := range laneWaits {
			p.Add(failed(namespace, j, start), start)
		}
	}
	if p.Waiting() != allWaits || p.dropped[DroppedFull] != allWaits {
		t.Errorf("%d wait, %v dropped", p.Waiting(), p.dropped)
	}
}

func TestOutbox_DropsWhatIsOld(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	p.Add(failed("a", 1, start), start)
	p.Add(failed("a", 2, start.Add(time.Minute)), start)
	p.expect(t, "after a quarter of an hour", p.deliver(start.Add(waitsFor), Taken), "a/chat d2")
	p.lost(t, map[Dropped]int{DroppedAged: 1})
}

func TestOutbox_WhatIsRefusedIsNotTriedAgain_AndTheNextIs(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	p.Add(failed("a", 1, start), start)
	p.Add(failed("a", 2, start), start)
	p.expect(t, "first", p.deliver(start, Never), "a/chat d1")
	p.expect(t, "second", p.deliver(start, Taken), "a/chat d2")
	p.lost(t, map[Dropped]int{DroppedRefused: 1})
}

func TestOutbox_WhoWantsNothingAnyMoreGetsNothing_UntilItsSecretChanges(t *testing.T) {
	p := newPost()
	p.Follow("a", []Receiver{chat()})
	p.Add(failed("a", 1, start), start)
	p.Add(failed("a", 2, start), start)
	p.expect(t, "first", p.deliver(start, Gone), "a/chat d1")
	if p.Add(failed("a", 3, start), start) || p.Waiting() != 0 {
		t.Error("it is told nevertheless")
	}
	p.lost(t, map[Dropped]int{DroppedReceiver: 2})
	p.Follow("a", []Receiver{chat()})
	if !p.Add(failed("a", 4, start), start) {
		t.Error("after the Secret was written anew it is told nothing")
	}
}

func TestOutbox_WhatWaitsStaysWhereTheReceiverStays(t *testing.T) {
	p := newPost()
	moved := chat()
	moved.Name = "moved"
	p.Follow("a", []Receiver{chat(), moved})
	p.Add(failed("a", 1, start), start)
	under, _, _ := p.Next(start)
	p.Done(under, Later, 0, 0, start)
	key, elsewhere := chat(), moved
	key.Keys, elsewhere.URL = "whsec_new", "https://other.example"
	p.Follow("a", []Receiver{key, elsewhere})
	p.lost(t, map[Dropped]int{DroppedReceiver: 1})
	d, _, ok := p.Next(start.Add(time.Minute))
	if !ok || d.Receiver.Name != "chat" || d.Receiver.Keys != "whsec_new" {
		t.Errorf("next: %v %+v", ok, d.Receiver)
	}
	p.Follow("a", nil) // while it is under way
	p.Done(d, Later, 0, 0, start.Add(time.Minute))
	p.lost(t, map[Dropped]int{DroppedReceiver: 2})
	if p.Waiting() != 0 || len(p.Namespaces()) != 0 {
		t.Errorf("%d wait, of %v", p.Waiting(), p.Namespaces())
	}
}

func TestOutbox_BoundsWhatIsUnderWay(t *testing.T) {
	p := newPost()
	for i := range mostAtATime + 1 {
		namespace := fmt.Sprintf("n%d", i)
		p.Follow(namespace, []Receiver{chat()})
		p.Add(failed(namespace, i, start), start)
	}
	var under []Delivery
	for d, _, ok := p.Next(start); ok; d, _, ok = p.Next(start) {
		under = append(under, d)
	}
	if len(under) != mostAtATime {
		t.Fatalf("%d are under way", len(under))
	}
	p.Done(under[0], Taken, 0, 0, start)
	if _, _, ok := p.Next(start); !ok {
		t.Error("the last one is not sent")
	}
}

func TestOutbox_WhoseTurnItIsStaysSoAsReceiversComeAndGo(t *testing.T) {
	p := newPost()
	for i, namespace := range []string{"c", "e", "a"} {
		p.Follow(namespace, []Receiver{chat()})
		p.Add(failed(namespace, i, start), start)
		p.Add(failed(namespace, i, start), start.Add(quietFor))
	}
	turn := func(want string) {
		t.Helper()
		d, _, _ := p.Next(start)
		p.Done(d, Taken, 0, 0, start)
		if d.Receiver.Namespace != want {
			t.Errorf("it is the turn of %q, want %q", d.Receiver.Namespace, want)
		}
	}
	turn("e")
	p.Follow("b", []Receiver{chat(), {Name: "other"}})
	turn("a")
	p.Follow("b", nil)
	p.Follow("a", []Receiver{chat()})
	turn("c")
	turn("e")
}

// A controller that starts sees thousands of Secrets, one after the other, and looks after each whether there is anything to tell.
func TestOutbox_OneNamespaceMoreCostsLittleHoweverManyThereAre(t *testing.T) {
	p := newPost()
	follow := func(i int) { p.Follow(fmt.Sprintf("n%d", i*7919%10007), []Receiver{chat()}) }
	for i := range 5000 {
		follow(i)
	}
	p.Add(failed("n0", 1, start), start)
	d, _, _ := p.Next(start)
	p.Done(d, Later, 0, 0, start) // waits
	i := 5000
	allocations := testing.AllocsPerRun(100, func() {
		follow(i)
		p.Next(start)
		i++
	})
	if allocations > 8 {
		t.Errorf("%v allocations for one more", allocations)
	}
}

func BenchmarkOutbox_Follow5000(b *testing.B) {
	for b.Loop() {
		p := newPost()
		for i := range 5000 {
			p.Follow(fmt.Sprintf("n%d", i*7919%10007), []Receiver{chat()})
			p.Next(start)
		}
	}
}

func TestRepeats_AreBounded(t *testing.T) {
	var r repeats
	for i := range keptRepeats + 10 {
		n := failed("a", i, start)
		r.tell(&n, start)
	}
	if len(r.of) != keptRepeats || r.told.Len() != keptRepeats {
		t.Errorf("%d and %d are kept", len(r.of), r.told.Len())
	}
}

func TestNotice_InWords(t *testing.T) {
	for want, n := range map[string]Notice{
		"shop/llama is awake: 0 → 1":                                            {Kind: fleet.Woken, Namespace: "shop", Autoscaler: "a", Deployment: "llama", Message: "0 → 1"},
		"shop/a is not accepted: /x is b's":                                     {Kind: fleet.Refused, Namespace: "shop", Autoscaler: "a", Message: "/x is b's"},
		"shop/llama cannot be scaled: no (once more since it was last told)":    {Kind: fleet.ScaleFailed, Namespace: "shop", Deployment: "llama", Message: "no", Repeats: 1},
		"shop/llama cannot be scaled: no (7 times more since it was last told)": {Kind: fleet.ScaleFailed, Namespace: "shop", Deployment: "llama", Message: "no", Repeats: 7},
		"shop/llama was scaled: 1 → 3: 12 requests wait":                        {Kind: fleet.Scaled, Namespace: "shop", Deployment: "llama", Message: "1 → 3: 12 requests wait", From: 1, To: 3},
		"shop/llama sleeps": {Kind: fleet.Slept, Namespace: "shop", Deployment: "llama"},
	} {
		if got := n.Text(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, kind := range fleet.Happenings {
		if titles[kind] == "" {
			t.Errorf("%s has no words", kind)
		}
	}
}
