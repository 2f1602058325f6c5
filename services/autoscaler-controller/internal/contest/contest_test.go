package contest

import (
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// turn is one round of the quarrel: we scale, and after a while somebody changes the count.
type turn struct {
	from, to int32
	after    time.Duration
	set      int32
	manager  string
}

func play(m *Memory, turns []turn) time.Time {
	now := begin
	for _, t := range turns {
		m.Scaled(t.from, t.to, now)
		now = now.Add(t.after)
		m.Changed(t.set, t.manager, now)
		now = now.Add(10 * time.Second)
	}
	return now
}

func times(n int, t turn) []turn {
	list := make([]turn, n)
	for i := range list {
		list[i] = t
	}
	return list
}

func TestContest_IsOneAfterTheThirdTimeInARow(t *testing.T) {
	heals := turn{1, 0, 5 * time.Second, 1, "argocd-controller"}
	stops := turn{0, 1, time.Minute, 0, "kubectl"}
	for name, c := range map[string]struct {
		turns     []turn
		contested bool
		manager   string
	}{
		"nothing happened":             {nil, false, ""},
		"once":                         {times(1, heals), false, ""},
		"twice":                        {times(2, heals), false, ""},
		"three times":                  {times(3, heals), true, "argocd-controller"},
		"more often":                   {times(30, heals), true, "argocd-controller"},
		"back to zero, three times":    {times(3, stops), true, "kubectl"},
		"up by one where we went down": {times(3, turn{5, 3, time.Minute, 5, "x"}), true, "x"},
		"further in our direction":     {times(9, turn{5, 3, time.Minute, 1, "x"}), false, ""},
		"further up than we":           {times(9, turn{0, 1, time.Minute, 4, "x"}), false, ""},
		"long after":                   {times(9, turn{1, 0, Patience + time.Second, 1, "x"}), false, ""},
		"just in time":                 {times(3, turn{1, 0, Patience, 1, "x"}), true, "x"},
		"by two, the last is named":    {append(times(2, heals), turn{1, 0, time.Second, 2, "helm"}), true, "helm"},
	} {
		var m Memory
		now := play(&m, c.turns)
		got, until, contested := m.At(now)
		if contested != c.contested || got.Manager != c.manager {
			t.Errorf("%s: %+v, %v", name, got, contested)
		}
		if contested && (!until.After(now) || !strings.Contains(got.String(), c.manager) || got.Times != Limit) {
			t.Errorf("%s: until %v, %q, %d times", name, until, got, got.Times)
		}
		if !contested && got.String() != "" {
			t.Errorf("%s: nobody is called %q", name, got)
		}
	}
}

func TestContest_OneChangeCountsOnce(t *testing.T) {
	var m Memory
	m.Scaled(1, 0, begin)
	for i := range 10 {
		m.Changed(1, "x", begin.Add(time.Duration(i)*time.Second))
	}
	if _, _, contested := m.At(begin.Add(time.Minute)); contested {
		t.Error("ten changes after one scaling are one setting back")
	}
}

func TestContest_AScalingThatStoodEndsTheRow(t *testing.T) {
	var m Memory
	now := play(&m, times(2, turn{1, 0, time.Second, 1, "x"}))
	m.Scaled(1, 0, now)
	now = now.Add(2 * Patience)
	m.Scaled(0, 1, now)
	m.Scaled(1, 0, now.Add(time.Second))
	m.Changed(1, "x", now.Add(2*time.Second))
	if _, _, contested := m.At(now.Add(3 * time.Second)); contested {
		t.Error("two, a scaling that stood, and one more are no three in a row")
	}
}

func TestContest_EndsAfterLongPeaceAndBeginsAgainByASingleTime(t *testing.T) {
	var m Memory
	now := play(&m, times(3, turn{1, 0, time.Second, 1, "x"}))
	_, until, contested := m.At(now)
	if !contested {
		t.Fatal("three times")
	}
	if _, _, still := m.At(until.Add(-time.Nanosecond)); !still {
		t.Error("it ends too early")
	}
	if _, _, still := m.At(until); still {
		t.Error("it does not end")
	}
	m.Scaled(1, 0, until)
	m.Changed(1, "x", until.Add(time.Second))
	if _, _, again := m.At(until.Add(2 * time.Second)); !again {
		t.Error("the trial goes on though it was set back again")
	}
}

func TestContest_IsForgivenWhenTheUserChangesWhatIsWanted(t *testing.T) {
	var m Memory
	now := play(&m, times(3, turn{1, 0, time.Second, 1, "x"}))
	m.Forgive()
	if _, _, contested := m.At(now); contested {
		t.Error("it is held against the other one for ever")
	}
}

func TestContest_AManagerThatIsNotKnownIsSomebody(t *testing.T) {
	if got := (Contest{Times: 3}).String(); !strings.HasPrefix(got, "somebody ") {
		t.Errorf("%q", got)
	}
}
