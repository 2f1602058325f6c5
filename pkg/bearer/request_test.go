package bearer

import (
	"net/http"
	"testing"
)

func TestOf_ThePriorityHeaderWins(t *testing.T) {
	for name, c := range map[string]struct {
		h     http.Header
		token string
		given bool
	}{
		"none":                {nil, "", false},
		"the usual one":       {http.Header{Header: {"Bearer a"}}, "a", true},
		"the other one":       {http.Header{Priority: {"bearer  b "}}, "b", true},
		"both":                {http.Header{Header: {"Bearer a"}, Priority: {"Bearer b"}}, "b", true},
		"the other is no one": {http.Header{Header: {"Bearer a"}, Priority: {"Basic b"}}, "", true},
		"basic":               {http.Header{Header: {"Basic YTpi"}}, "", true},
		"empty":               {http.Header{Header: {""}}, "", true},
		"twice":               {http.Header{Header: {"Bearer a", "Bearer b"}}, "", true},
	} {
		if token, given := Of(c.h); token != c.token || given != c.given {
			t.Errorf("%s: %q %v", name, token, given)
		}
	}
}
