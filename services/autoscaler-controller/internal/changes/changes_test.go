package changes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiffer_ShowsWhatIsNotAlike(t *testing.T) {
	for _, c := range []struct{ before, after, was, is string }{
		{`{"idleTime":90,"mode":"Active"}`, `{"idleTime":60,"mode":"Active"}`, `{"idleTime":90}`, `{"idleTime":60}`},
		{`{"a":{"x":1,"y":2}}`, `{"a": {"y":2, "x":1}}`, ``, ``},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":9007199254740993}`, `{"a":9007199254740992}`},
		{``, `{"idleTime":60}`, ``, `{"idleTime":60}`},
		{`{"idleTime":60}`, ``, `{"idleTime":60}`, ``},
		{`{"gone":1}`, `{"new":null}`, `{"gone":1}`, `{"new":null}`},
		{`null`, `[1]`, ``, ``},
		{`{"a":1`, `nonsense`, ``, ``},
	} {
		was, is := Differ(json.RawMessage(c.before), json.RawMessage(c.after))
		if string(was) != c.was || string(is) != c.is {
			t.Errorf("%s to %s: %s to %s", c.before, c.after, was, is)
		}
	}
}

func FuzzDiffer_SaysNothingOfWhatIsAlike(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c":1e400}`)
	f.Fuzz(func(t *testing.T, text string) {
		if was, is := Differ(json.RawMessage(text), json.RawMessage(text)); was != nil || is != nil {
			t.Errorf("%q: %s to %s", text, was, is)
		}
	})
}

func TestFit_BoundsWhatIsKept(t *testing.T) {
	c := Fit(Change{
		Who: strings.Repeat("ü", 300), Resource: strings.Repeat("r", 1000), Reason: strings.Repeat("w", 5000),
		Before: json.RawMessage(`{"a":"` + strings.Repeat("x", maxSide) + `"}`), After: json.RawMessage(`{"a":1}`),
	})
	if c.Who != strings.Repeat("ü", 256) || len(c.Resource) != maxText || len(c.Reason) != maxWhy || string(c.Before) != `{"omittedBytes":4104}` || string(c.After) != `{"a":1}` {
		t.Errorf("%d %d %d %s %s", len(c.Who), len(c.Resource), len(c.Reason), c.Before, c.After)
	}
}

func at(n int) Change {
	return Change{ID: fmt.Sprint(n), Time: time.Unix(int64(n), 0), Resource: "r"}
}

func ids(list []Change) string {
	var all []string
	for _, c := range list {
		all = append(all, c.ID)
	}
	return strings.Join(all, " ")
}

func TestBook_KeepsTheLastOnesEachOnce(t *testing.T) {
	b := New()
	_, _, news := b.After(0, 10)
	if kept := b.Take(at(3), at(1), at(3)); kept != 2 {
		t.Errorf("kept %d", kept)
	}
	select {
	case <-news:
	default:
		t.Error("nobody was told")
	}
	if kept := b.Take(at(1), at(2)); kept != 1 {
		t.Errorf("kept %d", kept)
	}
	if _, _, news := b.After(3, 10); b.Take(at(2)) != 0 || isClosed(news) {
		t.Error("told of nothing")
	}
	all := func(*Change) bool { return true }
	if got := ids(b.Last(all, 10)); got != "3 2 1" {
		t.Errorf("the last are %s", got)
	}
	if got := ids(b.Last(func(c *Change) bool { return c.ID != "3" }, 1)); got != "2" {
		t.Errorf("the last of some is %s", got)
	}
	for i := range 2 * Kept {
		b.Take(at(10 + i))
	}
	if len(b.ring) != Kept || len(b.known) != Kept {
		t.Errorf("%d are kept, %d known", len(b.ring), len(b.known))
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestBook_IsReadOnFromAPlace(t *testing.T) {
	b := New()
	b.Take(at(1), at(2), at(3))
	list, last, _ := b.After(0, 2)
	if ids(list) != "1 2" || last != 2 {
		t.Errorf("%s until %d", ids(list), last)
	}
	if list, last, _ = b.After(last, 2); ids(list) != "3" || last != 3 {
		t.Errorf("%s until %d", ids(list), last)
	}
	if list, last, _ = b.After(last, 2); len(list) != 0 || last != 3 {
		t.Errorf("%s until %d", ids(list), last)
	}
	for i := range Kept + 5 {
		b.Take(at(10 + i))
	}
	if list, _, _ = b.After(3, 1); ids(list) != "15" { // what has gone is passed over
		t.Errorf("from %s", ids(list))
	}
	if list, last, _ = b.After(1<<40, 1); len(list) != 0 || last != Kept+8 {
		t.Errorf("%s until %d", ids(list), last)
	}
	if !slices.IsSortedFunc(b.Last(func(*Change) bool { return true }, Kept), func(a, b Change) int { return b.Time.Compare(a.Time) }) {
		t.Error("the last are not the newest first")
	}
}
