package scaling

import "testing"

func TestWording_LeavesOutNumbersAndTimesAlone(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"3 of 5 ready after 12.3 s":          "# of # ready after #",
		"0 → 1: 3 requests wait":             "# → #: # requests wait",
		"after 1m30.5s":                      "after #",
		"within 250ms, or 5s":                "within #, or #",
		"1,200 of them.":                     "# of them.",
		"dial tcp 10.0.0.1:443: refused":     "dial tcp #:#: refused",
		"fib-7d9-x2: ImagePullBackOff":       "fib-7d9-x2: ImagePullBackOff",
		"maxReplicas is 3":                   "maxReplicas is #",
		"30 s; 5 months, 12monkeys; 7  s":    "#; # months, #monkeys; #  s",
		"app_2 and v1.25 and gpu4 stay":      "app_2 and v1.25 and gpu4 stay",
		"12":                                 "#",
		"100%":                               "#%",
		"terminationGracePeriodSeconds is 0": "terminationGracePeriodSeconds is #",
	} {
		if got := Wording(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzWording(f *testing.F) {
	for _, text := range []string{"", "3 of 5 after 12.3 s", "1m30s", "é1 2µs", "1.", "1..2", "9h9h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := Wording(text)
		if Wording(once) != once {
			t.Errorf("%q: %q becomes %q", text, once, Wording(once))
		}
		if len(once) > len(text) {
			t.Errorf("%q has grown to %q", text, once)
		}
	})
}
