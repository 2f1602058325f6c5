package message

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestHeadEnd_FindsTheSameEndHoweverTheBytesCome(t *testing.T) {
	for _, c := range []struct {
		raw     string
		lenient bool
		end     int
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\nrest", false, 27}, {"\r\n", false, 2}, {"\r\nGET", false, 2}, {"a\r\n\r\n\r\n", false, 5},
		{"a\r\n b\r\n\r\n", false, 9}, {"a\r\n", false, 0}, {"a\r\n\r", false, 0}, {"", false, 0},
		{"a\nb\n\nrest", true, 5}, {"a\r\nb\n\r\nrest", true, 7}, {"\n", true, 1}, {"a\n\r", true, 0}, {"a\r\r\n\n", true, 5},
	} {
		for step := 1; step <= max(len(c.raw), 1); step++ {
			h := HeadEnd{lenient: c.lenient}
			got := 0
			for n := 0; n < len(c.raw) && got == 0; {
				n = min(n+step, len(c.raw))
				var err error
				if got, err = h.Find([]byte(c.raw[:n])); err != nil {
					t.Fatalf("%q by %d: %v", c.raw, step, err)
				}
			}
			if got != c.end {
				t.Errorf("%q by %d: the end is %d, want %d", c.raw, step, got, c.end)
			}
		}
	}
}

func TestHeadEnd_RefusesABareLineFeedHoweverTheBytesComeAndOftenItIsAsked(t *testing.T) {
	for _, raw := range []string{"\n", "a\n\r\n", "a\r\n\n", "a\r\nb\n\r\n", "a\nb\r\n\r\n"} {
		for step := 1; step <= len(raw); step++ {
			var h HeadEnd
			var first error
			for n := 0; n < len(raw) && first == nil; {
				n = min(n+step, len(raw))
				_, first = h.Find([]byte(raw[:n]))
			}
			if first == nil {
				t.Fatalf("%q by %d was taken", raw, step)
			}
			for range 3 {
				if n, err := h.Find([]byte(raw + "\r\n\r\n")); err == nil || n != 0 {
					t.Errorf("%q by %d: asked again, it is taken", raw, step)
				}
			}
		}
	}
}

func TestHeadEnd_LooksAtEachByteOnce(t *testing.T) {
	raw := []byte(strings.Repeat("a", 1<<20) + "\r\n\r\n")
	var h HeadEnd
	for n := 0; n <= len(raw)-4; n += 1 << 10 {
		if at, err := h.Find(raw[:n]); at != 0 || err != nil || h.next != n {
			t.Fatalf("%d bytes: %d, %v, looked at %d", n, at, err, h.next)
		}
	}
	if at, err := h.Find(raw); at != len(raw) || err != nil {
		t.Errorf("%d, %v", at, err)
	}
}

func TestEmptyLines_AreIgnoredBeforeARequestUpToFour(t *testing.T) {
	for raw, want := range map[string]int{
		"": 0, "\r": 0, "\n": 0, "\n\r\n": 0, "\r\n": 2, "\r\nGET": 2, "GET\r\n": 0, "\r\n\r\n\r": 4, "\r\n\r\n\r\n\r\n\r\n\r\n": 8,
	} {
		if got := EmptyLines([]byte(raw)); got != want {
			t.Errorf("%q: %d, want %d", raw, got, want)
		}
	}
}

func TestHasControl_AgreesWithALookAtEachByte(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				b := []byte(strings.Repeat("a", length))
				b[at] = byte(c)
				if got := hasControl(b); got != controlIn(b) {
					t.Fatalf("%q: %v", b, got)
				}
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) // neighbours could hide one another in a word
	for range 100_000 {
		b := make([]byte, random.IntN(24))
		for i := range b {
			b[i] = "\x00\x01\x08\t\x1f !a~\x7f\x80\x81\x9f\xa0\xff"[random.IntN(15)]
		}
		if got := hasControl(b); got != controlIn(b) {
			t.Fatalf("%q: %v", b, got)
		}
	}
}

func TestControlIn_IsEveryControlButTheTab(t *testing.T) {
	for c := range 256 {
		want := c < 0x20 && c != '\t' || c == 0x7f
		if got := controlIn([]byte{byte(c)}); got != want {
			t.Errorf("%#x: %v", c, got)
		}
	}
}

func TestIsToken_IsWhatTheStandardSays(t *testing.T) {
	const also = "!#$%&'*+-.^_`|~"
	for c := range 256 {
		want := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c < 0x80 && strings.ContainsRune(also, rune(c))
		if got := isToken(string([]byte{'a', byte(c)})); got != want {
			t.Errorf("%#x: %v", c, got)
		}
	}
	if isToken("") {
		t.Error("nothing is a token")
	}
}

func TestDecimal_TakesDigitsAlone(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "7": 7, "000042": 42, "999999999999999999": 999999999999999999} {
		if got, ok := decimal(text); got != want || !ok {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "a", "1_0", "1000000000000000000", "\xb2", "/", ":"} {
		if got, ok := decimal(text); ok {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
}
