package main

import (
	"strings"
	"unicode/utf8"
)

// longestToken, in bytes, bounds what an answer of so many tokens can weigh.
const longestToken = 32

// tokenize cuts a text into tokens: words with the space before them, long ones in pieces.
func tokenize(text string) []string {
	var tokens []string
	for word := range strings.FieldsSeq(text) {
		word = " " + word
		for len(word) > longestToken {
			cut := longestToken
			for cut > longestToken-utf8.UTFMax && !utf8.RuneStart(word[cut]) {
				cut--
			}
			tokens = append(tokens, word[:cut])
			word = word[cut:]
		}
		tokens = append(tokens, word)
	}
	return tokens
}
