package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzTokenize_KeepsTheTextInBoundedTokens(f *testing.F) {
	for _, s := range []string{"a b", "", " \n", strings.Repeat("long", 40), strings.Repeat("é", 77) + " x", "\xff" + strings.Repeat("\x80", 90)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens := tokenize(text)
		if got, want := strings.Join(strings.Fields(strings.Join(tokens, "")), " "), strings.Join(strings.Fields(text), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for _, token := range tokens {
			if token == "" || len(token) > longestToken {
				t.Errorf("token of %d bytes: %q", len(token), token)
			}
			if utf8.ValidString(text) && !utf8.ValidString(token) {
				t.Errorf("cut through a character: %q", token)
			}
		}
	})
}
