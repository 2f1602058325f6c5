package paging

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

var pods = List{Name: "pods", Selection: []string{"default", "", "app=x"}, Keys: 2}

// walk reads all pages of a list. between is done after each.
func walk(t *testing.T, limit int, keys func() [][]string, between func()) []string {
	t.Helper()
	var got []string
	token := ""
	for range 10_000 {
		after, err := pods.Open(token)
		if err != nil {
			t.Fatal(err)
		}
		p := NewPage[string](limit, after)
		for _, k := range keys() {
			if !p.Add(k, func() string { return strings.Join(k, "/") }) {
				break
			}
		}
		if limit > 0 && len(p.Items) > limit || p.More && len(p.Items) == 0 {
			t.Fatalf("a page of %d, more %v", len(p.Items), p.More)
		}
		got = append(got, p.Items...)
		if !p.More {
			return got
		}
		token = pods.Token(p.Last())
		between()
	}
	t.Fatal("it has no end")
	return nil
}

func ordered(n int) (keys [][]string) {
	for i := range n {
		keys = append(keys, []string{fmt.Sprint("ns", i%3), fmt.Sprintf("%03d", i)})
	}
	slices.SortFunc(keys, slices.Compare)
	return keys
}

func TestPages_OfAnySizeAreTheWholeList(t *testing.T) {
	for n := range 30 {
		keys := ordered(n)
		var want []string
		for _, k := range keys {
			want = append(want, strings.Join(k, "/"))
		}
		for limit := range n + 2 {
			if diff := cmp.Diff(want, walk(t, limit, func() [][]string { return keys }, func() {})); diff != "" {
				t.Fatalf("%d in pages of %d (-want +got):\n%s", n, limit, diff)
			}
		}
	}
}

// What comes and goes beside it keeps nothing that stays from standing in the pages once.
func TestPages_WhatStaysStandsInThemOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		limit, stays, now := 1+random.IntN(5), ordered(20), ordered(20)
		got := walk(t, limit, func() [][]string { return now }, func() {
			now = slices.Clone(stays)
			for range random.IntN(10) {
				now = append(now, []string{fmt.Sprint("ns", random.IntN(3)), fmt.Sprintf("%03d-%d", random.IntN(20), random.IntN(9))})
			}
			slices.SortFunc(now, slices.Compare)
			now = slices.CompactFunc(now, slices.Equal)
		})
		seen := map[string]int{}
		for _, g := range got {
			if seen[g]++; seen[g] > 1 {
				t.Fatalf("%s stands there %d times", g, seen[g])
			}
		}
		for _, k := range stays {
			if seen[strings.Join(k, "/")] != 1 {
				t.Fatalf("%v is missing from %v", k, got)
			}
		}
	}
}

func TestOpen_RefusesWhatIsNoPlaceOfThisList(t *testing.T) {
	good := pods.Token([]string{"default", "a"})
	if after, err := pods.Open(good); err != nil || !slices.Equal(after, []string{"default", "a"}) {
		t.Fatalf("%v %v", after, err)
	}
	if after, err := pods.Open(""); err != nil || after != nil {
		t.Fatalf("%v %v", after, err)
	}
	other, selected := pods, pods
	other.Name = "metrics"
	selected.Selection = []string{"default", "app=x", ""}
	for name, c := range map[string]struct {
		token string
		code  fault.Code
		says  string
	}{
		"of another list":       {other.Token([]string{"default", "a"}), fault.Invalid, "the list of metrics"},
		"of another selection":  {selected.Token([]string{"default", "a"}), fault.Invalid, "the same selection"},
		"with a shorter key":    {pods.Token([]string{"default"}), fault.Invalid, "as it was"},
		"cut":                   {good[:len(good)-3], fault.Invalid, "as it was"},
		"no base64":             {"!", fault.Invalid, "as it was"},
		"nothing in it":         {encoding.EncodeToString([]byte("1[]")), fault.Invalid, "as it was"},
		"with a space":          {encoding.EncodeToString([]byte(`1["pods", "x","a","b"]`)), fault.Invalid, "as it was"},
		"too long":              {strings.Repeat("a", maxToken+1), fault.Invalid, "as it was"},
		"of a version to come":  {encoding.EncodeToString([]byte("2whatever")), fault.Gone, "just now"},
		"Kubernetes' own place": {"eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NX0", fault.Invalid, "as it was"},
	} {
		after, err := pods.Open(c.token)
		e := fault.From(err)
		if after != nil || e.Code != c.code || len(e.Fields) != 1 || e.Fields[0].Field != "continue" || !strings.Contains(e.Fields[0].Allowed, c.says) || len(e.Fields[0].Value) > maxShown+3 {
			t.Errorf("%s: %v %+v", name, after, e)
		}
	}
}

func TestToken_OfTheLongestNamesIsWithinItsBound(t *testing.T) {
	long := strings.Repeat("a", 253)
	if n := len(List{Name: "decisions", Keys: 4}.Token([]string{long, long, long, long})); n > maxToken {
		t.Errorf("%d characters", n)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(pods.Token([]string{"default", "a"}))
	f.Add(List{Name: "decisions"}.Token([]string{"", "ü\n"}))
	f.Add("MVsicG9kcyIsIiIsImEiXQ")
	f.Add("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NX0")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parse(token)
		if err == nil && p.token() != token {
			t.Errorf("%q is read as %+v, which is written as %q", token, p, p.token())
		}
		after, refused := pods.Open(token)
		if refused == nil && token != "" && (err != nil || len(after) != pods.Keys) {
			t.Errorf("%q leads behind %q, %v", token, after, err)
		}
		if e := fault.From(refused); refused != nil && e.Code != fault.Invalid && e.Code != fault.Gone {
			t.Errorf("%q: %v", token, refused)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("pods", "default", "a")
	f.Fuzz(func(t *testing.T, name, a, b string) {
		if strings.ToValidUTF8(name+a+b, "") != name+a+b {
			t.Skip("no name in Kubernetes")
		}
		l := List{Name: name, Selection: []string{a, b}, Keys: 2}
		token := l.Token([]string{a, b})
		if len(token) > maxToken {
			t.Skip()
		}
		if after, err := l.Open(token); err != nil || !slices.Equal(after, []string{a, b}) {
			t.Errorf("got %q %v", after, err)
		}
	})
}
