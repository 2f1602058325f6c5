package routing

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// wish is what a target claims.
type wish struct {
	behind  bool
	entries []Entry[int]
}

// rebuilt is the table made anew of all that is claimed, and who lost a claim.
func rebuilt(all map[int]wish) (*Table[int], []int) {
	var first, behind []Entry[int]
	for _, target := range slices.Sorted(maps.Keys(all)) {
		if all[target].behind {
			behind = append(behind, all[target].entries...)
		} else {
			first = append(first, all[target].entries...)
		}
	}
	t, lost := NewTable(append(first, behind...))
	lost = slices.DeleteFunc(lost, func(target int) bool { return all[target].behind })
	slices.Sort(lost)
	return t, slices.Compact(lost)
}

var (
	someHosts    = []string{"a.example", "B.example", "b.EXAMPLE.:80", "c", "d", "", "[::1]:8080"}
	somePrefixes = []string{"/", "", "/x", "/x/", "x", "/x/y", "/x/y/z", "/longer/than/all", "/w"}
)

func randomWish(r *rand.Rand, target int) wish {
	w := wish{behind: r.IntN(5) == 0}
	for range 1 + r.IntN(3) {
		e := Entry[int]{Prefix: somePrefixes[r.IntN(len(somePrefixes))], Target: target}
		for range r.IntN(3) {
			e.Hosts = append(e.Hosts, someHosts[r.IntN(len(someHosts))])
		}
		w.entries = append(w.entries, e)
	}
	return w
}

// asked are answers of a table.
func asked(t *Table[int]) map[string]Match[int] {
	answers := map[string]Match[int]{}
	for _, host := range append([]string{"nobody"}, someHosts...) {
		for _, prefix := range append([]string{"/nowhere", "/x/yy", "/x/%79", "/longer/than/all/that"}, somePrefixes...) {
			if m, err := t.Match(host, prefix+"/q"); err == nil {
				answers[host+" "+prefix] = m
			}
		}
	}
	return answers
}

// In whatever order claims come and go, the table is the one made anew of what is claimed, and tables
// that were handed out before stay as they were.
func TestClaims_TheTableIsTheOneMadeAnew(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 4))
		c, all, losers := NewClaims(cmp.Compare[int]), map[int]wish{}, []int(nil)
		var before *Table[int]
		var answers map[string]Match[int]
		for step := range 60 {
			for range 1 + r.IntN(3) {
				target := r.IntN(12)
				if r.IntN(4) == 0 {
					delete(all, target)
					c.Drop(target)
				} else {
					all[target] = randomWish(r, target)
					c.Set(target, all[target].behind, all[target].entries)
				}
			}
			want, lost := rebuilt(all)
			now := asked(c.Table())
			if !maps.Equal(now, asked(want)) || c.Len() != len(all) {
				t.Fatalf("seed %d, step %d: %v, want %v", seed, step, now, asked(want))
			}
			news := slices.DeleteFunc(slices.Clone(lost), func(target int) bool { return slices.Contains(losers, target) })
			if got := c.Lost(); !slices.Equal(got, news) {
				t.Fatalf("seed %d, step %d: lost are %v, want %v of %v", seed, step, got, news, lost)
			}
			if before != nil && !maps.Equal(asked(before), answers) {
				t.Fatalf("seed %d, step %d: a table that was handed out has changed", seed, step)
			}
			before, answers, losers = c.Table(), now, lost
		}
		if claimed := len(c.claims); claimed > 0 && len(all) == 0 {
			t.Errorf("%d claims of nobody are kept", claimed)
		}
	}
}

func TestClaims_WhatStaysTheSameMakesNoOtherTable(t *testing.T) {
	c := NewClaims(cmp.Compare[int])
	entries := func() []Entry[int] { return []Entry[int]{{Hosts: []string{"a", "A"}, Prefix: "/x", Target: 1}} }
	c.Set(1, false, entries())
	table := c.Table()
	c.Set(1, false, entries())
	c.Drop(7)
	if c.Table() != table || len(c.Lost()) != 0 {
		t.Error("the same claim again makes another table, or is lost to itself")
	}
	c.Set(2, false, []Entry[int]{{Hosts: []string{"a"}, Prefix: "/x", Target: 2}})
	if c.Table() != table {
		t.Error("a claim that another one has makes another table")
	}
	if lost := c.Lost(); !slices.Equal(lost, []int{2}) || len(c.Lost()) != 0 {
		t.Errorf("lost are %v, once", lost)
	}
	c.Set(1, true, entries())
	if m, err := c.Table().Match("a", "/x"); err != nil || m.Target != 2 || len(c.Lost()) != 0 {
		t.Errorf("who stands behind keeps it: %+v, %v", m, err)
	}
}

func TestClaims_OfThousandsAreFoundWhileTheyComeAndGo(t *testing.T) {
	const many = 3000
	c := NewClaims(cmp.Compare[int])
	set := func(i int) {
		e := Entry[int]{Prefix: fmt.Sprint("/app-", i), Target: i}
		if i%2 == 0 {
			e.Hosts, e.Prefix = []string{fmt.Sprintf("app-%d.example", i)}, "/"
		}
		c.Set(i, false, []Entry[int]{e})
	}
	find := func(t2 *Table[int], i int) bool {
		host, path := "x", fmt.Sprint("/app-", i)
		if i%2 == 0 {
			host, path = fmt.Sprintf("app-%d.example", i), "/any"
		}
		m, err := t2.Match(host, path)
		return err == nil && m.Target == i
	}
	for i := range many {
		set(i)
	}
	full := c.Table()
	if shards := len(full.hosts.shards); shards < many/2/mostOfShard || shards > many/2/leastOfShard {
		t.Errorf("%d hosts are in %d maps", many/2, shards)
	}
	for i := range many {
		if !find(full, i) {
			t.Fatalf("%d is not found", i)
		}
		c.Drop(i)
		if i%97 == 0 && (find(c.Table(), i) || i+1 < many && !find(c.Table(), i+1)) {
			t.Fatalf("%d is found, or the next one is not", i)
		}
	}
	if empty := c.Table(); len(empty.hosts.shards) != 1 || len(c.built.byHost) != 0 || len(c.claims) != 0 || empty.anyHost.longest != 0 {
		t.Errorf("of nothing there are %d maps, %d hosts, %d claims", len(empty.hosts.shards), len(c.built.byHost), len(c.claims))
	}
	if !find(full, many-1) {
		t.Error("a table that was handed out has changed")
	}
}

// FuzzClaims plays a text as claims that come and go.
func FuzzClaims(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, all := NewClaims(cmp.Compare[int]), map[int]wish{}
		for ; len(text) >= 3; text = text[3:] {
			target := int(text[0] % 8)
			if text[0] >= 192 {
				delete(all, target)
				c.Drop(target)
				continue
			}
			w := wish{behind: text[0]&64 != 0, entries: []Entry[int]{{Prefix: somePrefixes[int(text[1])%len(somePrefixes)], Target: target}}}
			if text[2] > 31 {
				w.entries[0].Hosts = []string{someHosts[int(text[2])%len(someHosts)]}
			}
			all[target] = w
			c.Set(target, w.behind, w.entries)
		}
		want, _ := rebuilt(all)
		if got := asked(c.Table()); !maps.Equal(got, asked(want)) {
			t.Errorf("%v, want %v", got, asked(want))
		}
	})
}

func BenchmarkClaims_OneOfTenThousandMoves(b *testing.B) {
	c := NewClaims(cmp.Compare[int])
	entry := func(i, n int) []Entry[int] { return []Entry[int]{{Prefix: fmt.Sprint("/app-", i, "/", n), Target: i}} }
	for i := range 10000 {
		c.Set(i, false, entry(i, 0))
	}
	c.Table()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Set(i%10000, false, entry(i%10000, i))
		c.Table()
	}
}
