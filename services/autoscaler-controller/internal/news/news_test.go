package news

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func key(i int) fleet.Key { return fleet.Key{Namespace: "shop", Deployment: fmt.Sprint(i)} }

func at(epoch string, urgent, ordinary uint64) Position {
	return Position{Epoch: epoch, Urgent: urgent, Ordinary: ordinary}
}

func decision(i int, id string) fleet.Record { return fleet.Record{Key: key(i), ID: id} }

// words are items as a test reads them.
func words(items []Item) []string {
	var out []string
	for _, i := range items {
		switch i.Kind {
		case Changed:
			out = append(out, "changed "+i.Key.Deployment)
		case Removed:
			out = append(out, "removed "+i.Key.Deployment)
		case Decided:
			out = append(out, "decided "+i.Record.ID)
		}
	}
	return out
}

func TestSince_WhatChangedComesOnceAndInItsOrder(t *testing.T) {
	b := New("e")
	begin := b.Now()
	b.Changed(key(1), true)
	b.Changed(key(2), true)
	b.Decided(decision(1, "e-1"))
	b.Changed(key(1), true)
	b.Removed(key(2))
	news, _ := b.Since(begin, false, 100)
	if got := words(news.Items); !slices.Equal(got, []string{"decided e-1", "changed 1", "removed 2"}) || news.Reset || news.More {
		t.Errorf("%v, %+v", got, news)
	}
	again, _ := b.Since(news.Next, true, 100)
	if len(again.Items) != 0 || again.Next != b.Now() {
		t.Errorf("then there is nothing more: %v", words(again.Items))
	}
	b.Changed(key(2), true)
	if news, _ := b.Since(begin, false, 100); !slices.Equal(words(news.Items), []string{"decided e-1", "changed 1", "changed 2"}) {
		t.Errorf("it came back: %v", words(news.Items))
	}
}

func TestAfter_IsTheFirstOnesWhereverTheyBegin(t *testing.T) {
	for size := range 8 {
		l := list.New()
		for i := range size {
			renew(l, nil, uint64(10*i+10), key(i))
		}
		for n := range uint64(10*size + 20) {
			for most := range size + 2 {
				var want []Item
				for i := range size {
					if at := uint64(10*i + 10); at > n && len(want) < most {
						want = append(want, Item{N: at, Kind: Removed, Urgent: true, Key: key(i)})
					}
				}
				if got := after(l, n, most, Item{Kind: Removed, Urgent: true}); !slices.Equal(got, want) {
					t.Fatalf("%d of %d after %d: %+v, want %+v", most, size, n, got, want)
				}
			}
		}
	}
}

func TestOnRemoved_IsCalledBeforeItCanBeRead(t *testing.T) {
	b := New("e")
	begin := b.Now()
	var went []string
	for _, who := range []string{"one", "two"} {
		b.OnRemoved(func(k fleet.Key) {
			if news, _ := b.Since(begin, true, 100); slices.Contains(words(news.Items), "removed "+k.Deployment) {
				t.Errorf("%s can be read already", k)
			}
			went = append(went, who+" "+k.Deployment)
		})
	}
	b.Changed(key(1), true)
	b.Removed(key(1))
	b.Changed(key(1), true)
	b.Removed(key(2))
	if want := []string{"one 1", "two 1", "one 2", "two 2"}; !slices.Equal(went, want) {
		t.Errorf("%v, want %v", went, want)
	}
}

func TestSince_OrdinaryChangesComeWhenTheyAreAskedForAndBehindTheUrgent(t *testing.T) {
	b := New("e")
	p := b.Now()
	b.Changed(key(1), false)
	b.Changed(key(2), false)
	b.Changed(key(2), true)
	b.Changed(key(3), true)
	b.Changed(key(2), false)
	news, _ := b.Since(p, false, 100)
	if got := words(news.Items); !slices.Equal(got, []string{"changed 2", "changed 3"}) {
		t.Errorf("urgent: %v", got)
	}
	if p = news.Next; p.Ordinary != 0 {
		t.Errorf("the ordinary ones were not read: %v", p)
	}
	news, _ = b.Since(p, true, 100)
	if got := words(news.Items); !slices.Equal(got, []string{"changed 1", "changed 2"}) {
		t.Errorf("ordinary: %v", got)
	}
	news, _ = b.Since(New("e").Now(), true, 100)
	if got := words(news.Items); !slices.Equal(got, []string{"changed 2", "changed 3", "changed 1"}) {
		t.Errorf("both at once, each once: %v", got)
	}
}

func TestSince_APartIsTheOldestAndTheRestFollows(t *testing.T) {
	for _, urgent := range []bool{true, false} {
		b := New("e")
		p := b.Now()
		for i := range 10 {
			b.Changed(key(i), urgent)
		}
		var got []string
		for more := true; more; {
			news, _ := b.Since(p, true, 3)
			if len(news.Items) > 3 {
				t.Fatalf("%d items", len(news.Items))
			}
			got, p, more = append(got, words(news.Items)...), news.Next, news.More
		}
		if len(got) != 10 || got[0] != "changed 0" || got[9] != "changed 9" {
			t.Errorf("urgent %v: %v", urgent, got)
		}
	}
}

func TestSince_WhatIsNotRememberedIsAReset(t *testing.T) {
	many, gone := New("e"), New("e")
	for i := range keptDecisions + 1 {
		many.Decided(decision(1, fmt.Sprint(i)))
	}
	for i := range keptRemovals + 1 {
		gone.Changed(key(i), true)
		gone.Removed(key(i))
	}
	for name, c := range map[string]struct {
		b     *Board
		p     Position
		reset bool
	}{
		"another life":          {New("e"), at("f", 0, 0), true},
		"of later":              {New("e"), at("e", 1, 0), true},
		"later of the ordinary": {New("e"), at("e", 0, 1), true},
		"too many decisions":    {many, at("e", 0, 0), true},
		"just enough decisions": {many, at("e", 1, 0), false},
		"too many that went":    {gone, at("e", 1, 0), true},
		"just enough of these":  {gone, at("e", 2, 0), false},
		"nothing happened":      {New("e"), at("e", 0, 0), false},
		"no epoch at all":       {New("e"), Position{}, true},
	} {
		if news, _ := c.b.Since(c.p, true, 1<<20); news.Reset != c.reset || c.reset && (len(news.Items) > 0 || news.Next != c.b.Now()) {
			t.Errorf("%s: reset %v with %d items", name, news.Reset, len(news.Items))
		}
	}
	if len(gone.places) != keptRemovals {
		t.Errorf("%d places are kept of what went", len(gone.places))
	}
}

func TestSince_TheChannelClosesWithWhatIsUrgent(t *testing.T) {
	b := New("e")
	_, changed := b.Since(b.Now(), true, 1)
	b.Changed(key(1), false)
	select {
	case <-changed:
		t.Fatal("how much traffic there is wakes nobody")
	default:
	}
	for name, happen := range map[string]func(){
		"a change": func() { b.Changed(key(1), true) }, "a removal": func() { b.Removed(key(1)) }, "a decision": func() { b.Decided(decision(1, "x")) },
	} {
		_, changed := b.Since(b.Now(), true, 1)
		happen()
		select {
		case <-changed:
		default:
			t.Errorf("%s wakes nobody", name)
		}
	}
}

// Whatever happens and however it is read, a reader ends with what there is.
func TestSince_Property_AReaderIsNeverBehindForGood(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := New("e")
		versions, seen := map[fleet.Key]int{}, map[fleet.Key]int{}
		decided, heard := 0, 0
		p := b.Now()
		take := func(ordinary bool, most int) bool {
			news, _ := b.Since(p, ordinary, most)
			for _, i := range news.Items {
				switch v, there := versions[i.Key]; {
				case i.Kind == Decided:
					heard++
				case there:
					seen[i.Key] = v
				default:
					delete(seen, i.Key)
				}
			}
			p = news.Next
			return news.More
		}
		for step := range 300 {
			switch k := key(random.IntN(8)); random.IntN(6) {
			case 0:
				versions[k] = step
				b.Changed(k, true)
			case 1, 2:
				versions[k] = step
				b.Changed(k, false)
			case 3:
				if _, there := versions[k]; there {
					delete(versions, k)
					b.Removed(k)
				}
			case 4:
				b.Decided(decision(1, ""))
				decided++
			default:
				take(random.IntN(2) == 0, 1+random.IntN(4))
			}
		}
		for take(true, 3) {
		}
		if heard != decided || len(seen) != len(versions) {
			t.Fatalf("seed %d: %d of %d decisions, %v, there is %v", seed, heard, decided, seen, versions)
		}
		for k, v := range versions {
			if seen[k] != v {
				t.Fatalf("seed %d: %s was seen as of %d, it is as of %d", seed, k, seen[k], v)
			}
		}
	}
}

func TestParse_ReadsWhatStringWrites(t *testing.T) {
	for _, p := range []Position{at("k3x9", 18, 12), at("e", 0, 1<<64-1)} {
		if got, ok := Parse(p.String()); !ok || got != p {
			t.Errorf("%v is read as %v", p, got)
		}
	}
	for _, text := range []string{"", "e", "e.1", "e.1.2.3", ".1.2", "e.-1.2", "e.1.x", "e.18446744073709551616.1"} {
		if p, ok := Parse(text); ok || p != (Position{}) {
			t.Errorf("%q is read as %v, %v", text, p, ok)
		}
	}
}

// Load balancers report what is busy in the order of names, each second: who is told of a part of it each second is not
// to be told of the first ones alone.
func TestSince_WhereMoreIsBusyThanFitsEveryOneHasItsTurn(t *testing.T) {
	const busy, most = 2000, 500
	b := New("e")
	readers := []Position{b.Now(), b.Now(), b.Now()}
	told := make([]map[string]int, len(readers))
	for round := range 3 * busy / most {
		for i := range busy {
			b.Changed(key(i), false)
		}
		for r := range readers {
			if told[r] == nil {
				told[r] = map[string]int{}
			}
			if r == 2 && round%2 == 1 {
				continue // it is slower
			}
			news, _ := b.Since(readers[r], true, most)
			if len(news.Items) > most || news.Reset || news.Hurry {
				t.Fatalf("%d items, %+v", len(news.Items), news.Next)
			}
			for _, word := range words(news.Items) {
				told[r][word]++
			}
			readers[r] = news.Next
		}
	}
	for r, times := range []int{3, 3, 1} {
		for i := range busy {
			if n := told[r]["changed "+key(i).Deployment]; n < times || n > times+1 {
				t.Fatalf("reader %d was told of %d %d times, and is to be told %d times", r, i, n, times)
			}
		}
	}
}

// What is told to several is made once, if it is told at about the same time.
func TestSince_WhoComesLaterIsToldOfTheSame(t *testing.T) {
	const busy, most = 2000, 500
	b := New("e")
	first := b.Now()
	stir := func() {
		for i := range busy {
			b.Changed(key(i), false)
		}
	}
	read := func(p *Position) []string {
		news, _ := b.Since(*p, true, most)
		*p = news.Next
		return words(news.Items)
	}
	for range 2 {
		stir()
		read(&first)
	}
	second, told := b.Now(), map[string]int{}
	for range busy / most {
		stir()
		one, two := read(&first), read(&second)
		if !slices.Equal(one, two) {
			t.Fatalf("%s to %s, and %s to %s", one[0], one[len(one)-1], two[0], two[len(two)-1])
		}
		for _, word := range two {
			told[word]++
		}
	}
	if len(told) != busy {
		t.Errorf("%d of %d had their turn", len(told), busy)
	}
}

func TestSince_WhoComesBackInTheMidstOfARoundMissesNothing(t *testing.T) {
	b := New("e")
	p := b.Now()
	for i := range 10 {
		b.Changed(key(i), false)
	}
	news, _ := b.Since(p, true, 4)
	if !news.More || len(news.Items) != 4 {
		t.Fatalf("%d items of 10, more: %v", len(news.Items), news.More)
	}
	back, _ := Parse(news.Next.String())
	told := map[string]bool{}
	for more := true; more; {
		news, _ := b.Since(back, true, 4)
		for _, word := range words(news.Items) {
			told[word] = true
		}
		back, more = news.Next, news.More
	}
	if len(told) != 10 {
		t.Errorf("%d of 10: %v", len(told), told)
	}
	if again, _ := b.Since(back, true, 4); len(again.Items) > 0 {
		t.Errorf("then there is nothing more: %v", words(again.Items))
	}
}

func TestSince_WhatIsUrgentAndDidNotFitIsToBeAskedForAtOnce(t *testing.T) {
	b := New("e")
	p := b.Now()
	for i := range 5 {
		b.Changed(key(i), true)
		b.Changed(key(i+5), false)
	}
	for _, ordinary := range []bool{false, true} {
		news, _ := b.Since(p, ordinary, 3)
		if !news.Hurry || !news.More || len(news.Items) != 3 {
			t.Errorf("ordinary %v: %+v", ordinary, news)
		}
	}
	news, _ := b.Since(p, true, 5) // no room is left for the ordinary ones
	if news.Hurry || !news.More || len(news.Items) != 5 {
		t.Errorf("%+v", news)
	}
	rest, _ := b.Since(news.Next, true, 5)
	if rest.Hurry || rest.More || len(rest.Items) != 5 {
		t.Errorf("%+v", rest)
	}
}
